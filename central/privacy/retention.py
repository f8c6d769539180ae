"""The retention table: one file (``retention.toml``), and what the shop changed of it. Read once, at the start."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

_TABLE: Final = Path(__file__).with_name("retention.toml")
OWN: Final = "conservation.toml"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of data. The texts are French."""

    key: str
    what: str
    days: int
    most: int
    """No setting keeps it longer."""
    then: str
    why: str

    def before(self, now: datetime) -> datetime:
        """What is older than that goes."""
        return now - timedelta(days=self.days)


class RetentionError(RuntimeError):
    """The shop's own durations cannot be used; the text says which line and the fix."""


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule]


def rules(folder: Path | None = None) -> tuple[Rule, ...]:
    """The table, with the durations of ``conservation.toml`` in `folder`. Raises `RetentionError`, OSError."""
    found = msgspec.convert(tomllib.loads(_TABLE.read_text(encoding="utf-8")), _Table).rule
    own = folder / OWN if folder is not None else None
    if own is None or not own.is_file():
        return tuple(found)
    try:
        changed = tomllib.loads(own.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise RetentionError(f"{own}: {error}") from error
    return tuple(_applied(found, changed, own))


def _applied(found: list[Rule], changed: Mapping[str, Any], own: Path) -> list[Rule]:
    by_key = {rule.key: rule for rule in found}
    for key, days in changed.items():
        rule = by_key.get(key)
        if rule is None:
            raise RetentionError(f"{own}: nothing is called {key!r}; known: {', '.join(by_key)}")
        if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= rule.most:
            raise RetentionError(f"{own}: {key} = {days!r}: whole days, from 1 to {rule.most}")
        by_key[key] = msgspec.structs.replace(rule, days=days)
    return list(by_key.values())
