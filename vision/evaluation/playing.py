"""Playing sessions to a watcher: a rack that renders itself lazily, no frame is stored.

The ports are small so that a unit test can play without pictures: a `Show` (`vision.rendering`'s `RackShow`) and an
`Eye` (`vision.watching`'s `RackWatcher`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from contracts.racks import RackDescription
from vision.detectors.base import Frame
from vision.evaluation.outcomes import Claim, Truth
from vision.evaluation.saying import claims_of, modes_of, readings_of
from vision.privacy import OutlineCut
from vision.rendering.truth import SHOW_FPS, Answer, Shot
from vision.sessions import State
from vision.watching.said import Said

SETTLE_FRAMES = 2
"""Clear frames after each session besides the show's own six, at `SHOW_FPS`."""

_PATIENCE = 160


class Show(Protocol):
    """A rendered rack; see `vision.rendering`. Iterators are lazy."""

    @property
    def description(self) -> RackDescription: ...

    @property
    def truth(self) -> Mapping[str, int | None]:
        """Pieces in each place now; None where there is no number (a heap)."""
        ...

    def rest(self, frames: int) -> Iterator[Shot]: ...

    def act(self, case: str) -> Iterator[Shot]: ...

    def readable(self, slot: str) -> int | None:
        """The number that a reading must give now, None where it must give none."""
        ...

    def fault(self, kind: str, amount: float = 0.0, frames: int = 5) -> Iterator[Shot]: ...

    def clear_fault(self, frames: int = 5) -> Iterator[Shot]: ...


class Eye(Protocol):
    """A watcher of one rack; see `vision.watching`."""

    @property
    def state(self) -> State: ...

    @property
    def counts(self) -> Mapping[str, int | None]: ...

    @property
    def homography(self) -> npt.NDArray[np.float64]: ...

    def feed(self, frame: Frame, ts: float) -> Sequence[Said]: ...

    def set_count(self, slot: str, count: int) -> object: ...

    def settle_move(self, accept: bool) -> object: ...

    def set_mode(self, mode: Literal["counting", "restocking"]) -> Sequence[Said]: ...

    def snapshot(self) -> dict[str, Any]: ...

    def restore(self, snapshot: Mapping[str, Any]) -> None: ...


@dataclass
class Heard:
    """What was said during some frames."""

    said: list[Said] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    answers: tuple[Answer, ...] = ()
    read: dict[str, int | None] = field(default_factory=dict)
    """Of absolute readings: the last count of each place, None where it could not be read."""
    modes: list[tuple[float, str, str]] = field(default_factory=list)
    """Seconds, mode and code of each change of mode."""
    frames: int = 0


