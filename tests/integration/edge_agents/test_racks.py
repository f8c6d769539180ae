"""A rack's agent, whole: what it says of a session, its pictures beside the facts, and what a person asks of it."""

from __future__ import annotations

import cv2
import numpy as np

from contracts.control import SetRackMode, SetSlotCount, ShowRack
from tests.integration.edge_agents.conftest import RackShop


async def test_a_pick_its_reading_its_pair_and_the_rack_s_mode(shop: RackShop) -> None:
    shop.start()
    (first,) = (await shop.heard("rack.read"))[:1]
    assert (first.rack, first.why) == ("rack-a", "start")
    assert {slot.place for slot in first.slots} == {f"rack-a/{slot.id}" for slot in shop.live.scene.slots}
    assert [(mode.mode, mode.code) for mode in await shop.heard("rack.mode")] == [("counting", "ok")]
    await shop.act("take")
    (pick,) = await shop.heard("stock.observed")
    assert shop.moved == shop.truth
    assert pick.session.startswith("rack-a-")
    assert pick.model
    await shop.wait(lambda: pick.crops in shop.http.crops, "pair")
    pair = shop.http.crops[pick.crops]
    before, after = (
        cv2.imdecode(np.frombuffer(pair[when], np.uint8), cv2.IMREAD_COLOR) for when in ("before", "after")
    )
    assert before is not None
    assert after is not None
    assert before.shape == after.shape
    assert np.abs(before.astype(int) - after.astype(int)).mean() > 2
    assert pair["observed"].endswith("+00:00")
    await shop.wait(lambda: not list(shop.directory.glob("outbox-pictures/*")), "empty spool")

    answer = await shop.order("rack-picture", ShowRack, path="/api/racks/rack-a/picture", seconds=3)
    assert answer.done
    await shop.wait(lambda: len(shop.http.pictures) >= 3, "three pictures")
    path, content = shop.http.pictures[-1]
    shown = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    assert path == "/api/racks/rack-a/picture"
    assert shown is not None
    assert shown.shape[:2] == shop.live.rest(1).frames[0].shape[:2]


async def test_restocking_a_count_and_a_kill_in_between(shop: RackShop) -> None:
    shop.start()
    await shop.heard("rack.read")
    answer = await shop.order("rack-mode", SetRackMode, mode="restocking")
    assert (answer.done, answer.detail) == (True, "Rangement commencé.")
    await shop.wait(lambda: shop.said("rack.mode")[-1].mode == "restocking", "restocking")
    assert shop.said("rack.mode")[-1].person == "p-1"
    await shop.act("take")
    shop.kill()
    shop.again()
    await shop.wait(lambda: shop.said("rack.mode")[-1].repeated, "its mode again")
    assert shop.said("rack.mode")[-1].mode == "restocking"
    answer = await shop.order("rack-mode", SetRackMode, mode="counting")
    assert answer.done
    await shop.wait(lambda: any(read.why == "restocked" for read in shop.said("rack.read")), "reading after it")
    assert [read.person for read in shop.said("rack.read") if read.why == "restocked"] == ["p-1"]
    await shop.wait(lambda: shop.said("rack.mode")[-1].mode == "counting", "counting")
    assert shop.said("stock.observed") == []

    slot = shop.live.scene.slots[0].id
    answer = await shop.order("rack-count", SetSlotCount, slot="Z9", count=1)
    assert (answer.done, "pas de place « Z9 »" in answer.detail) == (False, True)
    answer = await shop.order("rack-count", SetSlotCount, slot=slot, count=-1)
    assert not answer.done
    answer = await shop.order("rack-count", SetSlotCount, slot=f"rack-a/{slot}", count=3)
    assert answer.done


async def test_a_camera_that_goes_is_said_and_counted_again_when_it_is_back(shop: RackShop) -> None:
    shop.start()
    await shop.heard("rack.read")
    dark = np.zeros_like(shop.live.rest(1).frames[0])
    shop.camera.show(dark)
    await shop.wait(lambda: shop.said("rack.mode")[-1].mode == "blind", "blindness")
    blind = shop.said("rack.mode")[-1]
    assert blind.code in ("dark", "covered")
    assert blind.message
    await shop.wait(lambda: shop.said("source.status")[-1].status == blind.code, "status")
    await shop.skip("take")
    await shop.wait(lambda: shop.said("rack.mode")[-1].mode == "counting", "counting again")
    await shop.wait(lambda: shop.said("source.status")[-1].status == "ok", "status ok")
    observed = await shop.heard("stock.observed")
    assert shop.moved == shop.truth
    assert all(fact.during_absence for fact in observed)


async def test_a_spool_that_cannot_be_written_costs_the_picture_and_never_the_fact(shop: RackShop) -> None:
    (shop.directory / "full").write_text("a file where the folder should be: as a full disk, nothing can be made")
    shop.start(tables='[pictures]\nfolder = "full"\n')
    await shop.heard("rack.read")
    await shop.act("take")
    (pick,) = await shop.heard("stock.observed")
    assert shop.moved == shop.truth
    assert pick.crops is None
    assert "pictures of an observation are given up" in shop.log.read_text()


async def test_racks_that_share_a_process_share_no_fault(shop: RackShop) -> None:
    (shop.directory / "bad.json").write_text('{"slots": [{"id": "A1"}]}')
    more = f'[[rack]]\nname = "rack-b"\nsource = "{shop.camera.url}"\nplace = "armoire"\n'
    bad = f'[[rack]]\nname = "rack-c"\nsource = "{shop.camera.url}"\nrack = "bad.json"\n'
    shop.start(more + bad)
    await shop.wait(lambda: {read.rack for read in shop.said("rack.read")} == {"rack-a", "rack-b"}, "two readings")
    await shop.wait(lambda: any(s.rack == "rack-c" for s in shop.said("source.status")), "the bad one's status")
    (status,) = [s for s in shop.said("source.status") if s.rack == "rack-c"]
    assert (status.status, status.code, "bad.json" in status.message) == ("error", "rack_file", True)
    assert len(shop.eyes) == 1
    await shop.act("take")
    (slot, pieces) = shop.truth[0]
    await shop.heard("stock.observed", 2)
    told = {(fact.place, fact.qty) for fact in shop.said("stock.observed")}
    assert told == {(f"rack-a/{slot}", pieces * 1000), (f"armoire/{slot}", pieces * 1000)}
