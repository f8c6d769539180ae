"""The guard's evaluation in small: nobody is judged by what it taught, intervals are exact, injections are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import guard as bench
from cnc_bridge.guard import GuardSettings

TELEMETRY = Path(__file__).parents[4] / "shared" / "data" / "telemetry"
pytestmark = pytest.mark.skipif(not TELEMETRY.is_dir(), reason=f"the recordings are not here: {TELEMETRY}")


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.025, 5.572), (5, 1.623, 11.668), (100, 81.364, 121.627)]
)
def test_the_interval_is_the_exact_one(count: int, low: float, high: float) -> None:
    """The values of Garwood's table."""
    assert bench.poisson_interval(count) == (pytest.approx(low, abs=0.001), pytest.approx(high, abs=0.001))


def test_a_cycle_never_teaches_its_own_judge() -> None:
    runs = list(bench._nist(TELEMETRY))
    good = [one for one in runs if one.good and one.group.endswith("Mazak03-20160502-20160503")]
    everyone = [one for one in runs if one.group == good[0].group]
    alone = bench._taught_by_others(good[0], [good[0]], GuardSettings())
    assert len(alone) == 0
    judge = bench._taught_by_others(good[0], everyone, GuardSettings())
    assert {cycles for _, _, cycles in ((k, s, e.cycles) for k, s, e in judge)} <= set(range(1, len(good)))


def test_the_whole_evaluation_in_small() -> None:
    result = bench.run(TELEMETRY, sites=6, seed=7)
    assert result["clean_in_all"]["cutting_h"] > 1.5
    assert result["clean_in_all"]["hold"]["count"] == 0
    rates = {(r["data"], r["part"]): {(c["size"], c["periods"]): c for c in r["rates"]} for r in result["injections"]}
    for (data, _), cells in rates.items():
        assert cells[(3.0, 10)]["alert_rate"] >= 0.5, data
        assert cells[(3.0, 1)]["hold_rate"] == 0.0, data
    assert rates[("nist", "tuning")][(3.0, 10)]["hold_rate"] >= 0.5
    scores = {part["run"]: part["score"] for part in result["umich"]["parts"]}
    assert max(scores[f"experiment {n}"] for n in (1, 2, 17)) < min(scores[f"experiment {n}"] for n in (5, 7, 8))
