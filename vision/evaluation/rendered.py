"""Thousands of rendered sessions through the real watcher, of seeds that trained nothing, one rack after another.

A rack (`RackShow`) is played for some sessions, then the next seed's. After each rack the tally is saved, so that a
killed run goes on. A mistake is counted once: after a session a person sets right what was asked, missed or wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vision.evaluation.checkpoint import Checkpoint
from vision.evaluation.outcomes import Judged, Outcome, judge_session
from vision.evaluation.playing import Heard, NotLearntError, Stage, shown, transfers, truth_of
from vision.evaluation.tally import Tally, sum_of, table
from vision.rendering.truth import CASES, CannotPlayError

FIRST_SEED = 10_000_000
"""Seeds below may train and tune; the evaluation draws its racks from here on."""

_PER_SLOTS = 1_000_000
_PER_RUN = 10_000
SESSIONS_PER_RACK = 25
_FRUITLESS = 12

MIX: Mapping[str, float] = {
    "take": 0.26,
    "take_several": 0.09,
    "take_slots": 0.16,
    "put_back": 0.07,
    "restock": 0.03,
    "nothing": 0.05,
    "take_in_fault": 0.0,  # blindness is the faults' own run
}
"""Share of the cases that a shop sees most; the others share the rest evenly."""

IDLE = ("nothing", "turned_over", "slid", "nudged", "forearm", "take_and_put_back")
"""Cases in which nothing is taken in the end. A `forearm` session may take one item: then it is no idle session."""


class StuckError(RuntimeError):
    """The run would never be over."""


@dataclass(frozen=True)
class Plan:
    """What to play.

    Attributes:
        slots: rack sizes, one after the other in turn.
        debits: pieces booked automatically, all sizes together, until the run is over; None: `sessions` decides.
        sessions: sessions until it is over (of a run of idle cases: those in which nothing was taken); None: `debits`
            decides.
        seed: of the run.
        cases: only these, evenly; empty: the mix of all.
        size: width and height of the pictures, px.
    """

    slots: tuple[int, ...] = (12, 40, 96)
    debits: int | None = 5000
    sessions: int | None = None
    seed: int = 1
    cases: tuple[str, ...] = ()
    size: tuple[int, int] = (1920, 1080)
    per_rack: int = SESSIONS_PER_RACK


@dataclass
class Progress:
    """How far a run is: the next rack of each size, and what was counted."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    racks: dict[str, int] = field(default_factory=dict)

    @property
    def debits(self) -> int:
        return sum(tally.debits for tally in self.tallies.values())

    @property
    def sessions(self) -> int:
        return sum(sum(tally.sessions.values()) for tally in self.tallies.values())

    @property
    def idle_sessions(self) -> int:
        return sum(tally.booked["idle_sessions"] for tally in self.tallies.values())

    def as_json(self) -> dict[str, Any]:
        return {"tallies": {name: tally.as_json() for name, tally in self.tallies.items()}, "racks": dict(self.racks)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Progress:
        if not raw:
            return cls()
        return cls({name: Tally.from_json(one) for name, one in raw["tallies"].items()}, dict(raw["racks"]))

    def over(self, plan: Plan) -> bool:
        enough_debits = plan.debits is None or self.debits >= plan.debits
        played = self.idle_sessions if plan.cases and set(plan.cases) <= set(IDLE) else self.sessions
        enough_sessions = plan.sessions is None or played >= plan.sessions
        return enough_debits and enough_sessions

    def results(self) -> dict[str, Any]:
        """Figures per size, all together, by case, and the findings."""
        every = sum_of(self.tallies.values())
        return {
            "sizes": {name: tally.figures() for name, tally in self.tallies.items()},
            "all": every.figures(),
            "cases": {c: {"sessions": n, **dict(every.outcomes.get(c, {}))} for c, n in sorted(every.sessions.items())},
            "racks": dict(self.racks),
            "findings": every.findings,
        }

    def lines(self) -> list[str]:
        return table({f"{name} places": tally for name, tally in self.tallies.items()})


MakeStage = Callable[[int, int, tuple[int, int]], Stage]
"""Rack seed, places, picture size → a show before an eye."""


def rack_seed(plan: Plan, slots: int, number: int) -> int:
    """The seed of the `number`-th rack of that size in this run."""
    return FIRST_SEED + slots * _PER_SLOTS + plan.seed * _PER_RUN + number


def run(plan: Plan, make: MakeStage, checkpoint: Checkpoint) -> Iterator[Progress]:
    """Play racks in turn until the plan is over; yields after each rack, already saved.

    Raises:
        CheckpointError: the checkpoint is of another run, or cannot be written.
        StuckError: rack after rack played nothing.
    """
    progress = Progress.from_json(checkpoint.load())
    fruitless = 0
    while not progress.over(plan):
        played = progress.sessions
        name = min((str(slots) for slots in plan.slots), key=lambda n: (progress.racks.get(n, 0), int(n)))
        number = progress.racks.get(name, 0)
        tally = progress.tallies.setdefault(name, Tally())
        play_rack(plan, int(name), rack_seed(plan, int(name), number), make, tally)
        progress.racks[name] = number + 1
        checkpoint.save(progress.as_json())
        fruitless = fruitless + 1 if progress.sessions == played else 0
        if fruitless == _FRUITLESS:
            raise StuckError(f"{_FRUITLESS} racks in turn could not play {', '.join(plan.cases) or 'anything'}")
        yield progress


def play_rack(plan: Plan, slots: int, seed: int, make: MakeStage, tally: Tally) -> None:
    """One rack's sessions into the tally."""
    rng = np.random.default_rng((seed, 41))
    stage = make(seed, slots, plan.size)
    try:
        stage.begin()
    except NotLearntError:
        tally.booked["racks_not_learnt"] += 1
        tally.findings.append({"case": "start", "seed": seed, "slots": slots, "outcome": "not learnt"})
        return
    for session in range(plan.per_rack):
        played = _any_playable(stage, plan, rng)
        if played is None:
            tally.booked["racks_exhausted"] += 1
            return
        case, heard = played
        truth = truth_of(case, heard.answers)
        judged = judge_session(truth, shown(truth, heard))
        tally.add(truth, judged, {"seed": seed, "slots": slots, "session": session, "frame": stage.frame})
        pairs = transfers(heard.answers)
        tally.booked["transfers"] += len(pairs)
        tally.booked["transfers_named"] += len(pairs & _named(heard))
        spoken = {one.slot for one in judged}
        for slot, count in heard.read.items():
            if count is not None and slot not in spoken:
                tally.booked["read"] += 1
                tally.booked["read_wrong"] += count != stage.show.readable(slot)
        set_right(stage, judged)


def _any_playable(stage: Stage, plan: Plan, rng: np.random.Generator) -> tuple[str, Heard] | None:
    names, weights = _weights(plan)
    for case in rng.choice(names, size=12, p=weights):
        try:
            return str(case), stage.play(str(case))
        except CannotPlayError:
            continue
    return None


def _weights(plan: Plan) -> tuple[list[str], list[float]]:
    if plan.cases:
        return list(plan.cases), [1.0 / len(plan.cases)] * len(plan.cases)
    others = [case for case in CASES if case not in MIX]
    rest = (1.0 - sum(MIX.values())) / len(others)
    return list(CASES), [MIX.get(case, rest) for case in CASES]


def set_right(stage: Stage, judged: list[Judged]) -> None:
    """A person answers what was asked, and an inventory finds what was missed or wrong."""
    for one in judged:
        proposal_right = one.outcome is Outcome.ASKED and one.claimed == one.expected and one.number_possible
        count = stage.show.truth.get(one.slot)
        if one.outcome is not Outcome.RIGHT and not proposal_right and count is not None:
            stage.eye.set_count(one.slot, count)


def _named(heard: Heard) -> set[frozenset[str]]:
    return {frozenset((c.slot, c.transfer)) for c in heard.claims if c.transfer}


def asked_of(plan: Plan, versions: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint must agree with: the plan and the versions of what judges."""
    return {**asdict(plan), "versions": dict(versions)}
