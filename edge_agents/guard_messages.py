"""What an agent and the guard's process say to each other over its standard input and output."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from cnc_bridge.guard.acting import Outcome
from cnc_bridge.guard.track import Level


class Order(msgspec.Struct, frozen=True):
    """What to guard. `machine`: the tables of a machine's configuration; `memory`: the file of learnt limits."""

    machine: dict[str, Any]
    memory: str
    armed: bool


class Rearm(msgspec.Struct, frozen=True, tag="rearm"):
    """Agent → process: a person lets it hold again."""


class Forget(msgspec.Struct, frozen=True, tag="forget"):
    """Agent → process: this programme is not what it was; what was learnt of it counts no more."""

    programme: str


Told: TypeAlias = Rearm | Forget


class Watching(msgspec.Struct, frozen=True, tag="watching"):
    """It sees: the guarded signals, and how many envelopes it knows."""

    signals: list[str]
    envelopes: int


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    """It turns: said every `guard_process.BEAT_S`, whether it sees or not."""


class Blind(msgspec.Struct, frozen=True, tag="blind"):
    """It does not see. `french` says what failed and the next step."""

    code: str
    message: str
    french: str


class Tripped(msgspec.Struct, frozen=True, tag="tripped"):
    """A verdict, what came of it, and the curve. `at` is aware UTC; `points` are (ms after `t0`, value, limit)."""

    at: datetime
    level: Level
    signal: str
    unit: str
    value: float
    limit: float
    why: str
    outcome: Outcome
    programme: str | None
    tool: str | None
    sample_age_ms: float | None
    latency_ms: float | None
    stop_ms: float | None
    feed: float | None
    travel_mm: float | None
    t0: datetime
    points: list[tuple[int, float, float | None]]


class Disarmed(msgspec.Struct, frozen=True, tag="disarmed"):
    """It commanded a hold, just now: it does so again only once re-armed."""


class Armed(msgspec.Struct, frozen=True, tag="armed"):
    """A person re-armed it, and it knows."""


class Unusable(msgspec.Struct, frozen=True, tag="unusable"):
    """It cannot go on like this: `code`, what, and what to do in French."""

    code: str
    message: str
    french: str


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    """Something that a person should know, while it goes on: `french` for the page, "" when it is over."""

    code: str
    french: str


Said: TypeAlias = Alive | Watching | Blind | Tripped | Disarmed | Armed | Unusable | Noted


def framed(message: Said | Order | Told) -> bytes:
    """One message: four bytes of length, then MessagePack."""
    payload = msgspec.msgpack.encode(message)
    return len(payload).to_bytes(4, "big") + payload
