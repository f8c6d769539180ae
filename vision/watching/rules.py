"""What may be said of one look at the places: judgements in, movements, questions and states out. Pure: no pictures.

The *book* holds for each place the count that everything said so far adds up to. From that follow the promises
(docs/decisions/0018):

- the sum of the deltas said is the difference of the book, whatever was missed, cut in two or restarted;
- a movement or a question, never both for the same pieces: a place that was asked about has no count in the book until
  it is seen again or a person says it, and what is seen then is a reading, not a movement;
- no number for a place that cannot be seen: its last count stays in the book, and what lies there once it is free is
  compared with that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from contracts.facts import AskReason, Mode
from contracts.racks import SlotKind

SeenState: TypeAlias = Literal["seen", "masked", "foreign", "stacked", "hidden", "unlike", "unreadable"]
ANY_CLASS = "any"


class Occasion(StrEnum):
    """Why the places were looked at."""

    SESSION = "session"
    """A hand came and went: what changed is certain as far as the judge is."""
    HELD = "held"
    """Someone rests in the picture: what is not under the arm, for review."""
    CHECK = "check"
    """Nobody came: what changed unseen, for review."""
    ABSENCE = "absence"
    """After a start or a blindness: what changed meanwhile, for review."""
    RESTOCKING = "restocking"
    """Mode rangement: the book follows, nothing is said."""


@dataclass(frozen=True)
class Place:
    """What the rules know of a place: see `contracts.racks.SlotDescription`."""

    id: str
    item: str = ""
    klass: str = ANY_CLASS
    kind: SlotKind = SlotKind.COUNTABLE
    capacity: int | None = None


@dataclass(frozen=True)
class Entry:
    """One place in the book.

    Attributes:
        count: what all that was said adds up to; None: unknown.
        state: how it was last seen.
        since: from when on it has not been seen, seconds; None while it is.
    """

    count: int | None
    state: SeenState = "seen"
    since: float | None = None


Book: TypeAlias = Mapping[str, Entry]


@dataclass(frozen=True)
class View:
    """One place as the judge sees it now.

    Attributes:
        slot: its id.
        count: pieces there now; None when they cannot be told.
        mode: "auto", "review", "ask", or "none" when nothing happened.
        state: how it is seen.
        reason: why it asks, with mode "ask".
        confidence: 0..1.
        why: the judge's reason, English.
        at: best estimate of the moment of the change, seconds.
        assumed: what the judge now knows to have lain there, where the book's count was nobody's word but an
            assumption at the start; else None.
        guess: the count that it would say if it had to.
    """

    slot: str
    count: int | None
    mode: Literal["auto", "review", "ask", "none"] = "auto"
    state: SeenState = "seen"
    reason: AskReason | None = None
    confidence: float = 1.0
    why: str = ""
    at: float = 0.0
    assumed: int | None = None
    guess: int | None = None


@dataclass(frozen=True)
class Change:
    """A movement at a place; `transfer` names the other place of one that went from place to place."""

    slot: str
    before: int
    after: int
    confidence: float
    mode: Mode
    at: float
    why: str
    transfer: str | None = None
    during_absence: bool = False

    @property
    def delta(self) -> int:
        return self.after - self.before


@dataclass(frozen=True)
class Ask:
    """A place was touched, and nobody but a person can say how many; `guess` is the likely movement in pieces."""

    slot: str
    reason: AskReason
    before: int | None
    guess: int | None
    confidence: float
    at: float
    why: str
    during_absence: bool = False


@dataclass(frozen=True)
class Outcome:
    """What is to be said, and the book once it is said.

    Attributes:
        book: all places.
        changes, asks: at most one ask a place, never both for one place.
        lost: places that cannot be seen any more, so far without a number.
        freed: places that can be seen again.
    """

    book: dict[str, Entry]
    changes: tuple[Change, ...] = ()
    asks: tuple[Ask, ...] = ()
    lost: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()


@dataclass
class _Sheet:
    """An outcome while it is written."""

    book: dict[str, Entry]
    changes: list[Change] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)


def settle(book: Book, places: Mapping[str, Place], views: Iterable[View], occasion: Occasion) -> Outcome:
    """What the views of some places mean for the book.

    Args:
        book: every place that has been taught.
        places: their descriptions, by id.
        views: at most one a place; places without one were not looked at.
        occasion: why they were looked at.
    """
    sheet = _Sheet(dict(book))
    for view in views:
        _enter(sheet, places[view.slot], view, occasion)
    changes = sheet.changes
    if occasion is Occasion.SESSION:
        changes = _transfers(changes, places)
        if any(ask.reason in ("foreign", "unlike") for ask in sheet.asks):
            changes = [_doubted(c, "something else came to another place") if c.delta < 0 else c for c in changes]
    return Outcome(sheet.book, tuple(changes), tuple(sheet.asks), tuple(sheet.lost), tuple(sheet.freed))


def say_count(book: Book, slot: str, count: int) -> dict[str, Entry]:
    """The book after a person said what lies in a place."""
    return {**book, slot: replace(book[slot], count=count)}


def readable(place: Place, entry: Entry) -> bool:
    """Whether the book's count of the place may be given as what is seen there now."""
    return place.kind is not SlotKind.HIDDEN and entry.state == "seen"


def _enter(sheet: _Sheet, place: Place, view: View, occasion: Occasion) -> None:
    entry = sheet.book[place.id]
    if view.assumed is not None and entry.count is not None:
        entry = replace(entry, count=view.assumed)
    if place.kind is SlotKind.HIDDEN:
        _enter_hidden(sheet, entry, view, occasion)
    elif view.state in ("masked", "unreadable"):
        _enter_unseen(sheet, entry, view)
    elif view.mode == "ask" or view.state in ("stacked", "unlike"):
        _enter_question(sheet, entry, view, occasion)
    elif view.count is None or view.state != "seen":
        if view.mode != "none" or view.state != "seen":
            _enter_unseen(sheet, entry, view)
    else:
        _enter_count(sheet, place, entry, view, view.count, occasion)


