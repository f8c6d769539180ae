"""The rendered pairs tell the truth about themselves."""

from __future__ import annotations

import numpy as np
import pytest

from vision.judging.classes import SIDE, STATES
from vision.judging.pairs import CASES, render_pair


def test_a_seed_is_a_pair() -> None:
    a, b = (render_pair(np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(a.before, b.before)
    assert np.array_equal(a.after, b.after)
    assert (a.counts, a.case, a.px) == (b.counts, b.case, b.px)


@pytest.mark.parametrize("case", CASES)
def test_each_case_is_what_it_says(case: str) -> None:
    for seed in range(12):
        pair = render_pair(np.random.default_rng(seed), case)
        before, after = pair.counts
        assert pair.before.shape == pair.after.shape == (SIDE, SIDE, 3)
        assert 0.2 < pair.mask.mean() < 0.9
        state = STATES[pair.state]
        assert state == (case if case in STATES else "seen")
        if case == "take":
            assert after < before
        elif case == "return":
            assert after > before
        elif case in ("still", "rearranged", "exchange"):
            assert after == before


def test_the_px_of_an_item_can_be_asked_for() -> None:
    assert render_pair(np.random.default_rng(3), "take", px=24.0).px == pytest.approx(24.0, rel=0.6)
