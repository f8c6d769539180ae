"""What a rendered rack tells beside its pictures: what happened in which frame, and what a right system says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from vision.rendering.items import Image

SHOW_FPS: Final = 10.0
"""Frames a second of a `RackShow`."""

CASES: Final = (
    "take",
    "take_several",
    "take_slots",
    "put_back",
    "wrong_slot",
    "foreign_left",
    "two_hands",
    "two_people",
    "forearm",
    "box_taken",
    "moved_between",
    "turned_over",
    "slid",
    "nudged",
    "rag_left",
    "glove_left",
    "swarf_left",
    "cleared",
    "stacked",
    "lid_opened",
    "heap_touched",
    "nothing",
    "take_and_put_back",
    "restock",
    "take_in_fault",
)
"""take: one item · take_several: two to four of one slot · take_slots: one to two each of several slots · put_back: an
item comes back · wrong_slot: an item laid into a place of another item · foreign_left: a thing that is nobody's item ·
two_hands, two_people: two arms at once · forearm: an arm rests over places while one item is taken or none · box_taken:
a presence-only thing taken whole · moved_between: from one place to another of the same item · turned_over, slid,
nudged: the items stay in their place · rag_left, glove_left, swarf_left: places are masked · cleared: everything left
is taken away · stacked: an item laid on another · lid_opened: a box opened in place, something taken out, closed or not
· heap_touched: a hand in a heap · nothing: hands and no change · take_and_put_back · restock: many places filled ·
take_in_fault: a fault begins, something is taken, the fault ends."""

FAULTS: Final = (
    "moved",
    "turned",
    "covered",
    "dark",
    "frozen",
    "flicker",
    "dirt",
    "exposure",
    "closed",
    "partial",
)
"""Amounts: moved px · turned degrees · covered 0..1 share hidden · dark remaining light 0..1 · frozen none · flicker
0..1 depth · dirt 0..1 · exposure gain · closed none · partial 0..1 share still open."""

State = Literal["clear", "masked", "foreign", "stacked", "hidden", "open"]
Kind = Literal["auto", "ask", "nothing", "transfer", "later", "free"]


class Event(NamedTuple):
    """Physical truth in one frame: `delta` of its own items arrived in (+) or left (-) `slot`."""

    slot: str
    delta: int


@dataclass(frozen=True)
class Answer:
    """What a right system says of one slot when the session is over.

    Attributes:
        kind: ``auto`` the number `delta`, without a person · ``ask`` a question, any automatic number is wrong ·
            ``nothing`` silence · ``transfer`` `delta` pieces from `slot` to `to`, one movement · ``later`` the camera
            was blind: nothing now, the difference `delta` is found by the next absolute reading · ``free`` the place
            was masked, stacked or open before, or is touched at its rim: a question is right, and silence where `delta`
            is 0; a number is right when it is `delta`.
        slot: the place; every touched place has one answer.
        delta: change of the number of its own items.
        to: the other place of a transfer.
        why: one of the cases, or the state of the place that forbids a number.
    """

    kind: Kind
    slot: str
    delta: int = 0
    to: str | None = None
    why: str = ""


@dataclass(frozen=True)
class HandBox:
    """Where a hand or an arm is to be seen: ``x0, y0, x1, y1`` in image px."""

    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Shot:
    """One frame.

    Attributes:
        image: (H, W, 3) uint8 BGR, its own copy.
        events: what happened physically in this frame.
        answers: on the last frame of a session, what the right answers are; else empty.
        hands: the hands (fingers to wrist) in the picture.
        blind: a fault that forbids counting is on in this frame.
    """

    image: Image
    events: tuple[Event, ...] = ()
    answers: tuple[Answer, ...] = ()
    hands: tuple[HandBox, ...] = ()
    blind: bool = False


class CannotPlayError(ValueError):
    """The rack as it is now does not allow this case; the text says what is missing."""


@dataclass
class Played:
    """The running record of one session, for `RackShow.last`."""

    case: str
    events: list[Event] = field(default_factory=list)
    answers: tuple[Answer, ...] = ()
