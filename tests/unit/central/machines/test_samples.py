from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.machines.rules import Block, Summary, buckets, merge, split_minutes

values = st.lists(
    st.tuples(st.integers(0, 59_999), st.floats(-1e6, 1e6, allow_nan=False)),
    max_size=60,
    unique_by=lambda pair: pair[0],
)


@given(values, st.integers(1, 7))
def test_a_block_is_the_same_however_its_values_arrive(pairs: list[tuple[int, float]], size: int) -> None:
    whole, bits = Block(), Block()
    ordered = sorted(pairs)
    whole.add([o for o, _ in ordered], [v for _, v in ordered])
    for begin in range(0, len(pairs), size):
        chunk = pairs[begin : begin + size]
        bits.add([o for o, _ in chunk], [v for _, v in chunk])
    assert bits == whole
    bits.add([o for o, _ in pairs], [v for _, v in pairs])
    assert bits == whole, "adding twice is harmless"
    assert Block.unpack(*whole.pack()) == whole


def test_values_are_cut_at_the_minute() -> None:
    assert split_minutes(59_000, [0, 500, 1000, 61_000], [1.0, 2.0, 3.0, 4.0]) == {
        0: ([59_000, 59_500], [1.0, 2.0]),
        1: ([0], [3.0]),
        2: ([0], [4.0]),
    }
    assert split_minutes(1000, [0, 5], [1.0, 2.0]) == {0: ([1000, 1005], [1.0, 2.0])}
    assert split_minutes(1000, [], []) == {}


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="2 times for 1 values"):
        split_minutes(0, [0, 1], [1.0])


def test_buckets_keep_extremes_and_leave_holes() -> None:
    begin = datetime(2026, 5, 4, tzinfo=UTC)
    points = [(begin + timedelta(seconds=s), Summary(1, v, v, v)) for s, v in [(0, 1.0), (5, 9.0), (25, 4.0)]]
    found = buckets(points, begin, begin + timedelta(seconds=30), 3)
    assert [(b.low, b.mean, b.high) for b in found] == [(1.0, 5.0, 9.0), (4.0, 4.0, 4.0)]
    assert [(b.at - begin).total_seconds() for b in found] == [0, 20]


def test_merge_adds_up() -> None:
    assert merge(Summary(1, 2.0, 2.0, 2.0), Summary(2, 1.0, 5.0, 6.0)) == Summary(3, 1.0, 5.0, 8.0)
