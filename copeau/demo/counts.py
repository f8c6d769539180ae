"""The demo's closing line: what happened, against what the books hold."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from central.core.settings import Settings
from central.inbox.models import FactStream, Quarantined, StoredFact
from central.machines.models import MachineCount
from central.offline import prepare
from central.stock.models import Observation

Seqs = dict[tuple[str, str], int]
"""(agent, stream) → facts made."""


def made_by_agents(outboxes: Iterable[tuple[str, Path]]) -> Seqs:
    """What each agent's outbox has numbered, settled or not."""
    made: Seqs = {}
    for agent, path in outboxes:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            for stream in ("facts", "samples"):
                row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (stream,)).fetchone()
                made[agent, stream] = int(row[0]) if row else 0
    return made


def backlog(agent: str, path: Path) -> Seqs:
    """Facts of an outbox that the centre has not acknowledged yet."""
    waiting: Seqs = {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        newest = "SELECT stream, base + acked FROM boots WHERE number = (SELECT max(number) FROM boots)"
        for stream, settled in connection.execute(newest).fetchall():
            last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (stream,)).fetchone()
            waiting[agent, stream] = max(0, (int(last[0]) if last else 0) - settled)
    return waiting


def shown_by_cameras(directory: Path) -> Counter[tuple[str, str, int]]:
    """(rack, slot, ±1) → how often the cameras showed it."""
    shown: Counter[tuple[str, str, int]] = Counter()
    for path in directory.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            shown[event["rack"], event["slot"], event["delta"]] += 1
    return shown


async def closing_counts(
    settings: Settings, made: Seqs, waiting: Seqs, shown: Counter[tuple[str, str, int]]
) -> dict[str, Any]:
    """Compare what the sources made with what the centre holds, by identities and by effects.

    `waiting` facts are not acknowledged yet: they lie in their outbox, and are sent when it opens again.
    """
    async with prepare(settings) as units, units.reading() as uow:
        session = uow.session
        held = await session.execute(
            select(FactStream.agent, FactStream.stream, func.count())
            .join(StoredFact, StoredFact.stream_id == FactStream.id)
            .group_by(FactStream.agent, FactStream.stream)
        )
        committed: Seqs = {(agent, stream): count for agent, stream, count in held}
        seen = await _seen(session)
        doubled = sum(max(0, count - made.get(key, 0)) for key, count in committed.items())
        doubled += await _effects_twice(session)
        scans, parts = await _count(session, "code.scanned"), await session.scalar(select(func.sum(MachineCount.delta)))
        quarantined = await session.scalar(select(func.count()).select_from(Quarantined)) or 0
        clocked = await _count(session, "work.clocked")
    return {
        "facts_made": sum(made.values()),
        "committed": sum(committed.values()),
        "waiting": sum(waiting.values()),
        "lost": sum(max(0, n - waiting.get(key, 0) - committed.get(key, 0)) for key, n in made.items()),
        "doubled": doubled,
        "picks_true": sum(shown.values()),
        "picks_seen": sum((seen & shown).values()),
        "picks_false": sum((seen - shown).values()),
        "scans": scans,
        "clockings": clocked,
        "parts": int(parts or 0),
        "quarantined": quarantined,
    }


async def _seen(session: AsyncSession) -> Counter[tuple[str, str, int]]:
    """Changes that cameras reported, piece by piece."""
    from central.items.models import Place

    rows = await session.execute(
        select(Place.code, Observation.qty)
        .join(Place, Place.id == Observation.place_id)
        .where(Observation.source == "camera", Observation.nature == "move")
    )
    seen: Counter[tuple[str, str, int]] = Counter()
    for place, qty in rows:
        rack, _, slot = place.partition("/")
        seen[rack, slot, 1 if qty > 0 else -1] += abs(qty) // 1000
    return seen


async def _effects_twice(session: AsyncSession) -> int:
    """Facts whose effect stands twice: more observations, or more part counts, than facts."""
    observed = await _count(session, "stock.observed")
    observations = await session.scalar(
        select(func.count()).where(Observation.source == "camera", Observation.nature == "move")
    )
    counted = await _count(session, "machine.parts")
    counts = await session.scalar(select(func.count()).select_from(MachineCount))
    return max(0, (observations or 0) - observed) + max(0, (counts or 0) - counted)


async def _count(session: AsyncSession, kind: str) -> int:
    return await session.scalar(select(func.count()).where(StoredFact.kind == kind)) or 0
