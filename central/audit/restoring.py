"""A backup that was put back: what was written after it is lost. A person says so in the journal, and it stays told.

Nothing is rewritten. Who would hide a removal this way leaves a line with a name, and every later check tells the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from central.audit import rules, service
from central.audit.rules import Finding, Mark
from central.audit.verifying import verify
from central.core.uow import UnitOfWork

_NOTHING: Final = "Rien ne manque que ces ancres connaissent : il n'y a pas de perte à reconnaître."


class NoRestoreError(ValueError):
    """What is wrong is not what a backup leaves. The text is French."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Of the lines from `after` + 1 to `upto`, those that were written after the backup."""

    after: int
    upto: int
    known_at: datetime
    """When the last lost end was signed."""
    findings: tuple[Finding, ...]

    @property
    def text(self) -> str:
        return f"Lignes perdues : entre la ligne {self.after + 1} et la ligne {self.upto}."


async def find_lost(uow: UnitOfWork, files: Sequence[Path]) -> Lost:
    """What the anchors of `files`, and those beside the database, know and the journal does not hold.

    Raises `NoRestoreError`, OSError.
    """
    report = await verify(uow, files)
    return judge(report.findings, report.agreed)


def judge(findings: Sequence[Finding], agreed: Sequence[Mark]) -> Lost:
    """Raises `NoRestoreError` where something else is wrong: a backup leaves a whole journal that ends too early, and
    what agrees with the journal beyond that end was signed after everything that is missing.
    """
    missing = [(finding.id, finding.known_at) for finding in findings if finding.known_at is not None]
    others = [finding for finding in findings if finding.known_at is None]
    if others:
        raise NoRestoreError(f"Une sauvegarde remise n'explique pas ceci : {others[0].text}")
    if not missing:
        raise NoRestoreError(_NOTHING)
    first, upto = min(number for number, _ in missing), max(number for number, _ in missing)
    known_at = max(at for _, at in missing)
    before = [mark.id for mark in agreed if mark.at is None or mark.at <= known_at]
    if any(number >= first for number in before):
        raise NoRestoreError(
            f"Une sauvegarde remise n'explique pas ceci : des lignes manquent avant la ligne {upto}, alors que des "
            "suivantes, signées avant la perte, sont là."
        )
    return Lost(max(before, default=0), upto, known_at, tuple(findings))


async def acknowledge(uow: UnitOfWork, lost: Lost, *, who: str, why: str) -> int:
    """Write down who says that a backup was put back, and why; the entry's number. `who`: an opaque person id."""
    return await service.record(
        uow, who=who, what=rules.RESTORED, subject="journal", after=lost.after, upto=lost.upto,
        known_at=lost.known_at.isoformat(), why=service.erasable(why),
    )  # fmt: skip
