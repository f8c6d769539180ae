"""Bounds for a rate that was counted: k of n, exactly (Clopper and Pearson, Biometrika 26, 1934)."""

from __future__ import annotations

import math

LEVEL = 0.95
_CONVERGED = 1e-15


def upper_bound(k: int, n: int, level: float = LEVEL) -> float:
    """The largest rate that k or fewer of n do not refute: one-sided upper bound at ``level``; 1.0 when n is 0.

    Raises:
        ValueError: not 0 ≤ k ≤ n, or the level is not between 0 and 1.
    """
    _check(k, n, level)
    return 1.0 if k == n else _quantile(level, k + 1, n - k)


def lower_bound(k: int, n: int, level: float = LEVEL) -> float:
    """The least rate that k or more of n do not refute: one-sided lower bound at ``level``; 0.0 when n is 0."""
    _check(k, n, level)
    return 0.0 if k == 0 else _quantile(1.0 - level, k, n - k + 1)


def needed(rate: float, level: float = LEVEL) -> int:
    """How many must be seen without one wrong until the upper bound falls below ``rate``."""
    if not 0.0 < rate < 1.0:
        raise ValueError("a rate lies between 0 and 1")
    return math.floor(math.log(1.0 - level) / math.log1p(-rate)) + 1


def share(k: int, n: int) -> float | None:
    """The quotient k / n; None when n is 0."""
    return k / n if n else None


def _check(k: int, n: int, level: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no count")
    if not 0.0 < level < 1.0:
        raise ValueError("a level lies between 0 and 1")


def _quantile(probability: float, a: float, b: float) -> float:
    """Where the beta(a, b) distribution reaches ``probability``, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < probability else (low, middle)
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22), a and b above 0."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's method; the value to which ``exp(front) / a`` is the factor."""
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        step = 1.0
        for term in (even, odd):
            d = 1.0 / _away(1.0 + term * d)
            c = _away(1.0 + term / c)
            step = c * d
            value *= step
        if abs(step - 1.0) < _CONVERGED:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300
