"""How facts find their consumers: a feature registers what it does with a kind, the inbox calls it with the new
ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeAlias, TypeVar

from central.core.uow import UnitOfWork
from contracts.facts import KINDS

B_co = TypeVar("B_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Fact(Generic[B_co]):
    """A fact that the inbox accepted for the first time.

    `at` is the event's time on the centre's clock, computed once; `uncertain` when the source's clock was never
    compared with ours. Of two facts of one source, the newer is the one with the higher `seq` of one `boot`.
    """

    id: int
    site: str
    agent: str
    kind: str
    at: datetime
    uncertain: bool
    source_time: datetime
    received_at: datetime
    body: B_co
    boot: str = ""
    stream: str = "facts"
    seq: int = 0
    run: str = ""

    def corrected(self, moment: datetime) -> datetime:
        """A time of the body, which is on the source's clock, on the centre's."""
        return moment + (self.at - self.source_time)


Consumer: TypeAlias = Callable[[UnitOfWork, Sequence[Fact[Any]]], Awaitable[None]]
"""Applies new facts of one kind, in any order of arrival. Called inside the inbox's transaction; raises to
quarantine.
"""


class Consumers:
    """Which features act on which kind, lower features first."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[Consumer]] = {}

    def on(self, kind: str, consumer: Consumer) -> None:
        if kind not in KINDS:
            raise ValueError(f"no such kind: {kind}")
        self._by_kind.setdefault(kind, []).append(consumer)

    def of(self, kind: str) -> Sequence[Consumer]:
        return self._by_kind.get(kind, ())
