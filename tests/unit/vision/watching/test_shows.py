"""The watcher with its real senses before a rendered rack: each case that people do, and the faults of a camera.

The judge reads the truth: what is tried here is what the watcher looks at, when, and what it makes of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from contracts.racks import SlotKind
from vision.detectors.none import NoDetector
from vision.judging import Crop, Judgement, SlotMemory, TaughtJudge
from vision.judging.taught import look_of, picture_of
from vision.privacy import OutlineCut
from vision.rendering.show import RackShow
from vision.rendering.truth import Answer, CannotPlayError, Shot
from vision.sessions import State
from vision.slots import Rack, Slot
from vision.watching import ModeChange, RackWatcher, Reading, Said, SlotAsk, asks, changes, readings

SIZE = (960, 540)
NOTHING = {"nothing", "take_and_put_back", "turned_over", "slid", "nudged"}
SHORT = ["take_slots", "moved_between", "wrong_slot", "heap_touched"]
LONG = [
    "take",
    "two_hands",
    "take_and_put_back",
    "take_several",
    "put_back",
    "two_people",
    "foreign_left",
    "forearm",
    "box_taken",
    "turned_over",
    "slid",
    "nudged",
    "rag_left",
    "glove_left",
    "swarf_left",
    "stacked",
    "lid_opened",
    "nothing",
    "restock",
    "take_in_fault",
]


class FakeSeer(TaughtJudge):
    """Knows what lies in each place of a show."""

    version = "truth-1"

    def __init__(self, show: RackShow) -> None:
        self.show = show

    def learn(self, slot: Slot, crops: Sequence[Crop], count: int | None) -> SlotMemory:
        return replace(super().learn(slot, crops, count), count=self._count(slot) if count is None else count)

    def judge(self, slot: Slot, memory: SlotMemory, after: Sequence[Crop]) -> Judgement:
        now = replace(memory, look=look_of(after), picture=picture_of(after))
        before, state = memory.count, self.show.state(slot.id)
        if slot.kind is SlotKind.HIDDEN:
            return Judgement(before, None, 0.0, "ask", "hidden", "hidden", "touched", now)
        if state == "masked":
            return Judgement(before, None, 0.0, "none", None, "masked", "masked", memory)
        if state == "foreign":
            return Judgement(before, None, 0.0, "ask", "foreign", "foreign", "foreign", memory)
        if state in ("stacked", "open"):
            return Judgement(before, None, 0.0, "ask", "stacked", "stacked", "stacked", now)
        count = self._count(slot)
        mode = "none" if count == before else "auto"
        return Judgement(before, count, 0.99, mode, None, "seen", "truth", replace(now, count=count))

    def _count(self, slot: Slot) -> int | None:
        lies = self.show.truth[slot.id]
        return min(lies, 1) if slot.kind is SlotKind.PRESENCE and lies is not None else lies


class Stand:
    """A show before a watcher."""

    def __init__(self, seed: int, slots: int = 12, **wish: Any) -> None:
        self.show = RackShow(seed, slots, SIZE, least_px=20.0, hidden=0.12, **wish)
        self.rack = Rack.of(self.show.description)
        self.watcher = RackWatcher(self.rack, NoDetector(), judge=FakeSeer(self.show))
        self.cut = OutlineCut(self.rack)
        self.ts = 0.0
        self.play(self.show.rest(6))
        assert self.watcher.state is State.CLEAR

    def play(self, shots: Iterable[Shot]) -> tuple[list[Said], tuple[Answer, ...]]:
        said: list[Said] = []
        answers: tuple[Answer, ...] = ()
        for shot in shots:
            said += self.watcher.feed(self.cut(shot.image), self.ts)
            assert self.cut.outline is not None
            self.cut.outline.place(self.watcher.homography)
            self.ts = round(self.ts + 0.1, 3)
            answers = shot.answers or answers
        return said, answers

    def act(self, case: str) -> tuple[list[Said], tuple[Answer, ...]]:
        said, answers = self.play(self.show.act(case))
        for _ in range(40):
            more, _ = self.play(self.show.rest(4))
            said += more
            if self.watcher.state is State.CLEAR:
                break
        return said, answers

    def book_is_right(self) -> bool:
        """Every place that can be read has its true count."""
        seer = FakeSeer(self.show)
        readable = [s for s in self.rack.slots if self.show.state(s.id) == "clear"]
        return all(self.watcher.counts.get(s.id) == seer._count(s) for s in readable)


def play(case: str) -> tuple[Stand, list[Said], tuple[Answer, ...]]:
    """The case on the first rack of a few that allows it."""
    for seed in range(1, 9):
        stand = Stand(seed, 24 if seed > 2 else 12)
        try:
            said, answers = stand.act(case)
        except CannotPlayError:
            continue
        return stand, said, answers
    raise AssertionError(f"no rack of these allows {case}")


def deltas(said: list[Said]) -> Mapping[str, int]:
    total: dict[str, int] = {}
    for change in changes(said):
        total[change.slot] = total.get(change.slot, 0) + change.delta
    return {slot: delta for slot, delta in total.items() if delta}


@pytest.mark.parametrize("case", [*SHORT, *(pytest.param(case, marks=pytest.mark.long) for case in LONG)])
def test_case(case: str) -> None:
    stand, said, answers = play(case)
    asked = {a.slot for a in asks(said)}
    unseen = {p.slot for r in readings(said) for p in r.places if p.state != "seen"}
    expected: dict[str, int] = {}
    for answer in answers:
        if answer.kind in ("auto", "later"):
            expected[answer.slot] = answer.delta
        elif answer.kind == "transfer":
            expected |= {answer.slot: -answer.delta, str(answer.to): answer.delta}
            assert {c.transfer for c in changes(said)} == {answer.slot, answer.to}
        elif answer.kind == "ask":
            assert answer.slot in asked | unseen, answer
    kinds = {slot.id: slot.kind for slot in stand.rack.slots}
    countable = {slot: d for slot, d in expected.items() if kinds[slot] is SlotKind.COUNTABLE}
    assert {slot: d for slot, d in deltas(said).items() if kinds[slot] is SlotKind.COUNTABLE} == countable
    if case in NOTHING:
        assert not changes(said)
    assert not {c.slot for c in changes(said)} & asked
    assert stand.book_is_right()


@pytest.mark.parametrize(
    ("kind", "amount", "code"),
    [
        pytest.param("dark", 0.02, None, marks=pytest.mark.long),
        ("partial", 0.5, "closed"),
        pytest.param("closed", 0.0, "closed", marks=pytest.mark.long),
        pytest.param("covered", 1.0, None, marks=pytest.mark.long),
    ],
)
def test_taken_before_during_and_after_a_blindness(kind: str, amount: float, code: str | None) -> None:
    stand = Stand(1)
    before, _ = stand.act("take")
    assert [c.mode for c in changes(before)] == ["auto"]
    during, _ = stand.play(stand.show.fault(kind, amount, 25))
    more, _ = stand.play(stand.show.act("take"))
    assert changes(during + more) == []
    blind = [m for m in during + more if isinstance(m, ModeChange)]
    assert {m.mode for m in blind} == {"blind"}
    assert code is None or code in {m.code for m in blind}
    back, _ = stand.play(stand.show.clear_fault(40))
    (found,) = changes(back)
    assert (found.mode, found.during_absence, found.delta) == ("review", True, -1)
    assert next((r.why, r.whole) for r in readings(back)) == ("uncovered", True)
    assert stand.watcher.modes.now == ("counting", "ok")
    after, _ = stand.act("take")
    assert [c.mode for c in changes(after)] == ["auto"]
    assert stand.book_is_right()


@pytest.mark.long
@pytest.mark.parametrize("drawer", [True, False])
def test_pushed_far_it_asks_once_and_goes_on_when_a_person_saw_it(drawer: bool) -> None:
    stand = Stand(1)
    if not drawer:
        stand.watcher = RackWatcher(replace(stand.rack, drawer=None), NoDetector(), judge=FakeSeer(stand.show))
        stand.play(stand.show.rest(6))
    moved, _ = stand.play(stand.show.fault("moved", 45, 160))
    stand.play(stand.show.act("take"))
    more, _ = stand.play(stand.show.rest(90))
    news = [m for m in moved + more if isinstance(m, ModeChange) and m.code == "moved"]
    assert len(news) == 1
    assert news[0].before_jpeg != news[0].after_jpeg
    assert changes(moved + more) == []
    stand.watcher.settle_move(accept=True)
    said, _ = stand.play(stand.show.rest(20))
    assert [(c.delta, c.mode, c.during_absence) for c in changes(said)] == [(-1, "review", True)]
    assert stand.watcher.modes.now == ("counting", "ok")
    assert stand.book_is_right()


def test_restocked_says_one_reading_of_everything_and_goes_on_from_there() -> None:
    stand = Stand(1)
    assert [m.mode for m in stand.watcher.set_mode("restocking") if isinstance(m, ModeChange)] == ["restocking"]
    said, _ = stand.act("restock")
    assert not changes(said)
    assert not asks(said)
    assert stand.watcher.set_mode("counting") == []
    said, _ = stand.play(stand.show.rest(8))
    (reading,) = readings(said)
    assert (reading.why, reading.whole, len(reading.places)) == ("restocked", True, 12)
    assert [m.mode for m in said if isinstance(m, ModeChange)] == ["counting"]
    assert stand.book_is_right()
    said, _ = stand.act("take")
    assert [c.mode for c in changes(said)] == ["auto"]


def test_a_person_answers_and_the_camera_goes_on_from_the_answer() -> None:
    stand, said, _ = play("stacked")
    (ask,) = [a for a in said if isinstance(a, SlotAsk)]
    assert stand.watcher.counts.get(ask.slot) is None
    stand.watcher.set_count(ask.slot, 3)
    assert stand.watcher.counts[ask.slot] == 3
    with pytest.raises(KeyError):
        stand.watcher.set_count("nowhere", 1)
    with pytest.raises(ValueError, match="zero or more"):
        stand.watcher.set_count(ask.slot, -1)


@pytest.mark.long
def test_a_masked_place_has_no_number_until_it_is_free() -> None:
    stand, said, answers = play("rag_left")
    masked = {a.slot for a in answers if a.kind == "ask"}
    seen = {p.slot: p for r in readings(said) if r.why == "masked" for p in r.places}
    assert masked <= seen.keys()
    assert all(p.count is None and p.since is not None for p in seen.values())
    said, _ = stand.act("cleared")
    assert masked <= {p.slot for r in readings(said) if isinstance(r, Reading) for p in r.places if p.state == "seen"}
    assert changes(said) == []
