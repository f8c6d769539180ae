"""Who was erased, in a file beside the database: a backup that is put back brings nobody back.

The file holds opaque ids and times only. It belongs to no backup of the database, and outlives it.
"""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import select

from central.core.settings import Settings
from central.core.uow import UnitOfWork
from central.people.models import Person
from central.privacy import persons

_FILE: Final = "personnes-effacees.jsonl"


def path_of(settings: Settings) -> Path:
    return settings.data_dir / _FILE


def note(settings: Settings, person: str, at: datetime) -> None:
    """After the commit that erased. Raises OSError."""
    line = json.dumps({"person": person, "at": at.isoformat(timespec="seconds")})
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    handle = os.open(path_of(settings), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(handle, "a", encoding="utf-8") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def noted(settings: Settings) -> dict[str, datetime]:
    """Person → when, the last time. A line that cannot be read is passed over: the file may end in half a line."""
    found: dict[str, datetime] = {}
    try:
        lines = path_of(settings).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            row = json.loads(line)
            found[row["person"]] = datetime.fromisoformat(row["at"])
        except (ValueError, KeyError, TypeError):
            continue
    return found


async def erase_again(uow: UnitOfWork) -> int:
    """Erase who was erased and is there again; how many."""
    erased = noted(uow.settings)
    if not erased:
        return 0
    back = await uow.session.scalars(select(Person).where(Person.erased_at.is_(None), Person.id.in_(erased)))
    # An id drawn anew after the erasure is another person.
    ids = [row.id for row in back if row.created_at <= erased[row.id]]
    for person in ids:
        await persons.erase(uow, person, by="system", why="restored")
    return len(ids)
