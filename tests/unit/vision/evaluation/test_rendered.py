"""Playing sessions: what is counted, how a killed run goes on, what a person sets right. No pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.racks import RackDescription, SlotDescription
from vision.detectors.base import Frame
from vision.evaluation.checkpoint import Checkpoint
from vision.evaluation.outcomes import Outcome, judge_session
from vision.evaluation.playing import Heard, Stage, shown, transfers, truth_of
from vision.evaluation.rendered import FIRST_SEED, Plan, Progress, StuckError, asked_of, rack_seed, run, set_right
from vision.evaluation.tally import Tally
from vision.rendering.truth import Answer, CannotPlayError, Event, Shot
from vision.sessions import State
from vision.watching.said import Said, SlotAsk, SlotChange

SQUARE = [(0.0, 0.0), (50.0, 0.0), (50.0, 50.0), (0.0, 50.0)]
BLACK = np.zeros((4, 4, 3), np.uint8)


class FakeShow:
    """Places with numbers, and pictures in which nothing is to be seen: the eye is told through `happening`."""

    def __init__(self, seed: int, slots: int) -> None:
        self.rng = np.random.default_rng(seed)
        names = [f"A{n + 1}" for n in range(slots)]
        self.description = RackDescription(slots=[SlotDescription(id=n, polygon=SQUARE) for n in names])
        self.truth: dict[str, int | None] = dict.fromkeys(names, 4)
        self.happening: tuple[Answer, ...] = ()

    def rest(self, frames: int) -> Iterator[Shot]:
        for _ in range(frames):
            yield Shot(BLACK)

    def act(self, case: str) -> Iterator[Shot]:
        slot = f"A{self.rng.integers(len(self.truth)) + 1}"
        if case == "put_back":
            raise CannotPlayError("every place is full")
        answer = Answer("nothing", slot)
        if case == "take":
            self.truth[slot] = (self.truth[slot] or 0) - 1
            answer = Answer("auto", slot, -1)
        elif case == "stacked":
            answer = Answer("ask", slot)
        yield Shot(BLACK, (Event(slot, -1),))
        self.happening = (answer,)
        yield Shot(BLACK, answers=(answer,))

    def readable(self, slot: str) -> int | None:
        return self.truth[slot]

    def fault(self, kind: str, amount: float = 0.0, frames: int = 5) -> Iterator[Shot]:
        return self.rest(frames)

    def clear_fault(self, frames: int = 5) -> Iterator[Shot]:
        return self.rest(frames)


class FakeEye:
    """Says what happens, but every `blunder`-th time something wrong."""

    def __init__(self, show: FakeShow, blunder: int = 0) -> None:
        self.show = show
        self.blunder = blunder
        self.state = State.LEARNING
        self.sessions = 0
        self.told: list[tuple[str, int]] = []
        self.counts: dict[str, int | None] = {}

    def feed(self, frame: Frame, ts: float) -> Sequence[Said]:
        self.state = State.CLEAR
        happening, self.show.happening = self.show.happening, ()
        said: list[Said] = []
        for answer in happening:
            self.sessions += 1
            wrong = self.blunder and self.sessions % self.blunder == 0
            if answer.kind == "auto":
                said.append(change(answer.slot, answer.delta - (1 if wrong else 0), ts))
            elif answer.kind == "ask":
                said.append(change(answer.slot, -1, ts) if wrong else question(answer.slot, ts))
        return said

    def set_count(self, slot: str, count: int) -> None:
        self.told.append((slot, count))

    def settle_move(self, accept: bool) -> None: ...

    def set_mode(self, mode: str) -> list[Said]:
        return []

    def snapshot(self) -> dict[str, Any]:
        return {"sessions": self.sessions}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        self.sessions = snapshot["sessions"]


def change(slot: str, delta: int, ts: float) -> SlotChange:
    return SlotChange(slot, delta, 4, 4 + delta, 0.9, "auto", ts, ts, ts, 1, b"", b"", "fake")


def question(slot: str, ts: float) -> SlotAsk:
    return SlotAsk(slot, "stacked", 4, None, 0.2, ts, ts, ts, 1, b"", b"", "fake")


def stages(blunder: int = 0) -> Any:
    def make(seed: int, slots: int, _size: tuple[int, int]) -> Stage:
        show = FakeShow(seed, slots)
        return Stage(show, lambda _: FakeEye(show, blunder))

    return make


def play(plan: Plan, checkpoint: Checkpoint, blunder: int = 0) -> Progress:
    return list(run(plan, stages(blunder), checkpoint))[-1]


PLAN = Plan(slots=(12, 40), debits=60, cases=("take", "stacked", "nothing"), per_rack=10)


def test_it_plays_each_size_until_there_are_enough_debits() -> None:
    progress = play(PLAN, Checkpoint(None, {}))
    assert progress.debits >= 60
    assert abs(progress.racks["12"] - progress.racks["40"]) <= 1
    figures = progress.results()["all"]
    assert figures["automatic_wrong"]["k"] == figures["missed"]["k"] == figures["asked"]["k"] == 0
    assert figures["beyond"]["places"] == figures["beyond"]["asked"] > 0
    assert progress.lines()


def test_mistakes_are_found_with_their_seed() -> None:
    progress = play(PLAN, Checkpoint(None, {}), blunder=5)
    assert progress.results()["all"]["automatic_wrong"]["k"] > 0
    finding = progress.results()["findings"][0]
    assert finding["outcome"] in (Outcome.WRONG, Outcome.MISSED)
    assert finding["seed"] >= FIRST_SEED


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = play(PLAN, Checkpoint(None, {}))
    for number, _ in enumerate(run(PLAN, stages(), Checkpoint(tmp_path / "c.json", asked_of(PLAN, {})))):
        if number == 1:
            break
    resumed = play(PLAN, Checkpoint(tmp_path / "c.json", asked_of(PLAN, {})))
    assert resumed.as_json() == whole.as_json()


def test_idle_sessions_by_number() -> None:
    progress = play(Plan(slots=(12,), debits=None, sessions=30, cases=("nothing",)), Checkpoint(None, {}))
    figures = progress.results()["all"]
    assert (figures["idle_sessions"] >= 30, figures["idle_debits"]) == (True, 0)


def test_a_session_that_took_something_is_no_idle_session() -> None:
    tallies = {"12": Tally(Counter(forearm=40), {}, Counter(idle_sessions=22))}
    plan = Plan(debits=None, sessions=30, cases=("nothing", "forearm"))
    assert not Progress(tallies).over(plan)
    assert Progress(tallies).over(replace(plan, sessions=22))


def test_a_case_that_no_rack_can_play_is_said() -> None:
    plan = Plan(slots=(12,), sessions=1, debits=None, cases=("put_back",))
    with pytest.raises(StuckError, match="put_back"):
        play(plan, Checkpoint(None, {}))


def test_what_was_asked_is_answered_with_the_truth() -> None:
    stage = stages()(1, 12, (4, 4))
    stage.begin()
    heard = stage.play("stacked")
    set_right(stage, judge_session(truth_of("stacked", heard.answers), heard.claims))
    (slot,) = [a.slot for a in heard.answers]
    assert stage.eye.told == [(slot, stage.show.truth[slot])]
    heard = stage.play("take")
    set_right(stage, judge_session(truth_of("take", heard.answers), heard.claims))
    assert len(stage.eye.told) == 1


def test_a_restarted_eye_knows_what_was_saved() -> None:
    stage = stages()(1, 12, (4, 4))
    stage.begin()
    stage.play("take")
    before = stage.eye
    stage.restart()
    assert stage.eye is not before
    assert stage.eye.sessions == 1


def test_seeds_never_meet() -> None:
    seeds = {
        rack_seed(Plan(seed=run), slots, n)
        for run in range(90)
        for slots in (12, 24, 40, 96)
        for n in range(0, 9999, 97)
    }
    assert len(seeds) == 90 * 4 * len(range(0, 9999, 97))
    assert min(seeds) >= FIRST_SEED


@pytest.mark.parametrize(
    ("answers", "deltas", "ask"),
    [
        ([Answer("auto", "A1", -2)], {"A1": -2}, set()),
        ([Answer("nothing", "A1")], {}, set()),
        ([Answer("transfer", "A1", 1, to="B2")], {"A1": -1, "B2": 1}, set()),
        ([Answer("transfer", "A1", -1, to="B2")], {"A1": -1, "B2": 1}, set()),
        ([Answer("ask", "A1"), Answer("auto", "B2", 1)], {"B2": 1}, {"A1"}),
        ([Answer("later", "A1", -1)], {"A1": -1}, set()),
        ([Answer("free", "A1", -1), Answer("free", "B2")], {"A1": -1}, set()),
    ],
)
def test_answers_as_truth(answers: list[Answer], deltas: dict[str, int], ask: set[str]) -> None:
    truth = truth_of("case", answers)
    assert (dict(truth.deltas), set(truth.ask)) == (deltas, ask)


@pytest.mark.parametrize(("why", "outcome"), [("masked", Outcome.ASKED), ("stacked", Outcome.MISSED)])
def test_read_as_not_readable_is_enough_under_a_rag_and_not_for_a_stack(why: str, outcome: Outcome) -> None:
    heard = Heard(answers=(Answer("ask", "A1", why=why),), read={"A1": None})
    truth = truth_of(why, heard.answers)
    (judged,) = judge_session(truth, shown(truth, heard))
    assert judged.outcome is outcome


def test_pairs_of_a_transfer() -> None:
    assert transfers([Answer("transfer", "A1", 1, to="B2"), Answer("auto", "C3", -1)]) == {frozenset({"A1", "B2"})}
