from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.inbox.rules import (
    MAX_SPANS,
    Asked,
    Progress,
    anchor_of,
    ask,
    event_time,
    plausible,
    spans_of,
)

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)

seqs = st.lists(st.integers(1, 60), max_size=80)
ranges = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=6)


@given(arrivals=st.lists(st.tuples(seqs, ranges), max_size=8))
def test_upto_is_the_last_number_before_the_first_that_is_missing(
    arrivals: list[tuple[list[int], list[tuple[int, int]]]],
) -> None:
    progress = Progress()
    model: set[int] = set()
    for batch, settlements in arrivals:
        progress = progress.settle([*spans_of(batch), *settlements])
        model.update(batch)
        for first, last in settlements:
            model.update(range(first, last + 1))
        expected = next(n for n in range(1, 200) if n not in model) - 1
        assert progress.upto == expected
        assert {n for n in range(1, 100) if progress.settled(n)} == model


@given(batch=seqs, data=st.data())
def test_any_order_of_arrival_settles_the_same(batch: list[int], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(batch))
    one_by_one = Progress()
    for seq in shuffled:
        one_by_one = one_by_one.settle([(seq, seq)])
    assert one_by_one == Progress().settle(spans_of(batch))


@given(batch=seqs)
def test_holes_are_exactly_what_is_missing_below_the_highest(batch: list[int]) -> None:
    progress = Progress().settle(spans_of(batch))
    missing = {n for first, last in progress.holes(most=100) for n in range(first, last + 1)}
    assert missing == set(range(1, max(batch, default=0) + 1)) - set(batch)


def test_an_absurd_range_is_two_numbers_not_rows() -> None:
    progress = Progress().settle([(1, 10**18), (5, 3), (10**18 + 1, 2**63 - 1)])
    assert progress == Progress(2**63 - 1, ())


def test_forgotten_spans_never_raise_the_mark() -> None:
    every_second = [(n, n) for n in range(2, 2 * MAX_SPANS + 100, 2)]
    progress = Progress().settle(every_second)
    assert progress.upto == 0
    assert len(progress.spans) == MAX_SPANS
    assert not progress.settled(every_second[-1][0])


def test_a_hole_is_asked_once_then_again_when_nothing_moves() -> None:
    patience = timedelta(seconds=3)
    asked, send = ask(None, (5, 9), NOW, patience)
    assert send
    asked, send = ask(asked, (5, 9), NOW + timedelta(seconds=1), patience)
    assert not send
    asked, send = ask(asked, (7, 9), NOW + timedelta(seconds=2), patience)
    assert not send, "the answer is arriving"
    asked, send = ask(asked, (7, 9), NOW + timedelta(seconds=4), patience)
    assert not send
    asked, send = ask(asked, (7, 9), NOW + timedelta(seconds=6), patience)
    assert send
    assert asked == Asked(7, 9, NOW + timedelta(seconds=6))
    _, send = ask(asked, (20, 22), NOW + timedelta(seconds=6), patience)
    assert send, "another hole"


class TestEventTime:
    def test_a_measured_offset_corrects_a_clock_two_hours_off(self) -> None:
        wrong = NOW - 2 * HOUR
        assert event_time(wrong, 0, 7_200_000, None, NOW) == (NOW, False)

    def test_without_offset_the_anchor_of_the_run_serves(self) -> None:
        began = NOW - HOUR
        nonsense = datetime(1970, 1, 1, 0, 5, tzinfo=UTC)
        assert event_time(nonsense, 1_800_000, None, began, NOW) == (began + HOUR / 2, False)

    def test_without_both_the_source_is_believed_and_said_uncertain(self) -> None:
        assert event_time(NOW - HOUR, 5, None, None, NOW) == (NOW - HOUR, True)

    def test_nothing_happens_after_it_was_received(self) -> None:
        assert event_time(NOW + HOUR, 5, 0, None, NOW) == (NOW, True)
        assert event_time(NOW + timedelta(seconds=1), 5, 0, None, NOW) == (NOW + timedelta(seconds=1), False)

    @given(
        ts=st.datetimes(timezones=st.just(UTC)),
        mono=st.integers(-(10**15), 10**15),
        off=st.none() | st.integers(-(10**15), 10**15),
    )
    def test_no_numbers_make_it_raise(self, ts: datetime, mono: int, off: int | None) -> None:
        at, _ = event_time(ts, mono, off, NOW, NOW)
        assert at <= NOW + timedelta(seconds=5)
        if off is not None:
            anchor_of(ts, mono, off)

    @pytest.mark.parametrize(
        ("ts", "expected"),
        [
            (datetime(1970, 1, 1, tzinfo=UTC), True),
            (NOW, True),
            (datetime(1969, 12, 31, tzinfo=UTC), False),
            (datetime(2200, 1, 1, tzinfo=UTC), False),
        ],
    )
    def test_plausible(self, ts: datetime, expected: bool) -> None:
        assert plausible(ts) is expected
