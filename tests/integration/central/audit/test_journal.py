"""The journal in a real database: chained as it is written, anchored, verified, searched, its texts erased."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from central import schema
from central.audit import anchors
from central.audit import service as audit
from central.audit.keeping import Keeper
from central.audit.service import Search
from central.audit.verifying import Report, verify
from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import UnitOfWork, Units

NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment


class Journal:
    """A journal with its housekeeping, and what somebody with the database's password can do to it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.clock = Clock()
        self.database = Database(url)
        self.settings = Settings(_env_file=None, database_url=url, data=folder, audit_anchors_dir=folder / "usb")
        self.units = Units(self.database, self.settings, self.clock)
        self.alarms: list[str] = []
        self.keeper = Keeper(self.units, self._alarm)

    async def _alarm(self, _uow: UnitOfWork, key: str, title: str, said: str) -> None:
        self.alarms.append(f"{key}: {title}\n{said}")

    async def write(self, count: int = 5) -> None:
        async with self.units.begin() as uow:
            for number in range(count):
                self.clock.moment += timedelta(seconds=1)
                await audit.record(
                    uow, who=f"p-{number % 2}", what="stock.receive", subject=f"item:{number}", qty=number
                )

    async def verify(self, *files: Path) -> Report:
        async with self.units.reading() as uow:
            return await verify(uow, files)

    async def tamper(self, *statements: str) -> None:
        """Behind Copeau's back, the triggers switched off first."""
        sqlite = self.database.is_sqlite
        async with self.database.engine.begin() as connection:
            if sqlite:
                triggers = await connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
                off = [f"DROP TRIGGER {name}" for name in triggers.all() if name.startswith("audit_")]
            else:
                off = [f"ALTER TABLE {t} DISABLE TRIGGER USER" for t in ("audit_entry", "audit_note", "audit_anchor")]
            for statement in (*off, *statements):
                await connection.execute(text(statement))


@pytest.fixture
async def journal(database_url: str, tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal(database_url, tmp_path)
    (tmp_path / "usb").mkdir()
    async with opened.database.engine.begin() as connection:
        await connection.run_sync(schema.metadata().create_all)
    await opened.keeper.open()
    yield opened
    await opened.keeper.stop()
    await opened.database.close()


async def test_what_is_written_is_a_chain_that_verifies(journal: Journal) -> None:
    await journal.write()
    await journal.keeper.turn()
    await journal.write()
    report = await journal.verify(journal.settings.data_dir / "usb" / anchors.EXPORTED)
    assert report.findings == []
    assert (report.entries, report.last, report.anchors) == (11, 11, 1)
    assert journal.alarms == []


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entry SET who = 'x'", "DELETE FROM audit_entry", "DELETE FROM audit_note"]
)
async def test_the_database_refuses_to_rewrite_it(journal: Journal, statement: str) -> None:
    await journal.write()
    async with journal.units.begin() as uow:
        await audit.record(uow, who="p-1", what="programmes.validate", subject="p:1", comment=audit.erasable("bon"))
    with pytest.raises(DBAPIError, match="append-only"):
        async with journal.database.engine.begin() as connection:
            await connection.execute(text(statement))


FORGED = "SELECT 7, at, who, 'people.grant', subject, detail, hash"
TAMPERINGS = {
    "changed who": ("UPDATE audit_entry SET who = 'p-9' WHERE id = 3",),
    "changed detail": ("UPDATE audit_entry SET detail = '[9]' WHERE id = 3",),
    "removed": ("DELETE FROM audit_entry WHERE id = 3",),
    "removed and renumbered": (
        "DELETE FROM audit_entry WHERE id = 3",
        "UPDATE audit_entry SET id = 3 WHERE id = 4",
        "UPDATE audit_entry SET id = 4 WHERE id = 5",
        "UPDATE audit_entry SET id = 5 WHERE id = 6",
    ),
    "reordered": (
        "UPDATE audit_entry SET id = 99 WHERE id = 3",
        "UPDATE audit_entry SET id = 3 WHERE id = 4",
        "UPDATE audit_entry SET id = 4 WHERE id = 99",
    ),
    "truncated": ("DELETE FROM audit_entry WHERE id > 4",),
    "emptied": ("DELETE FROM audit_entry",),
    "emptied with anchors": ("DELETE FROM audit_anchor", "DELETE FROM audit_entry"),
    "forged entry": (f"INSERT INTO audit_entry {FORGED} FROM audit_entry WHERE id = 6",),
}


@pytest.mark.parametrize("how", TAMPERINGS)
async def test_tampering_is_found(journal: Journal, how: str) -> None:
    await journal.write(6)
    await journal.keeper.keep_head()
    await journal.tamper(*TAMPERINGS[how])
    report = await journal.verify()
    assert report.findings, how
    assert all(finding.text.endswith(".") for finding in report.findings)


async def test_a_chain_computed_again_is_found_by_the_last_known_end_and_by_an_anchor_elsewhere(
    journal: Journal,
) -> None:
    await journal.write(6)
    await journal.keeper.anchor()
    await journal.keeper.keep_head()
    elsewhere = journal.settings.data_dir / "copie.jsonl"
    shutil.copy(journal.settings.data_dir / "usb" / anchors.EXPORTED, elsewhere)
    await journal.tamper("DELETE FROM audit_anchor", "DELETE FROM audit_entry")
    await journal.write(6)
    assert {f.kind for f in (await journal.verify()).findings} == {"rewritten"}
    # With the NAS's own files rewritten too, the copy that lies elsewhere still knows.
    shutil.rmtree(anchors.folder(journal.settings))
    assert (await journal.verify()).findings == []
    found = {f.kind for f in (await journal.verify(elsewhere)).findings}
    assert found == {"rewritten", "anchor"}


