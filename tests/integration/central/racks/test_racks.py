"""Modes, descriptions, commands and models of racks."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import select

from central.core.uow import Outgoing
from central.items.service import add_item, require_place, unknown_codes
from central.racks import commands, rollout
from central.racks import service as racks
from central.racks.commands import RefusedError
from central.racks.models import RackOutcome
from contracts.codes import format_code
from contracts.facts import AgentAnswered, CodeScanned, RackModeChanged, RackRead, SlotSeen
from contracts.racks import SlotDescription, dump
from tests.integration.central.racks.conftest import NOON, Shop, described, read


async def sent(shop: Shop, name: str) -> list[dict[str, Any]]:
    async with shop.units.reading() as uow:
        rows = await uow.session.scalars(
            select(Outgoing.payload).where(Outgoing.topic == f"copeau/v1/atelier/pi-1/cmd/{name}").order_by(Outgoing.id)
        )
        return [msgspec.json.decode(row) for row in rows]


async def view(shop: Shop) -> racks.RackView:
    async with shop.units.reading() as uow:
        found = await racks.rack(uow, "rack-a")
    assert found is not None
    return found


@pytest.mark.parametrize("reverse", [False, True])
async def test_the_newest_mode_in_event_time_stands_and_blind_time_is_counted(shop: Shop, *, reverse: bool) -> None:
    facts = [
        shop.fact(RackModeChanged(rack="rack-a", mode="blind", code="covered", message="Dégager l'objectif."), 0),
        shop.fact(RackModeChanged(rack="rack-a", mode="counting"), 1200),
        shop.fact(RackModeChanged(rack="rack-a", mode="blind", code="moved"), 2400),
        shop.fact(RackModeChanged(rack="rack-a", mode="blind", code="moved", repeated=True), 3000),
    ]
    for fact in reversed(facts) if reverse else facts:
        await shop.say(fact)
        await shop.say(fact)
    found = await view(shop)
    assert (found.mode, found.mode_code, found.code_label) == ("blind", "moved", "caméra déplacée")
    assert found.availability == pytest.approx(1 - 2400 / 7200)
    assert not reverse or found.since is not None
    assert found.since == NOON + timedelta(seconds=2400)


async def test_the_newest_reading_of_each_place_stands(shop: Shop) -> None:
    await shop.say(shop.fact(read(3), 60))
    await shop.say(shop.fact(read(5), 10))
    await shop.say(shop.fact(read(None, "A2", state="masked", since=NOON), 30))
    async with shop.units.reading() as uow:
        one, two = await racks.places(uow, "rack-a")
    assert (one.slot, one.item, one.count, one.kind_label) == ("A1", "CNMG", 3, "comptable")
    assert (two.count, two.state_label, two.state_since) == (None, "masqué", NOON)
    assert ((await view(shop)).unreadable, (await view(shop)).slots) == (1, 2)


async def test_a_description_is_a_version_fetched_under_its_hash(shop: Shop) -> None:
    (first,) = await sent(shop, "rack-teach")
    content = dump(described())
    assert first["sha256"] == hashlib.sha256(content).hexdigest()
    async with shop.begin() as uow:
        assert await racks.document(uow, first["sha256"]) == content.decode()
        await add_item(uow, "NEW", "Nouveau", "insert")
        changed = described()
        square = [(0.0, 0.0), (50.0, 0.0), (50.0, 50.0)]
        changed.slots.append(SlotDescription(id="A9", polygon=square, item="new"))
        assert (await racks.teach(uow, "rack-a", changed, by="p1")).number == 2
        assert (await racks.teach(uow, "rack-a", changed, by="p1")).number == 2
        assert (await require_place(uow, "rack-a/A9")).id
        assert (await racks.restore(uow, "rack-a", 1, by="p1")).number == 3
        with pytest.raises(ValueError, match="refusée"):
            await racks.teach(uow, "rack-a", b'{"slots": []}', by="p1")
        with pytest.raises(LookupError):
            await racks.restore(uow, "rack-a", 9, by="p1")
    async with shop.units.reading() as uow:
        assert [v.number for v in await racks.descriptions(uow, "rack-a")] == [3, 2, 1]
        assert [p.slot for p in await racks.places(uow, "rack-a")] == ["A1", "A2"]


async def test_a_command_is_asked_again_until_it_is_answered_or_over(shop: Shop) -> None:
    async with shop.begin() as uow:
        one = await racks.set_mode(uow, "rack-a", "restocking", by="p1")
        two = await racks.settle_move(uow, "rack-a", accept=True, by="p1")
        with pytest.raises(LookupError):
            await racks.set_mode(uow, "rack-z", "restocking", by="p1")
        await racks.teach(uow, "rack-b", described(), by="p1")
        with pytest.raises(RefusedError, match="raccordé"):
            await racks.set_mode(uow, "rack-b", "restocking", by="p1")
    await shop.say(shop.fact(AgentAnswered(command="rack-mode", id=one, done=True, detail="fait")))
    for seconds in (10, 15, 25):
        shop.clock.moment += timedelta(seconds=seconds)
        async with shop.begin() as uow:
            await commands.chase(uow)
    assert [c["id"] for c in await sent(shop, "rack-mode")] == [one]
    assert [c["id"] for c in await sent(shop, "rack-moved")] == [two] * 3
    shop.clock.moment += timedelta(minutes=11)
    async with shop.begin() as uow:
        await commands.chase(uow)
        states = {c.id: c.state for c in await racks.commands_of(uow, "rack-a")}
    assert (states[one], states[two]) == ("done", "expired")


async def test_a_place_is_told_its_last_number_only(shop: Shop) -> None:
    async with shop.begin() as uow:
        for count in (4, 3):
            await racks.tell_count(uow, "rack-a/A1", count, by="p1")
    shop.clock.moment += timedelta(seconds=30)
    async with shop.begin() as uow:
        await commands.chase(uow)
    assert [c["count"] for c in await sent(shop, "rack-count")] == [4, 3, 3]


async def bring(shop: Shop, *versions: str) -> list[str]:
    """Bring these models, checked; their SHA-256."""
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (shop.settings.data_dir / "rack-models.pem").write_bytes(public)
    found = []
    for version in versions:
        content = version.encode()
        signature = key.sign(hashlib.sha256(content).digest()).hex()
        found.append(await rollout.keep_file(shop.settings, content, signature))
        async with shop.begin() as uow:
            await racks.add_model(uow, version, found[-1], len(content), signature, by="p1")
    return found


async def roll_out(shop: Shop, version: str, *, done: bool | None = True) -> None:
    """Send it; the agent answers a minute later, or (None) not at all."""
    async with shop.begin() as uow:
        await racks.roll_out(uow, "rack-a", version, by="p1")
    shop.clock.moment += timedelta(minutes=1)
    if done is not None:
        command = (await sent(shop, "rack-model"))[-1]["id"]
        second = (shop.clock.now() - NOON).total_seconds()
        await shop.say(shop.fact(AgentAnswered(command="rack-model", id=command, done=done, detail="essai"), second))


async def outcomes(shop: Shop, right: int, wrong: int, *, after_s: float) -> None:
    """Labels of what the camera said so long after now; its facts name the judge, never the version."""
    async with shop.begin() as uow:
        for number in range(right + wrong):
            uow.session.add(
                RackOutcome(
                    key=f"doubt:{after_s}:{number}", rack="rack-a", place="rack-a/A1", klass="insert", item="CNMG",
                    model="slotnet-96-e8ddfd1c+taught-3", kind="doubt", sure=True, right=number < right,
                    at=uow.now + timedelta(seconds=after_s), decided_at=uow.now, decided_by="p1",
                )
            )  # fmt: skip


async def watched(shop: Shop) -> list[tuple[str, str, bool]]:
    """(version, why it ended, whether it is there) of each rollout, the newest first, after a look."""
    async with shop.begin() as uow:
        await rollout.watch(uow)
    async with shop.units.reading() as uow:
        return [(row.version, row.why, row.ended_at is None) for row in await racks.rollouts(uow, "rack-a")]


async def test_a_model_must_be_signed(shop: Shop) -> None:
    with pytest.raises(rollout.BadModelError, match="clé publique"):
        await rollout.keep_file(shop.settings, b"m-2", "00" * 64)
    (sha256,) = await bring(shop, "m-2")
    with pytest.raises(rollout.BadModelError, match="signature"):
        await rollout.keep_file(shop.settings, b"other", "00" * 64)
    await roll_out(shop, "m-2", done=None)
    (told,) = await sent(shop, "rack-model")
    assert (told["version"], told["sha256"], told["path"]) == ("m-2", sha256, f"/api/racks/models/{sha256}")


async def test_a_model_that_is_worse_since_it_is_in_service_goes_back(shop: Shop) -> None:
    await bring(shop, "m-2")
    await outcomes(shop, 30, 0, after_s=-1)
    await roll_out(shop, "m-2")
    await outcomes(shop, 20, 10, after_s=1)
    assert await watched(shop) == [("m-2", "10 fausses sur 30, contre 0 sur 30 avant", False)]
    back = (await sent(shop, "rack-model"))[-1]
    assert (back["version"], back["path"]) == ("", "")


async def test_what_the_old_one_said_until_the_agent_had_the_new_one_is_not_the_new_ones(shop: Shop) -> None:
    await bring(shop, "m-2")
    await outcomes(shop, 30, 0, after_s=-1)
    await roll_out(shop, "m-2")
    await outcomes(shop, 20, 10, after_s=-30)
    await outcomes(shop, 30, 0, after_s=1)
    assert await watched(shop) == [("m-2", "", True)]


async def test_nothing_is_said_of_a_model_that_no_agent_has(shop: Shop) -> None:
    await bring(shop, "m-2", "m-3")
    await roll_out(shop, "m-2")
    await roll_out(shop, "m-3", done=None)
    await outcomes(shop, 20, 10, after_s=1)
    assert (await watched(shop))[0] == ("m-3", "", True)


async def test_a_model_that_the_agent_refused_was_never_there(shop: Shop) -> None:
    await bring(shop, "m-2", "m-3")
    await roll_out(shop, "m-2")
    await roll_out(shop, "m-3", done=False)
    assert await watched(shop) == [("m-3", "refusé par l'agent : essai", False), ("m-2", "", True)]


async def test_the_racks_label_read_there_begins_and_ends_the_mode_rangement(shop: Shop) -> None:
    label = format_code("PL", "rack-a")

    def scan(second: float, post: str = "rack-a") -> Any:
        return shop.fact(CodeScanned(code=label, format="QR", post=post, action="identify", person="p1"), second)

    await shop.say(scan(0), scan(3599, "poste-1"))
    assert await sent(shop, "rack-mode") == []
    await shop.say(scan(3600))
    await shop.say(shop.fact(RackModeChanged(rack="rack-a", mode="restocking", person="p1"), 3601))
    assert (await view(shop)).person == "p1"
    await shop.say(scan(3660))
    assert [(c["mode"], c["person"]) for c in await sent(shop, "rack-mode")] == [
        ("restocking", "p1"),
        ("counting", "p1"),
    ]
    async with shop.units.reading() as uow:
        assert await unknown_codes(uow) == []


async def test_presence_is_compared_as_there_or_not(shop: Shop) -> None:
    def seen(present: bool, second: float) -> Any:  # what the fact says
        slot = SlotSeen(place="rack-a/A1", item="CNMG", present=present)
        return shop.fact(RackRead(rack="rack-a", why="clear", slots=[slot]), second)

    await shop.say(seen(True, 10))
    assert await shop.open() == []
    await shop.say(seen(False, 20))
    (question,) = await shop.open()
    assert (question.kind, question.qty) == ("read", -5000)