def _enter_hidden(sheet: _Sheet, entry: Entry, view: View, occasion: Occasion) -> None:
    """A heap or a closed box: touched, it asks. What else is seen there (a rag on it) changes nothing in that."""
    if occasion is Occasion.RESTOCKING:
        sheet.book[view.slot] = Entry(None, "hidden")
    elif view.mode != "none":
        ask = replace(_ask(entry, view, occasion), reason="hidden", guess=None)
        sheet.asks.append(ask)
        sheet.book[view.slot] = Entry(None, "hidden")


def _enter_question(sheet: _Sheet, entry: Entry, view: View, occasion: Occasion) -> None:
    since = entry.since if entry.state == view.state else view.at
    new = Entry(None, view.state, None if view.state == "seen" else since)
    again = entry.count is None and entry.state == view.state
    unsaid = view.mode == "none" if again else False
    if occasion is not Occasion.RESTOCKING and not unsaid and not (again and occasion is not Occasion.SESSION):
        sheet.asks.append(_ask(entry, view, occasion))
    if entry.state == "seen" and new.state != "seen":
        sheet.lost.append(view.slot)
    sheet.book[view.slot] = new


def _enter_unseen(sheet: _Sheet, entry: Entry, view: View) -> None:
    """Masked: the count stays in the book for the day when it is free."""
    state = "unreadable" if view.state == "seen" else view.state
    since = view.at if entry.since is None else entry.since
    if entry.since is None or entry.state != state:
        sheet.lost.append(view.slot)
    sheet.book[view.slot] = Entry(entry.count, state, since)


def _enter_count(sheet: _Sheet, place: Place, entry: Entry, view: View, count: int, occasion: Occasion) -> None:
    if entry.state != "seen":
        sheet.freed.append(view.slot)
    sheet.book[view.slot] = Entry(count)
    if entry.count is None or entry.count == count or occasion is Occasion.RESTOCKING:
        return
    change = Change(
        slot=view.slot,
        before=entry.count,
        after=count,
        confidence=view.confidence,
        mode="auto" if view.mode == "auto" else "review",
        at=view.at,
        why=view.why,
        during_absence=occasion is Occasion.ABSENCE,
    )
    if occasion is not Occasion.SESSION:
        change = _doubted(change, "" if occasion is Occasion.ABSENCE else "nobody was seen to do it")
    elif entry.state != "seen":
        change = _doubted(change, f"it was {entry.state} meanwhile")
    elif place.capacity is not None and count > place.capacity:
        change = _doubted(change, f"more than the {place.capacity} that it holds")
    sheet.changes.append(change)


def _ask(entry: Entry, view: View, occasion: Occasion) -> Ask:
    reason: AskReason = view.reason or _REASONS.get(view.state, "unlike")
    likely = view.guess if view.count is None else view.count
    guess = None if entry.count is None or likely is None else likely - entry.count
    absent = occasion is Occasion.ABSENCE
    return Ask(view.slot, reason, entry.count, guess, view.confidence, view.at, view.why, absent)


_REASONS: dict[SeenState, AskReason] = {
    "masked": "masked",
    "foreign": "foreign",
    "stacked": "stacked",
    "hidden": "hidden",
    "unlike": "unlike",
    "unreadable": "masked",
    "seen": "many",
}


def _doubted(change: Change, why: str) -> Change:
    text = "; ".join(part for part in (change.why, why) if part)
    return replace(change, mode="review", why=text)


def _transfers(changes: list[Change], places: Mapping[str, Place]) -> list[Change]:
    """Pair what left one place with what came to another in the same session.

    The same item: a transfer, automatic when both ends are. Another item of the same class (or of no class): probably
    the wrong place, both ends for review. Another class that the judge knew: two movements. Each pair adds to zero; a
    change of several pieces is split, so that `before`/`after` of the parts follow one another.
    """
    took = {c.slot: -c.delta for c in changes if c.delta < 0}
    put = {c.slot: c.delta for c in changes if c.delta > 0}
    by_slot = {c.slot: c for c in changes}
    pairs: dict[str, list[tuple[str, int, str]]] = {c.slot: [] for c in changes}
    for same_item in (True, False):
        for there in sorted(put, key=lambda s: by_slot[s].at):
            for here in sorted(took, key=lambda s: abs(by_slot[there].at - by_slot[s].at)):
                pieces = min(took[here], put[there])
                if pieces and _goes_with(places[here], places[there], same_item):
                    took[here] -= pieces
                    put[there] -= pieces
                    doubt = "" if same_item else "perhaps put into the place of another item"
                    pairs[here].append((there, pieces, doubt))
                    pairs[there].append((here, pieces, doubt))
    said: list[Change] = []
    for change in changes:
        at, sign = change.before, 1 if change.delta > 0 else -1
        for other, pieces, doubt in pairs[change.slot]:
            part = replace(change, before=at, after=at + sign * pieces, transfer=other)
            if doubt or by_slot[other].mode == "review":
                part = _doubted(part, doubt)
            said.append(part)
            at += sign * pieces
        if at != change.after:
            said.append(replace(change, before=at))
    return said


def _goes_with(here: Place, there: Place, same_item: bool) -> bool:
    if here.item and here.item == there.item:
        return same_item
    return not same_item and here.klass == there.klass
