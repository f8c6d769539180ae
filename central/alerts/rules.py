"""The four levels of an alert, the gravest first."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["critical", "high", "medium", "info"]

LEVELS: Final[tuple[Level, ...]] = ("critical", "high", "medium", "info")
LABELS: Final[dict[Level, str]] = {"critical": "Critique", "high": "Haute", "medium": "Moyenne", "info": "Information"}


def graver(one: Level, other: Level) -> Level:
    return min(one, other, key=LEVELS.index)
