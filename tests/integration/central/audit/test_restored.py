"""A backup that was put back: found, acknowledged by a person in the journal, and told ever after."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from central import migrations
from central.audit import anchors
from central.audit import service as audit
from central.audit.keeping import Keeper
from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import UnitOfWork, Units
from central.people import service as people
from central.people.account_models import Account
from copeau.commands import admin_journal, admin_restored


class Shop:
    """A centre's journal in a file, its anchors on a stick, and yesterday's backup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "copeau.db"
        self.url = f"sqlite:///{self.file}"
        self.usb = folder / "usb" / anchors.EXPORTED
        self.usb.parent.mkdir()
        self.alarms: list[str] = []

    def live(self, lines: int) -> None:
        """The centre runs: so many acts, an anchor, the last known end, a stop."""
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, self._live(lines)).result()

    async def _live(self, lines: int) -> None:
        database = Database(self.url)
        units = Units(database, Settings(_env_file=None, database_url=self.url, audit_anchors_dir=self.usb.parent))
        async with database.engine.begin() as connection:
            await connection.run_sync(migrations.upgrade)
        keeper = Keeper(units, self._alarm)
        await keeper.open()
        async with units.begin() as uow:
            if await uow.session.get(Account, "p-1") is None:
                await people.add_person(uow, "Propriétaire", person_id="p-1")
                uow.session.add(Account(person="p-1", login="patron", created_at=uow.now, owner=True))
            for number in range(lines):
                await audit.record(uow, who="p-1", what="stock.receive", subject=f"item:{number}")
        await keeper.anchor()
        await keeper.keep_head()
        await keeper.check()
        await database.close()

    async def _alarm(self, _uow: UnitOfWork, key: str, title: str, _text: str) -> None:
        self.alarms.append(f"{key}: {title}")

    def sql(self, *statements: str) -> None:
        with sqlite3.connect(self.file) as database:
            for statement in statements:
                database.execute(statement)

    def verify(self, *more: str) -> Result:
        return CliRunner().invoke(admin_journal.verify, ["--database", self.url, "--anchors", str(self.usb), *more])

    def acknowledge(self, login: str = "patron", why: str = "disque du NAS remplacé") -> Result:
        said = ["--database", self.url, "--anchors", str(self.usb), "--who", login, "--why", why, "--yes"]
        return CliRunner().invoke(admin_restored.restored, said)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Yesterday's backup is put back over a journal that went on."""
    made = Shop(tmp_path)
    made.live(5)
    assert (made.verify().exit_code, made.alarms) == (0, [])
    made.sql("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(made.file, tmp_path / "backup.db")
    made.live(8)
    for file in tmp_path.glob("copeau.db*"):
        file.unlink()
    shutil.copy(tmp_path / "backup.db", made.file)
    return made


def test_a_restored_backup_is_acknowledged_and_told_ever_after(shop: Shop) -> None:
    before = shop.verify()
    assert before.exit_code == 1, before.output
    assert "sauvegarde plus ancienne" in before.output
    done = shop.acknowledge()
    assert done.exit_code == 0, done.output
    assert "entre la ligne 6 et la ligne 14" in done.output
    after = shop.verify()
    assert after.exit_code == 3, after.output
    assert "Lignes perdues entre la ligne 6 et la ligne 14" in after.output
    assert "par p-1" in after.output
    assert "entier" not in after.output
    shop.live(20)  # beyond the lost lines: those numbers are others now
    later = shop.verify("--json")
    report = json.loads(later.output)
    assert (later.exit_code, report["findings"], len(report["losses"])) == (3, [], 1)
    assert {finding["kind"] for finding in report["explained"]} >= {"rewritten", "anchor"}
    assert [alarm for alarm in shop.alarms if "broken" in alarm] == []
    assert any("perte" in alarm for alarm in shop.alarms)
    assert "Rien ne manque" in shop.acknowledge().output


def test_what_is_removed_afterwards_is_no_acknowledged_loss(shop: Shop) -> None:
    assert shop.acknowledge().exit_code == 0
    shop.live(20)
    shop.sql(
        "DROP TRIGGER audit_entry_no_delete", "DROP TRIGGER audit_anchor_no_delete",
        "DELETE FROM audit_entry WHERE id > 10", "DELETE FROM audit_anchor WHERE entry_id > 10",
    )  # fmt: skip
    assert shop.verify().exit_code == 1


def test_a_rewritten_line_is_no_loss_of_a_backup(shop: Shop) -> None:
    shop.sql("DROP TRIGGER audit_entry_no_update", "UPDATE audit_entry SET who = 'p-9' WHERE id = 2")
    refused = shop.acknowledge()
    assert refused.exit_code == 1
    assert "n'explique pas" in refused.output
    assert shop.verify().exit_code == 1


def test_who_and_why_are_asked_for(shop: Shop) -> None:
    assert "Aucun compte actif" in shop.acknowledge(login="inconnu").output
    assert shop.acknowledge(why="  ").exit_code == 2
    assert shop.verify().exit_code == 1
