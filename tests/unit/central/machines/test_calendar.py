from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.machines.rules import SHOP_WEEK, Calendar, Span, day_span, minutes_outside

PARIS = ZoneInfo("Europe/Paris")
NIGHTS = Calendar.from_json([[["22:00", "06:00"]]] * 7)
SPRING = date(2026, 3, 28)
"""In the night after it, 02:00 becomes 03:00."""
AUTUMN = date(2026, 10, 24)


def test_a_week_of_the_shop() -> None:
    calendar = Calendar.from_json(SHOP_WEEK)
    days = [date(2026, 5, 4) + timedelta(days=n) for n in range(7)]
    assert [calendar.capacity_minutes(day, PARIS) for day in days] == [480, 480, 480, 480, 240, 0, 0]


def test_a_night_shift_belongs_to_the_day_on_which_it_begins() -> None:
    assert NIGHTS.openings(date(2026, 5, 4), PARIS) == [
        Span(datetime(2026, 5, 4, 20, tzinfo=UTC), datetime(2026, 5, 5, 4, tzinfo=UTC))
    ]


def test_the_night_of_the_change_of_hour_is_shorter_or_longer() -> None:
    assert NIGHTS.capacity_minutes(SPRING, PARIS) == 7 * 60
    assert NIGHTS.capacity_minutes(AUTUMN, PARIS) == 9 * 60
    assert NIGHTS.capacity_minutes(date(2026, 5, 4), PARIS) == 8 * 60


def test_a_civil_day_has_23_24_or_25_hours() -> None:
    assert day_span(SPRING + timedelta(days=1), PARIS).minutes() == 23 * 60
    assert day_span(AUTUMN + timedelta(days=1), PARIS).minutes() == 25 * 60
    assert day_span(date(2026, 5, 4), PARIS).minutes() == 24 * 60


def test_an_exception_replaces_the_hours_of_the_week() -> None:
    calendar = Calendar.from_json(SHOP_WEEK, {date(2026, 5, 4): [], date(2026, 5, 9): [["08:00", "10:00"]]})
    assert calendar.capacity_minutes(date(2026, 5, 4), PARIS) == 0
    assert calendar.capacity_minutes(date(2026, 5, 9), PARIS) == 120


def test_maintenance_takes_only_what_lies_in_opening_hours() -> None:
    calendar = Calendar.from_json(SHOP_WEEK)
    day = date(2026, 5, 4)
    lunch = Span(datetime(2026, 5, 4, 9, 30, tzinfo=UTC), datetime(2026, 5, 4, 12, 0, tzinfo=UTC))  # 11:30–14:00
    assert calendar.capacity_minutes(day, PARIS, [lunch]) == 480 - 30 - 30
    assert calendar.capacity_minutes(day, PARIS, [lunch, lunch]) == 420, "two plans for one stop count once"


def test_overlapping_hours_count_once() -> None:
    twice = Calendar.from_json([[["08:00", "12:00"], ["10:00", "14:00"]]] * 7)
    assert twice.capacity_minutes(date(2026, 5, 4), PARIS) == 360


def test_a_week_of_six_days_is_refused() -> None:
    with pytest.raises(ValueError, match="seven days"):
        Calendar.from_json([[]] * 6)


minute = st.integers(0, 600).map(lambda m: datetime(2026, 5, 4, tzinfo=UTC) + timedelta(minutes=m))
span = st.tuples(minute, minute).map(lambda pair: Span(min(pair), max(pair)))


@given(span, st.lists(span, max_size=6))
def test_closed_time_never_takes_more_than_there_is(opening: Span, closed: list[Span]) -> None:
    left = minutes_outside(opening, closed)
    assert 0 <= left <= opening.minutes()
    covered = {
        m
        for m in range(600)
        for c in closed
        if c.begin <= (start := datetime(2026, 5, 4, tzinfo=UTC) + timedelta(minutes=m)) < c.end
        and opening.begin <= start < opening.end
    }
    assert left == opening.minutes() - len(covered)
