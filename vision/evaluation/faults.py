"""Faults of camera and light, with picks before, during and after each: right or shown, and when it counts again.

The availability of a week is computed from the measured times to return and a stated model of how often each fault
happens (`WEEK`): it is a model, not a measurement of a shop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vision.evaluation.books import Books, Standing, summary
from vision.evaluation.outcomes import Outcome, judge_session
from vision.evaluation.playing import NotLearntError, Stage, truth_of
from vision.rendering.truth import CannotPlayError

FAULTS: tuple[tuple[str, float], ...] = (
    ("moved", 5.0),
    ("moved", 20.0),
    ("moved", 60.0),
    ("turned", 2.0),
    ("turned", 5.0),
    ("covered", 0.6),
    ("covered", 1.0),
    ("dark", 0.05),
    ("frozen", 0.0),
    ("flicker", 0.4),
    ("dirt", 0.6),
    ("exposure", 1.4),
)
STAYS = ("moved", "turned")
"""The camera stays where it was pushed: a person accepts its new place; the others end by themselves."""

LATER = "later"
"""Of a pick while it was blind: nothing is said then; `FaultResult.standing` tells whether it was found afterwards."""

ONSET_FRAMES = 40
_MOST_FRAMES = 400
_NEVER = "not learnt"
_PICKS = ("take", "take_slots", "take", "put_back")


@dataclass(frozen=True)
class FaultResult:
    """One fault on one rack.

    Attributes:
        kind, amount: see `vision.rendering.truth.FAULTS`.
        before, after: outcomes of the picks before and after; "not learnt" of a rack that was never clear.
        during: what was said of the picks during it: "nothing", or outcomes.
        codes: codes of blindness that were said, in order.
        seconds: from the end of the fault (or the person's acceptance) to counting; None: never; 0.0: never blind.
        said_after_s: from its begin to being said; None when it was not.
        standing: places right, shown, silent at the end.
    """

    kind: str
    amount: float
    seed: int
    before: list[str]
    during: list[str]
    after: list[str]
    codes: list[str]
    seconds: float | None
    said_after_s: float | None
    standing: dict[str, int]
    silent: list[str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def run(
    make: Callable[[int], Stage], seeds: Sequence[int], faults: Sequence[tuple[str, float]] = FAULTS
) -> Iterator[FaultResult]:
    """Each fault on each seed's rack; ``make`` builds a fresh stage. A rack that is not learnt is a result too: all
    its places are silent.
    """
    for kind, amount in faults:
        for seed in seeds:
            stage = make(seed)
            try:
                yield play_fault(stage, kind, amount, seed)
            except NotLearntError:
                silent = [slot for slot, count in stage.show.truth.items() if count is not None]
                standing = {one.value: len(silent) if one is Standing.SILENT else 0 for one in Standing}
                yield FaultResult(kind, amount, seed, [_NEVER], [], [_NEVER], [], None, None, standing, silent)


def play_fault(stage: Stage, kind: str, amount: float, seed: int = 0) -> FaultResult:
    """Learn, pick, break, pick, mend, pick, look."""
    stage.begin()
    books = Books({slot: count for slot, count in stage.show.truth.items() if count is not None})
    before = _pick(stage, books)
    begun = stage.ts
    heard = stage.fault(kind, amount, ONSET_FRAMES)
    books.book(heard.claims, heard.read)
    modes = list(heard.modes)
    during = _pick(stage, books, modes)
    ended, seconds = _mend(stage, kind, books, modes)
    after = _pick(stage, books, modes)
    quiet = stage.settle(frames=12)
    books.book(quiet.claims, quiet.read)
    standing = books.standing(stage.show.truth)
    blind = [(at, code) for at, mode, code in modes if mode == "blind"]
    return FaultResult(
        kind,
        amount,
        seed,
        before,
        during,
        after,
        [code for _, code in blind],
        seconds if blind else 0.0,
        round(blind[0][0] - begun, 1) if blind and blind[0][0] < ended else None,
        summary(standing),
        [slot for slot, one in standing.items() if one is Standing.SILENT],
    )


def _mend(stage: Stage, kind: str, books: Books, modes: list[tuple[float, str, str]]) -> tuple[float, float | None]:
    """End it, wait until the rack counts; when it ended, and how long that took, None when it never did."""
    if kind in STAYS:
        if modes and modes[-1][1] == "blind":
            stage.eye.settle_move(accept=True)
        ended = stage.ts
    else:
        ended = stage.ts
        heard = stage.clear_fault()
        books.book(heard.claims, heard.read)
        modes += heard.modes
    for _ in range(_MOST_FRAMES // 4):
        if not modes or modes[-1][1] != "blind":
            break
        heard = stage.wait(4)
        books.book(heard.claims, heard.read)
        modes += heard.modes
        if kind in STAYS and modes[-1][2] == "moved":  # before and after are only there once it is sure
            stage.eye.settle_move(accept=True)
    counting = not modes or modes[-1][1] != "blind"
    seconds = round(stage.ts - ended, 1) if counting else None
    heard = stage.settle()
    books.book(heard.claims, heard.read)
    modes += heard.modes
    return ended, seconds


def _pick(stage: Stage, books: Books, modes: list[tuple[float, str, str]] | None = None) -> list[str]:
    for case in _PICKS:
        try:
            heard = stage.play(case, patient=modes is None)
        except CannotPlayError:
            continue
        books.book(heard.claims, heard.read)
        if modes is not None:
            modes += heard.modes
        judged = judge_session(truth_of(case, heard.answers), heard.claims)
        blind = modes is not None and len(modes) > 0 and modes[-1][1] == "blind"
        return [LATER if blind and one.outcome is Outcome.MISSED else str(one.outcome) for one in judged] or ["nothing"]
    return ["not played"]


def table(results: Sequence[FaultResult]) -> list[dict[str, Any]]:
    """A row per fault and amount."""
    rows = []
    for kind, amount in dict.fromkeys((r.kind, r.amount) for r in results):
        mine = [r for r in results if (r.kind, r.amount) == (kind, amount)]
        back = [r.seconds for r in mine if r.seconds is not None]
        rows.append(
            {
                "fault": kind,
                "amount": amount,
                "racks": len(mine),
                "said": sum(bool(r.codes) for r in mine),
                "codes": sorted({code for r in mine for code in r.codes}),
                "right_before": _right(r.before for r in mine),
                "right_after": _right(r.after for r in mine),
                "booked_wrong_during": sum(Outcome.WRONG in r.during for r in mine),
                "never_back": sum(r.seconds is None for r in mine),
                "back_s_median": round(float(np.median(back)), 1) if back else None,
                "back_s_max": max(back, default=None),
                **{f"places_{name}": sum(r.standing[name] for r in mine) for name in ("right", "shown", "silent")},
            }
        )
    return rows


def _right(outcomes: Iterator[list[str]]) -> str:
    every = [one for several in outcomes for one in several if one != "not played"]
    return f"{sum(one == Outcome.RIGHT for one in every)}/{len(every)}"


@dataclass(frozen=True)
class Rate:
    """How often a fault comes in a week of work, and how long until it is mended, seconds (median of a log-normal)."""

    fault: str
    per_week: float
    lasts_s: float


HOURS_PER_WEEK = 80.0
"""Two shifts of eight hours on five days: only then somebody could take something."""

WEEK: tuple[Rate, ...] = (
    Rate("covered", 40, 45.0),  # somebody stands or leans before it
    Rate("flicker", 10, 20.0),
    Rate("dark", 10, 60.0),  # lamps switched off while somebody is there
    Rate("frozen", 3, 30.0),
    Rate("dirt", 1, 1200.0),  # until somebody wipes the glass
    Rate("moved", 5, 0.0),  # pushed by a little: no one is needed
    Rate("moved far", 0.5, 900.0),  # until a person has looked at before and after
)


def availability(
    back_s: Mapping[str, float], weeks: int = 1000, seed: int = 5, rates: Sequence[Rate] = WEEK
) -> dict[str, float]:
    """Share of the working hours in which the rack counts, over simulated weeks: mean, and the worst of twenty.

    Args:
        back_s: measured seconds from the end of a fault to counting, per fault of `WEEK` that made the rack blind; one
            that is not there did not, and costs nothing.
    """
    rng = np.random.default_rng(seed)
    total = HOURS_PER_WEEK * 3600
    shares = []
    for _ in range(weeks):
        blind = 0.0
        for rate in rates:
            if rate.fault not in back_s:
                continue
            times = int(rng.poisson(rate.per_week))
            lasting = rate.lasts_s * rng.lognormal(0.0, 0.8, times)
            blind += float(lasting.sum()) + times * back_s[rate.fault]
        shares.append(1 - min(blind, total) / total)
    return {"mean": round(float(np.mean(shares)), 5), "worst_of_20": round(float(np.quantile(shares, 0.05)), 5)}


def measured_back(results: Sequence[FaultResult]) -> dict[str, float]:
    """Worst measured return of each fault of `WEEK` that made a rack blind; one that never ended counts as an hour."""
    worst: dict[str, float] = {}
    for r in results:
        if r.seconds == 0.0:
            continue
        name = r.kind if r.kind != "turned" else "moved"
        name = "moved far" if name == "moved" and "moved" in r.codes else name
        worst[name] = max(worst.get(name, 0.0), 3600.0 if r.seconds is None else r.seconds)
    return worst
