"""What an agent and the process that watches a rack say to each other over its standard input and output."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from contracts.facts import AskReason, Mode, ReadReason
from contracts.racks import RackDescription

RackMode: TypeAlias = Literal["counting", "restocking", "blind"]
SlotState: TypeAlias = Literal["seen", "masked", "foreign", "stacked", "hidden", "unlike", "unreadable"]


# Agent → process. What carries an `id` is answered or applied; the agent keeps it on its disk until then.


class BeMode(msgspec.Struct, frozen=True, tag="mode"):
    """Restocking begins or ends."""

    id: str
    mode: Literal["counting", "restocking"]


class HaveCount(msgspec.Struct, frozen=True, tag="count"):
    """A person said how many pieces lie in a place."""

    id: str
    slot: str
    count: int


class HaveMoved(msgspec.Struct, frozen=True, tag="moved"):
    """A person looked at what a camera that moved proposes."""

    id: str
    accept: bool


class BeTaught(msgspec.Struct, frozen=True, tag="taught"):
    """A new description; places that are in both keep what was learnt of them. Answered."""

    id: str
    rack: RackDescription


class UseModel(msgspec.Struct, frozen=True, tag="model"):
    """Try this detector and this judge (None: the program's own), and go on with them. Answered."""

    id: str
    detector: str | None
    judge: str | None


class Show(msgspec.Struct, frozen=True, tag="show"):
    """Say `Picture`, once or once a second. Answered where there is no picture."""

    id: str
    seconds: float


class Wake(msgspec.Struct, frozen=True, tag="wake"):
    """A beam or door opened or closed: the camera is watched at its full rate while it is open."""

    awake: bool


Correction: TypeAlias = BeMode | HaveCount | HaveMoved
"""What waits on the agent's disk until a snapshot holds it."""
Told: TypeAlias = Correction | BeTaught | UseModel | Show | Wake


class Order(msgspec.Struct, frozen=True):
    """What to watch. `snapshot`: JSON of the last one saved, None on the first start; `pending` is not in it yet."""

    source: str
    rack: str
    fps: float
    loop: bool
    detector: str
    model: str | None
    """The detector's file; None: the program's own."""
    judge: str | None
    snapshot: bytes | None
    trusted: bool = True
    """False: the snapshot may be older than what was said since (an outbox that went back in time)."""
    pending: list[Correction] = []
    idle_fps: float = 0.0
    """Rate while nobody woke it; 0: always the full one."""


# Process → agent.


class Change(msgspec.Struct, frozen=True, tag="change"):
    """A place whose count changed; `at` is aware UTC of this machine's wall clock.

    `transfer`: the other slot of one item moved. `before`, `after`: JPEGs, empty where there is none.
    """

    slot: str
    item: str
    delta: int
    before_count: int | None
    after_count: int | None
    confidence: float
    mode: Mode
    at: datetime
    session: int
    before: bytes
    after: bytes
    model: str
    why: str
    during_absence: bool
    transfer: str = ""


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """A place that a session touched, and no number can be said. `guess`: pieces that came or left."""

    slot: str
    item: str
    reason: AskReason
    at: datetime
    guess: int | None
    before_count: int | None
    confidence: float
    session: int
    before: bytes
    after: bytes
    model: str
    why: str
    during_absence: bool


class Seen(msgspec.Struct, frozen=True):
    """One place of a reading."""

    slot: str
    item: str
    count: int | None
    present: bool | None
    state: SlotState
    since: datetime | None
    confidence: float


class Read(msgspec.Struct, frozen=True, tag="read"):
    """What lies in the rack, absolutely."""

    why: ReadReason
    at: datetime
    session: int
    slots: list[Seen]
    model: str


class ModeIs(msgspec.Struct, frozen=True, tag="mode_is"):
    """How the rack is watched from `at` on. `code`: of the contract, ``ok`` while it sees."""

    mode: RackMode
    code: str
    detail: str
    at: datetime
    before: bytes = b""
    after: bytes = b""


Word: TypeAlias = Change | Ask | Read | ModeIs


class Watching(msgspec.Struct, frozen=True, tag="watching"):
    """Frames come."""


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """What is to be recorded together: words, the snapshot behind them, and the corrections that are in it."""

    words: list[Word]
    snapshot: bytes
    applied: list[str] = []


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What came of a `BeTaught`, `UseModel` or `Show`; French."""

    id: str
    done: bool
    french: str


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """The rack now: its outline only, hands masked. For those that asked."""

    ids: list[str]
    jpeg: bytes


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """The camera does not answer; it is tried again."""

    message: str


class Unusable(msgspec.Struct, frozen=True, tag="unusable"):
    """It cannot go on like this: `code`, what, and what to do in French."""

    code: str
    message: str
    french: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The recording is over."""


Said: TypeAlias = Watching | Settled | Answer | Picture | Gone | Unusable | Ended


HEAD: Final = 8


def packed(message: Said | Order | Told) -> bytes:
    """One message without its frame."""
    return msgspec.msgpack.encode(message)


def framed(number: int, payload: bytes) -> bytes:
    """Four bytes of length, four of the rack's number in this process (a new one at each of its starts, which may be
    two a minute for years), the message; an empty one is the end.
    """
    return len(payload).to_bytes(4, "big") + number.to_bytes(4, "big") + payload


def head(frame: bytes) -> tuple[int, int]:
    """Length and number of what follows the first `HEAD` bytes."""
    return int.from_bytes(frame[:4], "big"), int.from_bytes(frame[4:HEAD], "big")
