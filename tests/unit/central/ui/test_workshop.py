"""Alerts of one machine stand together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from central.alerts.service import AlertView
from central.ui.formats import exact_duration, plain
from central.ui.numbers import number_in, required, whole_in
from central.ui.workshop import grouped

NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
ALERT = AlertView(1, "k", "high", "Haute", "t", "", None, NOW, NOW, 0, None, None, None, overdue=False)


def test_alerts_about_one_machine_stand_together_where_the_first_stands() -> None:
    subjects = ["machine:tour-1", None, "machine:scie-1", "tour-1", None, "agent:rack-1"]
    found = [replace(ALERT, id=n, subject=subject) for n, subject in enumerate(subjects)]
    groups = grouped(found, {"tour-1", "scie-1"})
    assert [(g.machine, [a.id for a in g.alerts]) for g in groups] == [
        ("tour-1", [0, 3]),
        (None, [1]),
        ("scie-1", [2]),
        (None, [4]),
        (None, [5]),
    ]
    seen = replace(groups[0].alerts[0], acknowledged_at=NOW)
    assert [a.id for a in replace(groups[0], alerts=[seen, groups[0].alerts[1]]).unseen] == [3]


@pytest.mark.parametrize(
    ("text", "value"), [("1 250,5", 1250.5), ("", None), (" −3 ", -3.0), ("1\u202f000", 1000.0), ("0.5", 0.5)]
)
def test_numbers_are_read_as_they_are_typed(text: str, value: float | None) -> None:
    assert number_in(text) == value


@pytest.mark.parametrize("text", ["douze", "1,2,3", "nan", "inf"])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="pas un nombre"):
        number_in(text)


def test_whole_numbers_and_required_ones() -> None:
    assert whole_in("4 500") == 4500
    with pytest.raises(ValueError, match="entier"):
        whole_in("1,5")
    with pytest.raises(ValueError, match="Donnez la limite"):
        required(" ", "la limite")


def test_durations_that_are_compared_keep_their_seconds() -> None:
    assert [exact_duration(s) for s in (42.46, 60, 570, 3900)] == [
        "42,5\u00a0s",
        "1\u00a0min",
        "9\u00a0min\u00a030\u00a0s",
        "1\u00a0h\u00a005",
    ]
    assert [plain(v) for v in (None, 12.5, 4500, 0)] == ["", "12,5", "4500", "0"]