class Stage:
    """One show before one eye, and the clock that runs with the frames.

    Args:
        show: the rack.
        make: builds an eye for a description; called again when the eye is restarted.
        cut: the capture's own step, that paints what lies outside the outline; it follows the rack.
    """

    def __init__(self, show: Show, make: Callable[[RackDescription], Eye], cut: OutlineCut | None = None) -> None:
        self.show = show
        self._make = make
        self._cut = cut
        self.eye = make(show.description)
        self.ts = 0.0
        self.frame = 0

    def begin(self) -> Heard:
        """Rest until the rack is learnt.

        Raises:
            NotLearntError: it never became clear.
        """
        heard = Heard()
        while self.eye.state is State.LEARNING:
            if heard.frames > _PATIENCE:
                raise NotLearntError(f"not learnt after {heard.frames} frames")
            self._feed(self.show.rest(4), heard)
        self._feed(self.show.rest(2), heard)
        return heard

    def play(self, case: str, patient: bool = True) -> Heard:
        """One session, and the clear frames after it: until the eye is clear when `patient`, else a fixed number."""
        heard = Heard()
        self._feed(self.show.act(case), heard)
        if patient:
            return self.settle(heard)
        self._feed(self.show.rest(SETTLE_FRAMES), heard)
        return heard

    def settle(self, heard: Heard | None = None, frames: int = SETTLE_FRAMES) -> Heard:
        """Rest; longer when the eye is not yet clear."""
        heard = heard or Heard()
        self._feed(self.show.rest(frames), heard)
        waited = 0
        while self.eye.state is not State.CLEAR and waited < _PATIENCE:
            self._feed(self.show.rest(4), heard)
            waited += 4
        return heard

    def fault(self, kind: str, amount: float, frames: int) -> Heard:
        """A fault begins; so many frames of it."""
        heard = Heard()
        self._feed(self.show.fault(kind, amount, frames), heard)
        return heard

    def mode(self, mode: Literal["counting", "restocking"]) -> Heard:
        """A person begins or ends the restocking."""
        heard = Heard()
        self._hear(self.eye.set_mode(mode), heard)
        return heard

    def clear_fault(self) -> Heard:
        """It ends."""
        heard = Heard()
        self._feed(self.show.clear_fault(1), heard)
        return heard

    def wait(self, frames: int) -> Heard:
        """Rest so long, whatever the eye says."""
        heard = Heard()
        self._feed(self.show.rest(frames), heard)
        return heard

    def away(self, case: str | None, pause_s: float = 60.0) -> Heard:
        """The eye is off: `case` happens unseen, the clock goes on. Only its truth comes back."""
        heard = Heard()
        if case is not None:
            for shot in self.show.act(case):
                heard.answers = shot.answers or heard.answers
        self.ts += pause_s
        return heard

    def restart(self, saved: Mapping[str, Any] | None = None) -> None:
        """A new eye that knows the old one's snapshot, or an earlier one, as after a kill."""
        saved = self.eye.snapshot() if saved is None else saved
        self.eye = self._make(self.show.description)
        if saved:
            self.eye.restore(saved)

    def pass_time(self, seconds: float) -> None:
        """Nothing happens; not a frame is rendered for it."""
        self.ts += seconds

    def _feed(self, shots: Iterable[Shot], heard: Heard) -> None:
        for shot in shots:
            self._hear(self.eye.feed(shot.image if self._cut is None else self._cut(shot.image), self.ts), heard)
            if self._cut is not None and self._cut.outline is not None:
                self._cut.outline.place(self.eye.homography)
            heard.answers = shot.answers or heard.answers
            heard.frames += 1
            self.ts += 1.0 / SHOW_FPS
            self.frame += 1

    @staticmethod
    def _hear(said: Sequence[Said], heard: Heard) -> None:
        heard.said += said
        heard.claims += claims_of(said)
        heard.read.update(readings_of(said))
        heard.modes += modes_of(said)


class NotLearntError(RuntimeError):
    """The eye never found the rack clear."""


def truth_of(case: str, answers: Sequence[Answer]) -> Truth:
    """The answers of a session as movements, and as places where a person must be asked."""
    deltas: dict[str, int] = {}
    ask: set[str] = set()
    free: set[str] = set()
    for answer in answers:
        if answer.kind in ("auto", "later"):
            deltas[answer.slot] = deltas.get(answer.slot, 0) + answer.delta
        elif answer.kind == "transfer" and answer.to is not None:
            pieces = abs(answer.delta)
            deltas[answer.slot] = deltas.get(answer.slot, 0) - pieces
            deltas[answer.to] = deltas.get(answer.to, 0) + pieces
        elif answer.kind == "ask":
            ask.add(answer.slot)
            if answer.delta:
                deltas[answer.slot] = deltas.get(answer.slot, 0) + answer.delta
        elif answer.kind == "free":
            free.add(answer.slot)
            deltas[answer.slot] = deltas.get(answer.slot, 0) + answer.delta
    return Truth(case, {slot: delta for slot, delta in deltas.items() if delta}, frozenset(ask), frozenset(free - ask))


def shown(truth: Truth, heard: Heard) -> list[Claim]:
    """What was said, and the covered places that were read out as such ("masqué depuis…").

    Stacked, opened and hidden places need a question: read as not readable is not enough for them.
    """
    covered = {a.slot for a in heard.answers if a.kind == "ask" and a.why in ("masked", "foreign")}
    unread = [s for s in sorted(truth.ask & covered) if s in heard.read and heard.read[s] is None]
    return heard.claims + [Claim(slot, None, "ask", why="read as not readable") for slot in unread]


def transfers(answers: Sequence[Answer]) -> set[frozenset[str]]:
    """The pairs of places between which something went."""
    return {frozenset((a.slot, a.to)) for a in answers if a.kind == "transfer" and a.to is not None}
