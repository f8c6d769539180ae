"""The four levels of an alert, the gravest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["critical", "high", "medium", "info"]

LEVELS: Final[tuple[Level, ...]] = ("critical", "high", "medium", "info")
LABELS: Final[dict[Level, str]] = {"critical": "Critique", "high": "Haute", "medium": "Moyenne", "info": "Information"}
ESCALATION: Final[dict[Level, timedelta | None]] = {
    "critical": timedelta(minutes=2),
    "high": timedelta(minutes=15),
    "medium": timedelta(hours=1),
    "info": None,
}
"""How long an alert of each level may stay unseen before it goes further (ALR-2)."""


def graver(one: Level, other: Level) -> Level:
    return min(one, other, key=LEVELS.index)


def overdue(level: Level, raised_at: datetime, now: datetime) -> bool:
    """Whether an alert that nobody has seen should have gone further by now."""
    delay = ESCALATION[level]
    return delay is not None and now - raised_at > delay
