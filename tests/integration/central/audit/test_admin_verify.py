"""``copeau admin verify``: says that the journal is whole, or which line is not, and exits accordingly."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from central import migrations
from central.audit import anchors
from central.audit import service as audit
from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import Units
from copeau.commands import admin_journal


async def written(url: str, folder: Path) -> None:
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(migrations.upgrade)
    units = Units(database, Settings(_env_file=None, database_url=url, data=folder))
    async with units.begin() as uow:
        for number in range(5):
            await audit.record(uow, who="p-1", what="stock.receive", subject=f"item:{number}")
        await anchors.drop_anchor(uow, anchors.Signer(units.settings))
    await database.close()


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'copeau.db'}"
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, written(url, tmp_path)).result()
    return url


def test_a_whole_journal_and_a_changed_one(url: str, tmp_path: Path) -> None:
    run = CliRunner()
    whole = run.invoke(admin_journal.verify, ["--database", url])
    assert (whole.exit_code, "entier" in whole.output) == (0, True), whole.output
    kept = tmp_path / "clef-usb.jsonl"
    kept.write_text(run.invoke(admin_journal.anchors, ["--database", url]).output)
    database = sqlite3.connect(tmp_path / "copeau.db")
    database.execute("DROP TRIGGER audit_entry_no_update")
    database.execute("UPDATE audit_entry SET who = 'p-9' WHERE id = 2")
    database.commit()
    changed = run.invoke(admin_journal.verify, ["--database", url, "--anchors", str(kept), "--json"])
    assert changed.exit_code == 1
    assert [(f["kind"], f["id"]) for f in json.loads(changed.output)["findings"]] == [("changed", 2)]
    database.execute("DROP TRIGGER audit_entry_no_delete")
    database.execute("DROP TRIGGER audit_anchor_no_delete")
    database.execute("DELETE FROM audit_entry")
    database.execute("DELETE FROM audit_anchor")
    database.commit()
    emptied = run.invoke(admin_journal.verify, ["--database", url, "--anchors", str(kept)])
    assert emptied.exit_code == 1
    assert "s'arrête à la ligne 0" in emptied.output


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    failed = CliRunner().invoke(admin_journal.verify, ["--database", f"sqlite:///{tmp_path / 'none.db'}"])
    assert failed.exit_code == 2
    assert "Traceback" not in failed.output


def test_a_signature_that_nobody_made_is_named(url: str, tmp_path: Path) -> None:
    run = CliRunner()
    assert "0 signatures" in run.invoke(admin_journal.verify, ["--database", url]).output
    database = sqlite3.connect(tmp_path / "copeau.db")
    forged = (
        "1, 0, 'OF9-20', 'p-1', 'conform', '{}', '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a'"
    )
    database.execute(f"INSERT INTO signature (entry_id, at, operation, person, meaning, text, hash) VALUES ({forged})")
    database.commit()
    found = run.invoke(admin_journal.verify, ["--database", url])
    assert (found.exit_code, "La signature n° 1 (OF9-20)" in found.output) == (1, True), found.output
