"""Which verdicts of the guard call, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.machines.rules.guard import COMMANDED, Curve, Trip, calling, is_about_guard, unanswered

START = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def trip(minutes: float, level: str, outcome: str = "none") -> Trip:
    return Trip(at(minutes), int(minutes * 60), level, outcome, "au-dessus de l'enveloppe")


def test_a_hold_calls_until_somebody_rearms() -> None:
    held = trip(0, "hold", "held")
    found = calling([held], [], at(60 * 24 * 3))
    assert found is not None
    assert (found.level, found.awaits_rearming) == ("critical", True)
    assert calling([held], [at(1)], at(2)) is None
    assert unanswered([held, trip(2, "hold", "failed")], [at(1)]) == trip(2, "hold", "failed")


def test_what_asked_nothing_of_a_person_falls_silent() -> None:
    assert calling([trip(0, "watch")], [], at(14)) is not None
    assert calling([trip(0, "watch")], [], at(16)) is None
    assert calling([trip(0, "alert")], [], at(61)) is None
    refused = calling([trip(0, "hold", "refused")], [], at(61))
    assert refused is not None
    assert (refused.level, refused.awaits_rearming) == ("critical", False)


def test_in_shadow_mode_a_hold_is_not_critical() -> None:
    found = calling([trip(0, "watch"), trip(1, "hold", "shadow"), trip(2, "alert")], [], at(5))
    assert found is not None
    assert (found.level, found.trips, found.first, found.worst) == ("high", 3, at(1), trip(2, "alert"))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2000), st.sampled_from(["watch", "alert", "hold"]), st.sampled_from(sorted(COMMANDED))
        ),
        max_size=8,
        unique=True,
    ),
    st.lists(st.integers(0, 2000), max_size=3),
    st.randoms(use_true_random=False),
)
def test_no_order_of_arrival_matters(told: list[tuple[int, str, str]], rearmed: list[int], random: Any) -> None:
    trips = [Trip(at(m), n, level, outcome, "") for n, (m, level, outcome) in enumerate(told)]
    shuffled = random.sample(trips, len(trips))
    answers = [at(m) for m in rearmed]
    assert calling(trips, answers, at(2000)) == calling(shuffled, answers[::-1], at(2000))


def test_a_curve_comes_back_as_it_was() -> None:
    curve = Curve(dt=[0, 10, 20], v=[1.5, 2.0, 99.0], low=[None, 0.0, 0.0], high=[None, 50.0, 50.5])
    packed = curve.pack()
    assert Curve.unpack(packed) == curve
    assert len(Curve(dt=list(range(1000)), v=[1.0] * 1000).pack()) < 4000


@pytest.mark.parametrize(
    ("source", "code", "about"),
    [("tour-1", "timeout", False), ("tour-1", "guard_died", False), ("tour-1-garde", "stale", True)],
)
def test_a_blind_guard_is_not_a_silent_machine(source: str, code: str, about: bool) -> None:
    assert is_about_guard(source, code, "tour-1") is about
