"""Signatures in both databases: added and never changed; whoever changes them behind Copeau's back is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from central import migrations
from central.audit.keeping import Keeper
from central.audit.verifying import verify
from central.core.uow import UnitOfWork
from central.privacy import forgetting
from central.programmes.models import CnProgramme, CnTransfer, CnVersion
from central.signing import service as signing
from central.signing.models import Signature
from central.signing.rules import hash_of
from central.signing.verifying import check
from central.work import service as work
from central.work.models import PartsAssigned
from contracts.facts import ClockingAction, WorkClocked
from tests.integration.central.work.harness import START, Shop, at

WORKER, QUALITY, CODE = "p-worker", "p-quality", "OF9-20"


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    """Migrated, with one finished operation of a military order, clocked at a post."""
    monkeypatch.chdir(tmp_path)
    shop = Shop(database_url)
    async with shop.database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
    shop.clock.moment = at(600)
    async with shop.units.begin() as uow:
        await work.add_order(uow, "OF9", quantity=3, sector="military", by="page")
        await work.add_operation(uow, "OF9", 20, "Tournage", machine="tour-1")
    await shop.say(shop.fact(0, clocking("start")), shop.fact(60, clocking("end", good=3)))
    yield shop
    await shop.database.close()


def clocking(action: ClockingAction, operation: str = CODE, *, good: int = 0, scrap: int = 0) -> WorkClocked:
    return WorkClocked(action=action, operation=operation, person=WORKER, post="poste-1", good=good, scrap=scrap)


async def sign(shop: Shop, meaning: str = "conform", person: str = QUALITY) -> int:
    async with shop.units.begin() as uow:
        sheet = await signing.sheet(uow, CODE)
        return await signing.sign(uow, CODE, person=person, meaning=meaning, seen=sheet.seen, proof=["password"])


async def standing(shop: Shop) -> str:
    async with shop.units.reading() as uow:
        return (await signing.sheet(uow, CODE)).standing


async def findings(shop: Shop) -> list[str]:
    async with shop.units.reading() as uow:
        return [f.text for f in (await verify(uow, (), [check])).findings]


_OFF = ("DISABLE TRIGGER USER", "DROP CONSTRAINT fk_signature_entry_id")


async def tamper(shop: Shop, *statements: str) -> None:
    """The triggers and the link to the journal switched off first."""
    async with shop.database.engine.begin() as connection:
        if shop.database.is_sqlite:
            off = ["DROP TRIGGER signature_no_update", "DROP TRIGGER signature_no_delete"]
        else:
            off = [f"ALTER TABLE signature {what}" for what in _OFF]
        for statement in (*off, *statements):
            await connection.execute(text(statement.replace(":", "\\:")))


async def test_terminating_on_the_floor_is_never_blocked_and_waits_for_a_signature(shop: Shop) -> None:
    async with shop.units.reading() as uow:
        assert [sheet.code for sheet in await signing.waiting(uow)] == [CODE]
        assert await signing.count_waiting(uow) == 1
    await sign(shop)
    async with shop.units.reading() as uow:
        assert await signing.waiting(uow) == []
        assert [sheet.standing for sheet in await signing.signed(uow)] == ["signed"]


async def test_what_is_ended_with_pieces_left_does_not_wait_but_can_be_signed(shop: Shop) -> None:
    async with shop.units.begin() as uow:
        await work.add_operation(uow, "OF9", 30, "Fraisage", quantity=5)
    await shop.say(shop.fact(0, clocking("start", "OF9-30")), shop.fact(60, clocking("end", "OF9-30", good=2, scrap=1)))
    async with shop.units.reading() as uow:
        assert [sheet.code for sheet in await signing.waiting(uow)] == [CODE]
        assert (await signing.sheet(uow, "OF9-30")).ended
    await shop.say(shop.fact(70, clocking("start", "OF9-30")))
    async with shop.units.reading() as uow:
        with pytest.raises(LookupError):
            await signing.sheet(uow, "OF9-30")
    await shop.say(shop.fact(90, clocking("end", "OF9-30", good=2)))
    async with shop.units.reading() as uow:
        assert {sheet.code for sheet in await signing.waiting(uow)} == {CODE, "OF9-30"}


async def test_a_fact_that_arrives_late_changes_what_was_signed(shop: Shop) -> None:
    await sign(shop)
    await shop.say(shop.fact(20, clocking("pause")), shop.fact(30, clocking("resume")))
    assert await standing(shop) == "changed"
    await sign(shop)
    assert await standing(shop) == "signed"


async def test_the_programme_that_ran_is_signed_with_the_version_that_lay_there(shop: Shop) -> None:
    async with shop.units.begin() as uow:
        add, when = uow.session.add, {"asked_at": START, "expires_at": START, "published_at": START}
        add(CnProgramme(id=1, name="O1", machine="tour-1", created_at=START, created_by="p", changed_at=START))
        await uow.session.flush()
        for number in (1, 2):
            add(CnVersion(
                id=number, programme_id=1, number=number, sha256=str(number) * 64, size=1, status="validated",
                origin="upload", reading={}, created_at=START, created_by="p",
            ))  # fmt: skip
        await uow.session.flush()
        for number, minutes in ((1, -10), (2, 90)):
            add(CnTransfer(
                id=str(number), kind="send", programme_id=1, version_id=number, machine="tour-1", agent="a", name="O1",
                person="p", state="done", told_at=at(minutes), **when,
            ))  # fmt: skip
        for fact, programme in ((901, "O1"), (902, "O7"), (903, None)):
            add(PartsAssigned(
                fact_id=fact, machine="tour-1", at=at(40), programme=programme, cycles=1, parts=1, operation=CODE,
            ))  # fmt: skip
    async with shop.units.reading() as uow:
        facts = (await signing.sheet(uow, CODE)).facts
    assert facts["result"]["counted"] == 3
    assert [(p["name"], p["version"], p["sha256"]) for p in facts["programmes"]] == [
        ("O1", 1, "1" * 64), ("O7", None, None),
    ]  # fmt: skip


async def test_forgetting_in_time_who_worked_is_no_change(shop: Shop) -> None:
    await sign(shop)
    async with shop.units.begin() as uow:
        assert await forgetting.clockings(uow, at(500)) > 0
    async with shop.units.reading() as uow:
        sheet = await signing.sheet(uow, CODE)
    assert {person[:2] for person in sheet.workers} == {"x-"}
    assert sheet.standing == "signed"


@pytest.mark.parametrize("statement", ["UPDATE signature SET person = 'x'", "DELETE FROM signature"])
async def test_the_database_refuses_to_rewrite_a_signature(shop: Shop, statement: str) -> None:
    await sign(shop)
    with pytest.raises(DBAPIError, match="append-only"):
        async with shop.database.engine.begin() as connection:
            await connection.execute(text(statement))


TAMPERINGS = {
    "another text": "UPDATE signature SET text = replace(text, '\"good\":3', '\"good\":4')",
    "another person": "UPDATE signature SET person = 'p-other'",
    "another meaning": "UPDATE signature SET meaning = 'released'",
    "another operation": "UPDATE signature SET operation = 'OF9-30'",
    "another line": "UPDATE signature SET entry_id = 1",
    "no line": "UPDATE signature SET entry_id = 999",
    "removed": "DELETE FROM signature",
}


@pytest.mark.parametrize("how", TAMPERINGS)
async def test_tampering_with_a_signature_is_found(shop: Shop, how: str) -> None:
    await sign(shop)
    assert await findings(shop) == []
    if how == "no line" and shop.database.is_sqlite:
        async with shop.database.engine.connect() as connection:
            await connection.execute(text("PRAGMA foreign_keys = OFF"))
            for statement in ("DROP TRIGGER signature_no_update", TAMPERINGS[how]):
                await connection.execute(text(statement))
            await connection.commit()
            await connection.execute(text("PRAGMA foreign_keys = ON"))
    else:
        await tamper(shop, TAMPERINGS[how])
    found = await findings(shop)
    assert found
    assert all("signature" in said for said in found)


async def test_a_text_and_hash_that_were_changed_together_disagree_with_the_journal(shop: Shop) -> None:
    await sign(shop)
    async with shop.units.reading() as uow:
        row = await uow.session.scalar(select(Signature))
        assert row is not None
        forged = row.text.replace('"good":3', '"good":4')
    await tamper(shop, f"UPDATE signature SET text = '{forged}', hash = '{hash_of(forged)}'")
    assert [said[:23] for said in await findings(shop)] == ["La signature n° 1 (OF9-"]
    async with shop.units.reading() as uow:
        [view] = (await signing.sheet(uow, CODE)).signatures
        assert not view.agrees


async def test_the_daily_check_raises_an_alert(shop: Shop) -> None:
    alarms: list[str] = []

    async def alarm(_uow: UnitOfWork, _key: str, _title: str, said: str) -> None:
        alarms.append(said)

    keeper = Keeper(shop.units, alarm, [check])
    await keeper.open()
    await sign(shop)
    assert (await keeper.check()).beside == {"signatures": 1}
    assert alarms == []
    await tamper(shop, TAMPERINGS["removed"])
    await keeper.check()
    assert "a disparu" in alarms[0]
