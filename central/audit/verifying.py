"""The whole journal walked again: the chain, the erasable texts, the anchors here and those kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from sqlalchemy import func, select

from central.audit import anchors, rules
from central.audit.anchors import Anchor
from central.audit.models import AuditEntry, AuditNote
from central.core.uow import UnitOfWork

_AT_ONCE: Final = 2000


class Checked(NamedTuple):
    """What another feature found of what it keeps beside the journal."""

    what: str
    how_many: int
    findings: list[rules.Finding]


Check: TypeAlias = Callable[[UnitOfWork], Awaitable[Checked]]


@dataclass(slots=True)
class Report:
    entries: int = 0
    last: int = 0
    hash: str = rules.GENESIS
    notes_erased: int = 0
    anchors: int = 0
    """Of the database and of the files given, each counted once."""
    beside: dict[str, int] = field(default_factory=dict)
    """What was checked besides, and how many: ``signatures``."""
    findings: list[rules.Finding] = field(default_factory=list)
    losses: list[rules.Loss] = field(default_factory=list)
    """What was lost when backups were put back, as the journal itself says."""
    explained: list[rules.Finding] = field(default_factory=list)
    """Ends that are missing because of these losses."""
    agreed: list[rules.Mark] = field(default_factory=list)
    """Ends, known from elsewhere, that the journal agrees with."""

    @property
    def is_whole(self) -> bool:
        """Nothing is wrong and nothing was ever lost."""
        return not self.findings and not self.losses


async def verify(uow: UnitOfWork, files: Sequence[Path] = (), checks: Sequence[Check] = ()) -> Report:
    """Walk everything. `files` are exported anchors kept elsewhere; raises OSError when one cannot be read. `checks`
    are other features' own.
    """
    report = Report()
    marks = await _marks(uow, files, report)
    chain = rules.Chain(marks)
    kept: list[rules.Finding] = []
    last = 0
    while rows := await _page(uow, last):
        for entry in rows:
            chain.take(entry)
            if (loss := rules.loss_in(entry)) is not None:
                report.losses.append(loss)
        report.findings += await _notes(uow, rows)
        report.entries += len(rows)
        last = rows[-1].id
    chain.end()
    erased = await uow.session.scalar(select(func.count()).where(AuditNote.erased_by.is_not(None)))
    report.last, report.hash, report.notes_erased = chain.last, chain.hash, erased or 0
    for check in checks:
        checked = await check(uow)
        report.beside[checked.what] = checked.how_many
        report.findings += checked.findings
    report.agreed = chain.agreed
    for finding in sorted([*report.findings, *chain.findings], key=lambda f: (f.id, f.kind)):
        told = any(loss.explains(finding) for loss in report.losses)
        (report.explained if told else kept).append(finding)
    report.findings = kept
    return report


async def _page(uow: UnitOfWork, after: int) -> list[rules.Entry]:
    e = AuditEntry
    rows = await uow.session.execute(
        select(e.id, e.at, e.who, e.what, e.subject, e.detail, e.hash)
        .where(e.id > after)
        .order_by(e.id)
        .limit(_AT_ONCE)
    )
    return [rules.Entry(*row) for row in rows]


async def _notes(uow: UnitOfWork, entries: Sequence[rules.Entry]) -> list[rules.Finding]:
    n = AuditNote
    between = n.entry_id.between(entries[0].id, entries[-1].id)
    rows = await uow.session.execute(select(n.entry_id, n.name, n.salt, n.text, n.erased_by).where(between))
    notes = {(row.entry_id, row.name): rules.Note(*row) for row in rows}
    erasers = {note.erased_by for note in notes.values() if note.erased_by is not None}
    acts: dict[int, frozenset[int]] = {}
    for number in erasers:
        detail = await uow.session.scalar(select(AuditEntry.detail).where(AuditEntry.id == number))
        acts[number] = _named(detail or "")
    return list(rules.check_notes(entries, notes, acts))


def _named(detail: str) -> frozenset[int]:
    try:
        return frozenset(json.loads(detail)["notes"])
    except (ValueError, KeyError, TypeError):
        return frozenset()


async def _marks(uow: UnitOfWork, files: Sequence[Path], report: Report) -> list[rules.Mark]:
    """Every end of the chain that is known and well signed; the others are findings."""
    day = uow.settings.zone
    present = anchors.present_key(uow.settings)
    known: dict[str, tuple[Anchor, str]] = {}
    for anchor in await anchors.anchors(uow):
        known[anchor.line] = (anchor, f"l'ancre du {anchor.at.astimezone(day):%d/%m/%Y}")
    in_database = set(known)
    heads = anchors.heads(uow.settings)
    for path in [*files, *heads]:
        is_head = path in heads
        for line in filter(None, path.read_text(encoding="utf-8").splitlines()):
            try:
                anchor = anchors.parse(line)
            except ValueError:
                report.findings.append(rules.Finding("anchor", 0, f"{path} contient une ligne illisible."))
                continue
            moment = f"{anchor.at.astimezone(day):%d/%m/%Y %H:%M}"
            said = (
                f"la dernière ligne connue hors de la base ({moment})"
                if is_head
                else f"l'ancre du {moment} ({path.name})"
            )
            known.setdefault(anchor.line, (anchor, said))
            if not is_head and anchor.line not in in_database and anchor.site == uow.settings.site:
                report.findings.append(
                    rules.Finding(
                        "anchor", anchor.id, f"L'ancre du {moment} ({path.name}) n'est plus dans la base.", anchor.at
                    )
                )
    report.anchors = sum(not said.startswith("la dernière") for _, said in known.values())
    marks = []
    for anchor, said in known.values():
        if anchor.site != uow.settings.site:
            wrong = f"est celle d'un autre site ({anchor.site})"
        elif not anchor.is_signed:
            wrong = "porte une signature fausse"
        elif present is not None and anchor.key != present:
            wrong = "est signée par une autre clé que celle du centre (ancres.key)"
        else:
            marks.append(rules.Mark(anchor.id, anchor.hash, said, anchor.at))
            continue
        report.findings.append(rules.Finding("anchor", anchor.id, f"{said[:1].upper()}{said[1:]} {wrong}."))
    return marks
