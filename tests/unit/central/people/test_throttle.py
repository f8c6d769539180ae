"""Whoever guesses waits; the owner of the account never does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.people.throttle import FREE, FREE_STRANGERS, WINDOW, Failure, wait_until

NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def failures(count: int, address: str = "10.0.0.9", *, known: bool = False) -> list[Failure]:
    return [Failure(NOW - timedelta(seconds=count - n), address, known) for n in range(count)]


def test_a_few_mistakes_cost_nothing_and_then_each_costs_more() -> None:
    assert wait_until(failures(FREE - 1), "10.0.0.9", known=False, now=NOW) is None
    waits = [wait_until(failures(FREE + n), "10.0.0.9", known=False, now=NOW) for n in range(4)]
    assert all(wait is not None for wait in waits)
    assert waits == sorted(waits, key=str)


def test_another_address_is_free_until_strangers_are_too_many() -> None:
    assert wait_until(failures(FREE + 5), "10.0.0.7", known=False, now=NOW) is None
    assert wait_until(failures(FREE_STRANGERS), "10.0.0.7", known=False, now=NOW) is not None


@given(count=st.integers(0, 500), addresses=st.lists(st.sampled_from(["10.0.0.7", "10.0.0.8"]), min_size=1))
def test_nobody_elsewhere_locks_a_known_browser_out(count: int, addresses: list[str]) -> None:
    tried = [failure for address in addresses for failure in failures(count, address)]
    assert wait_until(tried, "10.0.0.7", known=True, now=NOW) is None


@given(count=st.integers(0, 500))
def test_no_wait_lasts_longer_than_a_quarter_of_an_hour(count: int) -> None:
    until = wait_until(failures(count), "10.0.0.9", known=False, now=NOW)
    assert until is None or until - NOW <= timedelta(minutes=15)


def test_what_is_old_is_forgotten() -> None:
    old = [Failure(NOW - WINDOW - timedelta(seconds=n), "10.0.0.9", known=False) for n in range(50)]
    assert wait_until(old, "10.0.0.9", known=False, now=NOW) is None


def test_many_names_from_one_address_wait_too_and_the_known_browser_does_not() -> None:
    tried = [NOW - timedelta(seconds=n) for n in range(FREE_STRANGERS)]
    assert wait_until([], "10.0.0.9", known=False, now=NOW, others=tried) is not None
    assert wait_until([], "10.0.0.9", known=False, now=NOW, others=tried[1:]) is None
    assert wait_until([], "10.0.0.9", known=True, now=NOW, others=tried) is None