async def test_a_forged_anchor_is_told_from_a_signed_one(journal: Journal) -> None:
    await journal.write()
    await journal.keeper.anchor()
    file = journal.settings.data_dir / "usb" / anchors.EXPORTED
    forged = json.loads(file.read_text()) | {"hash": "0" * 64}
    file.write_text(json.dumps(forged) + "\nnot an anchor\n")
    texts = [finding.text for finding in (await journal.verify(file)).findings]
    assert any("signature fausse" in said for said in texts)
    assert any("illisible" in said for said in texts)


async def test_a_lost_end_stays_a_finding_after_the_next_start(journal: Journal) -> None:
    await journal.write(6)
    await journal.keeper.keep_head()
    await journal.keeper.stop()
    await journal.tamper("DELETE FROM audit_entry WHERE id > 3")
    again = Keeper(journal.units, journal._alarm)  # the centre starts again
    await again.open()
    await journal.write(8)
    await again.turn()
    assert any("audit.broken" in alarm for alarm in journal.alarms)
    assert [f.kind for f in (await journal.verify()).findings] == ["rewritten"]


async def test_the_database_is_checked_and_anchored_once_a_day(journal: Journal) -> None:
    await journal.write()
    for hours in (0, 1, 24):
        journal.clock.moment += timedelta(hours=hours)
        await journal.keeper.turn()
    async with journal.units.reading() as uow:
        assert len(await anchors.anchors(uow)) == 2
        assert await audit.count(uow, Search(what="audit.verify")) == 2
    lines = (journal.settings.data_dir / "usb" / anchors.EXPORTED).read_text().splitlines()
    assert [anchors.parse(line).is_signed for line in lines] == [True, True]
    assert (anchors.key_path(journal.settings).stat().st_mode & 0o077) == 0


async def test_erasing_a_text_breaks_nothing_and_is_written_down(journal: Journal) -> None:
    async with journal.units.begin() as uow:
        one = await audit.record(uow, who="p-1", what="programmes.validate", subject="programme:1",
                                 comment=audit.erasable("vu avec Opérateur 7"), version=2)  # fmt: skip
        await audit.record(
            uow, who="p-2", what="programmes.validate", subject="programme:2", comment=audit.erasable("bon")
        )
    async with journal.units.begin() as uow:
        assert await audit.erase_notes(uow, [one, 99], who="system", what="audit.erase", subject="person:p-1") == 1
        assert await audit.erase_notes(uow, [one], who="system", what="audit.erase", subject="person:p-1") == 0
    async with journal.units.reading() as uow:
        shown = await audit.search(uow, Search(what="programmes"))
        assert [view.detail["comment"] for view in shown] == ["bon", "(effacé)"]
        raw = [row[0] for row in await uow.session.execute(text("SELECT text FROM audit_note ORDER BY id"))]
        assert raw == [None, "bon"]
        details = [row[0] for row in await uow.session.execute(text("SELECT detail FROM audit_entry"))]
        assert not any("Opérateur" in detail for detail in details)
    report = await journal.verify()
    assert (report.findings, report.notes_erased) == ([], 1)
    await journal.tamper("UPDATE audit_note SET text = NULL, salt = NULL, erased_by = 3 WHERE entry_id = 2")
    assert [f.kind for f in (await journal.verify()).findings] == ["note"]


async def test_search_by_person_thing_date_and_action(journal: Journal) -> None:
    await journal.write(10)
    async with journal.units.begin() as uow:
        await audit.record(uow, who="p-0", what="stockage.x", subject="item%", person="p-0")
    async with journal.units.reading() as uow:

        async def ids(**wanted: object) -> list[int]:
            return [view.id for view in await audit.search(uow, Search(**wanted))]  # type: ignore[arg-type]

        assert await ids(who="p-1") == [10, 8, 6, 4, 2]
        assert await ids(subject="item:3") == [4]
        assert await ids(subject="item%") == [11]
        assert len(await ids(what="stock")) == 10
        assert await ids(what="stockage.x") == [11]
        assert await ids(begin=NOW + timedelta(seconds=9), end=NOW + timedelta(seconds=10)) == [9]
        assert [v.id for v in await audit.search(uow, Search(), before=4, limit=2)] == [3, 2]
        assert await audit.verbs(uow) == ["stock.receive", "stockage.x"]
        assert [v.id for v in await audit.about(uow, "p-0")] == [1, 3, 5, 7, 9, 11]
        # What comes from a page's fields never becomes SQL.
        assert await ids(subject="x' OR '1'='1") == await ids(who="' --") == await ids(what="%") == []


async def test_an_act_that_is_rolled_back_leaves_no_entry_and_no_hole(journal: Journal) -> None:
    await journal.write(2)

    class Stop(Exception):
        pass

    async def fail() -> None:
        async with journal.units.begin() as uow:
            await audit.record(uow, who="p-1", what="stock.receive", subject="item:9")
            raise Stop

    with pytest.raises(Stop):
        await fail()
    await journal.write(2)
    report = await journal.verify()
    assert (report.entries, report.findings) == (4, [])
