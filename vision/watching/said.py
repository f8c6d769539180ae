"""What a watcher says. Times are seconds on the clock of the frames; JPEGs have nobody's hand in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from contracts.facts import AskReason, Mode, ReadReason
from vision.watching.rules import SeenState

RackMode: TypeAlias = Literal["counting", "restocking", "blind"]


@dataclass(frozen=True)
class SlotChange:
    """A place whose count changed.

    Attributes:
        slot: its id.
        delta: change of count.
        before_count, after_count: the counts.
        confidence: 0..1.
        mode: "auto" may be booked, "review" waits for a person.
        at: best estimate of the moment of the change.
        began, ended: first frame of the session and the frame at which it was compared.
        session: number of the session; 0 for what was found at the start, after a blindness or in a routine check.
        before_jpeg, after_jpeg: the place before and after.
        model: version of the judge.
        why: the reason, English, for the log and the review page.
        during_absence: it happened while nobody watched.
        transfer: the other place, when it went from place to place: both changes name each other and add to zero.
    """

    slot: str
    delta: int
    before_count: int
    after_count: int
    confidence: float
    mode: Mode
    at: float
    began: float
    ended: float
    session: int
    before_jpeg: bytes = field(repr=False)
    after_jpeg: bytes = field(repr=False)
    model: str
    why: str = ""
    during_absence: bool = False
    transfer: str | None = None


@dataclass(frozen=True)
class SlotAsk:
    """A place was touched and no number can be said: "combien ?". See `SlotChange` for what they share.

    Attributes:
        reason: why it asks.
        count_before: pieces there before, None when unknown.
        guess: the movement that it would have told, in pieces; None when it has no idea.
    """

    slot: str
    reason: AskReason
    count_before: int | None
    guess: int | None
    confidence: float
    at: float
    began: float
    ended: float
    session: int
    before_jpeg: bytes = field(repr=False)
    after_jpeg: bytes = field(repr=False)
    model: str
    why: str = ""
    during_absence: bool = False


@dataclass(frozen=True)
class PlaceSeen:
    """One place in a `Reading`; `count` is None where it cannot be read now, `since` when that began."""

    slot: str
    count: int | None
    state: SeenState
    since: float | None = None
    present: bool | None = None
    confidence: float = 1.0


@dataclass(frozen=True)
class Reading:
    """What lies in some places, absolutely. `session`: after which one, 0 for none. `whole`: all places are in it."""

    why: ReadReason
    at: float
    places: tuple[PlaceSeen, ...]
    session: int = 0
    whole: bool = False
    model: str = ""


@dataclass(frozen=True)
class ModeChange:
    """From `at` on the rack counts, is being restocked, or is blind.

    Attributes:
        code: why it is blind (`contracts.facts.RackModeChanged.code`), else "ok".
        detail: what was seen, English.
        before_jpeg, after_jpeg: of a camera that moved: the taught picture and the present one, with the proposed
            places.
    """

    mode: RackMode
    code: str
    at: float
    detail: str = ""
    before_jpeg: bytes = field(default=b"", repr=False)
    after_jpeg: bytes = field(default=b"", repr=False)


Said: TypeAlias = SlotChange | SlotAsk | Reading | ModeChange


def changes(said: Iterable[Said]) -> list[SlotChange]:
    """The movements among it."""
    return [one for one in said if isinstance(one, SlotChange)]


def asks(said: Iterable[Said]) -> list[SlotAsk]:
    """The questions among it."""
    return [one for one in said if isinstance(one, SlotAsk)]


def readings(said: Iterable[Said]) -> list[Reading]:
    """The absolute readings among it."""
    return [one for one in said if isinstance(one, Reading)]
