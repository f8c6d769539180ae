"""Exact bounds against the binomial's own sum and published values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vision.evaluation.statistics import beta_cdf, lower_bound, needed, share, upper_bound


def tail(k: int, n: int, p: float) -> float:
    """P(X ≤ k) of n at rate p, term by term."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))


@pytest.mark.parametrize(
    ("k", "n", "value"),
    [(1, 10, 0.394163), (5, 100, 0.102253), (0, 10, 0.258866), (10, 10, 1.0), (0, 0, 1.0)],
)
def test_known_upper_bounds(k: int, n: int, value: float) -> None:
    """Beta quantiles of any table: qbeta(0.95, k + 1, n - k)."""
    assert upper_bound(k, n) == pytest.approx(value, abs=1e-5)


def test_none_wrong_is_the_rule_of_three() -> None:
    assert upper_bound(0, 1500) == pytest.approx(1 - 0.05 ** (1 / 1500), rel=1e-9)
    assert upper_bound(0, needed(0.002)) < 0.002 <= upper_bound(0, needed(0.002) - 1)


@given(st.integers(1, 300), st.data())
def test_the_bound_is_where_so_few_become_unlikely(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    bound = upper_bound(k, n)
    assert k / n < bound < 1
    assert tail(k, n, bound) == pytest.approx(0.05, abs=1e-6)


@given(st.integers(1, 300), st.data())
def test_the_lower_bound_mirrors_the_upper(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert lower_bound(k, n) == pytest.approx(1 - upper_bound(n - k, n), abs=1e-9)


def test_large_counts_stay_near_the_normal_approximation() -> None:
    assert upper_bound(50_000, 100_000) == pytest.approx(0.5 + 1.645 * 0.5 / math.sqrt(100_000), abs=1e-5)
    assert upper_bound(3, 5_000) == pytest.approx(7.7537 / 5_000, rel=2e-3)


def test_what_is_no_count_is_refused() -> None:
    for k, n in [(-1, 3), (4, 3)]:
        with pytest.raises(ValueError, match="no count"):
            upper_bound(k, n)
    with pytest.raises(ValueError, match="level"):
        upper_bound(1, 3, 1.0)
    with pytest.raises(ValueError, match="rate"):
        needed(0.0)


def test_shares_and_ends() -> None:
    assert (share(1, 4), share(0, 0)) == (0.25, None)
    assert (beta_cdf(0.0, 2, 3), beta_cdf(1.0, 2, 3)) == (0.0, 1.0)
