"""Everything of one person: given as a copy, erased without breaking a book, forgotten in time."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from central.audit import service as audit
from central.audit.verifying import verify
from central.core.tables import xlsx
from central.inbox.models import FactStream, StoredFact
from central.machines.models import MachineSignal, SampleBlock, SampleRollup
from central.people import service as people
from central.people.models import BadgeScan, Person
from central.privacy import enforcing, forgetting, persons, remembering
from central.stock.models import Comment, Movement, Observation
from central.work.models import ClockingEvent, ClockingInterval, WorkComment
from contracts.codes import format_code
from contracts.facts import CodeScanned, StockObserved
from tests.integration.central.work.harness import Shop, open_shop

NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
NAME = "Opérateur à effacer"


@pytest.fixture
async def shop(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.chdir(tmp_path)
    async with open_shop(database_url) as shop:
        yield shop


async def lived(shop: Shop, at: datetime = NOW) -> tuple[str, str]:
    """Two persons with a trace in every book, at `at`."""
    async with shop.units.begin() as uow:
        one = await people.add_person(uow, NAME, badge="A17")
        two = await people.add_person(uow, "Collègue", badge="B2")
        add = uow.session.add
        scanned = CodeScanned(code=format_code("PE", "A17"), format="QRCode", post="poste-1")
        observed = StockObserved(source="manual", qty=-1000, item="A", person=one.id, comment="dit par moi")
        add(FactStream(id=1, site="atelier", agent="p", boot="b", stream="facts", upto=3, spans=[], heard_at=at))
        await uow.session.flush()
        bodies = [
            scanned,
            observed,
            StockObserved(source="manual", qty=-1000, item="A", person=two.id, comment="autre"),
        ]
        for number, body in enumerate(bodies, 1):
            add(
                StoredFact(
                    id=number, stream_id=1, seq=number, kind="code.scanned" if number == 1 else "stock.observed", ts=at,
                    at=at, uncertain=False, run="r", mono=1, off=0, received_at=at, hash=number, state="accepted",
                    body=msgspec.json.encode(body).decode(),
                )
            )  # fmt: skip
        await uow.session.execute(text(
            "INSERT INTO items (id, code, label, item_class, unit, handling, minimum, per_box)"
            " VALUES (1, 'A', '', 'other', 'pce', 'lend', 0, 1000)"
        ))  # fmt: skip
        for number, person in ((1, one.id), (2, two.id)):
            add(BadgeScan(fact_id=number, post="poste-1", badge=f"X{number}", person=person, at=at))
            add(Observation(id=number, key=f"k{number}", item_id=1, nature="move", source="manual", channel="c", at=at,
                            recorded_at=at, qty=-1000, person=person))  # fmt: skip
            await uow.session.flush()
            add(Comment(observation_id=number, text=f"commentaire {number}"))
            add(Movement(id=number, event=f"e{number}", item_id=1, qty=-1000, at=at, recorded_at=at, kind="pick",
                         person=person))  # fmt: skip
            add(ClockingInterval(person=person, operation="OF1-10", begin=at, end=at, phase="run", post="poste-1"))
            for suffix in ("own", "both"):
                said = f"{suffix}{number}" if suffix == "own" else "both"
                add(ClockingEvent(operation="OF1-10", person=person, post="poste-1", at=at, received_at=at,
                                  action="start", terminal="post", comment_hash=said))  # fmt: skip
        for said in ("own1", "own2", "both"):
            add(WorkComment(hash=said, text=f"texte {said}"))
        await audit.record(
            uow, who=one.id, what="programmes.validate", subject="programme:1", comment=audit.erasable("vu")
        )
        await audit.record(uow, who="system", what="people.roles", subject=f"person:{one.id}", roles=["operateur"])
        await audit.record(uow, who=two.id, what="work.clock", subject="operation:OF1-10", person=one.id)
    return one.id, two.id


async def test_a_person_gets_all_that_is_kept_and_no_secret(shop: Shop) -> None:
    one, two = await lived(shop)
    async with shop.units.reading() as uow:
        found = await persons.export(uow, one)
        with pytest.raises(LookupError):
            await persons.export(uow, "p-none")
    assert set(found) >= {
        "person", "badge_scan", "clocking_event", "clocking_interval", "stock_movements", "stock_observations",
        "stock_comments", "work_comment", "audit_entry", "facts",
    }  # fmt: skip
    assert found["person"][0]["name"] == NAME
    assert [row["id"] for row in found["facts"]] == [1, 2]
    assert len(found["audit_entry"]) == 3
    said = json.dumps(found, ensure_ascii=False)
    assert "dit par moi" in said
    assert "commentaire 2" not in said
    assert "Collègue" not in said
    assert zipfile.ZipFile(io.BytesIO(xlsx(list(persons.sheets(found)), shop.units.settings.zone))).testzip() is None
    assert two not in json.dumps({k: v for k, v in found.items() if k != "audit_entry"})


async def test_erasing_one_person_leaves_whole_books_and_no_name(shop: Shop) -> None:
    one, two = await lived(shop)
    async with shop.units.begin() as uow:
        gone = await persons.erase(uow, one, by=two)
    assert gone == {"facts": 2, "badge_scans": 1, "comments": 2, "quarantine": 0, "journal_texts": 1}
    async with shop.units.reading() as uow:
        everything = []
        for table in ("person", "facts", "badge_scan", "stock_comments", "work_comment", "audit_entry", "audit_note"):
            everything += [str(tuple(row)) for row in await uow.session.execute(text(f"SELECT * FROM {table}"))]
        whole = "\n".join(everything)
        for trace in (NAME, "A17", "dit par moi", "commentaire 1", "texte own1", "'vu'"):
            assert trace not in whole, trace
        for other in ("Collègue", "autre", "commentaire 2", "texte own2", "texte both"):
            assert other in whole, other
        assert list(await uow.session.scalars(select(Movement.person).order_by(Movement.id))) == [one, two]
        assert await people.names(uow, [one]) == {one: one}
        report = await verify(uow)
        assert (report.findings, report.notes_erased) == ([], 1)


async def test_a_backup_put_back_brings_nobody_back(shop: Shop) -> None:
    one, two = await lived(shop)
    settings = shop.units.settings
    remembering.note(settings, one, NOW)
    with remembering.path_of(settings).open("a") as file:
        file.write('{"person": "p-ha')
    async with shop.units.begin() as uow:
        assert await remembering.erase_again(uow) == 1
        assert await remembering.erase_again(uow) == 0
    async with shop.units.reading() as uow:
        assert await people.names(uow, [one, two]) == {one: one, two: "Collègue"}


async def test_the_ledger_lets_a_person_go_and_nothing_else(shop: Shop) -> None:
    await lived(shop)
    for refused in ("person = 'p-x'", "person = NULL, qty = 5", "qty = 5", "person = NULL, at = NULL"):
        with pytest.raises(DBAPIError, match="append-only"):
            async with shop.database.engine.begin() as connection:
                await connection.execute(text(f"UPDATE stock_movements SET {refused} WHERE id = 1"))
    async with shop.database.engine.begin() as connection:
        await connection.execute(text("UPDATE stock_movements SET person = NULL WHERE id = 1"))


async def test_the_table_forgets_what_is_over_its_time_and_nothing_else(shop: Shop) -> None:
    shop.clock.moment = NOW - timedelta(days=6 * 365)
    one, two = await lived(shop, shop.clock.moment)
    async with shop.units.begin() as uow:
        assert not any((await enforcing.enforce(uow, now_due=True)).values())
        person = await uow.session.get_one(Person, one)
        person.active = False
    shop.clock.moment = NOW
    async with shop.units.begin() as uow:
        minute = NOW - timedelta(days=100)
        await uow.session.execute(insert(MachineSignal).values(machine="t", signal="s", unit="%", value=1.0, at=NOW))
        for at in (minute, NOW):
            block = {"machine": "t", "signal": "s", "minute": at, "fact_id": 9, "offsets": b"", "readings": b""}
            await uow.session.execute(insert(SampleBlock).values(block))
            rollup = {"machine": "t", "signal": "s", "start": at, "n": 1, "low": 1.0, "high": 1.0, "total": 1.0}
            await uow.session.execute(insert(SampleRollup).values(rollup | {"span_s": 60}))
    async with shop.units.begin() as uow:
        gone = await enforcing.enforce(uow, now_due=True)
    assert gone == {
        "facts": 2, "stock_persons": 4, "badges": 2, "sign_ins": 0, "clockings": 6, "comments": 5, "journal_texts": 1,
        "departed": 1, "samples": 1, "minutes": 0,
    }  # fmt: skip
    async with shop.units.reading() as uow:
        assert list(await uow.session.scalars(select(StoredFact.id))) == [3]
        assert set(await uow.session.scalars(select(Movement.person))) == {None}
        owners = set(await uow.session.scalars(select(ClockingInterval.person)))
        assert len(owners) == 2
        assert all(owner.startswith(forgetting.UNLINKED) for owner in owners)
        assert owners == set(await uow.session.scalars(select(ClockingEvent.person)))
        assert await people.names(uow, [one, two]) == {one: one, two: "Collègue"}
        assert (await verify(uow)).findings == []
        table = {view.rule.key: view for view in await enforcing.table(uow)}
        assert (table["badges"].gone, table["badges"].total) == (2, 2)
    async with shop.units.begin() as uow:
        assert not any((await enforcing.enforce(uow, now_due=True)).values())


async def test_the_night_does_it_by_itself_once(shop: Shop) -> None:
    await lived(shop, NOW - timedelta(days=400))
    shop.clock.moment = NOW.replace(hour=23)  # 01:00 in Paris
    async with shop.units.begin() as uow:
        assert await enforcing.enforce(uow) == {}
    shop.clock.moment += timedelta(hours=2)
    done: dict[str, int] = {}
    for _ in range(12):
        async with shop.units.begin() as uow:
            done |= {key: gone for key, gone in (await enforcing.enforce(uow)).items() if gone}
    assert set(done) == {"facts", "stock_persons", "badges", "comments"}
    async with shop.units.begin() as uow:
        assert await enforcing.enforce(uow) == {}
