from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from central.machines.rules import StateInterval, day_span
from central.machines.service import Timeline
from central.ui.machine import BAND_WIDTH, band

PARIS = ZoneInfo("Europe/Paris")
DAY = day_span(date(2026, 11, 21), PARIS)


def test_a_state_lies_where_its_hours_are() -> None:
    begin = DAY.begin + timedelta(hours=6)
    found = Timeline("tour-1", DAY.begin, DAY.end, [StateInterval(begin, begin + timedelta(hours=12), "running")])
    (segment,) = band(found, DAY.begin, DAY.end, DAY.end, PARIS).segments
    assert (segment.x, segment.width) == (BAND_WIDTH / 4, BAND_WIDTH / 2)


def test_a_state_that_lasts_ends_at_the_present() -> None:
    now = DAY.begin + timedelta(hours=12)
    found = Timeline("tour-1", DAY.begin, now, [StateInterval(DAY.begin, None, "alarm")])
    drawn = band(found, DAY.begin, DAY.end, now, PARIS)
    assert drawn.segments[0].width == drawn.now == BAND_WIDTH / 2


def test_a_second_is_still_seen() -> None:
    at = DAY.begin + timedelta(hours=3)
    found = Timeline("tour-1", DAY.begin, DAY.end, [StateInterval(at, at + timedelta(seconds=1), "alarm")])
    assert band(found, DAY.begin, DAY.end, DAY.end, PARIS).segments[0].width > 0.5


@pytest.mark.parametrize(
    ("day", "labels"),
    [
        (date(2026, 11, 21), ["0 h", "6 h", "12 h", "18 h", "24 h"]),
        (date(2026, 3, 29), ["0 h", "6 h 45", "12 h 30", "18 h 15", "24 h"]),
    ],
)
def test_hours_are_the_shop_s_also_when_the_clocks_change(day: date, labels: list[str]) -> None:
    span = day_span(day, PARIS)
    drawn = band(Timeline("tour-1", *span, []), *span, datetime.now(UTC), PARIS)
    assert [tick.label for tick in drawn.ticks] == labels
