"""Who stood at a rack and for what: pure, in event time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from central.work.charging_rules import Badge, Run, Sessions, judge

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
QUIET = timedelta(minutes=10)
SAME = timedelta(seconds=5)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def sessions(badges: list[Badge], signs: list[float] = []) -> Sessions:  # noqa: B006  # never changed
    return Sessions(badges, [at(m) for m in signs], QUIET, SAME)


A, B = Badge(at(0), "p1", "A"), Badge(at(3), "p2", "B")


@pytest.mark.parametrize(
    ("badges", "signs", "minute", "expected"),
    [
        ([A], [], 5, (True, "p1")),
        ([A], [], -1, (False, None)),
        ([A], [], 11, (False, None)),
        ([A], [8], 15, (True, "p1")),
        ([A], [8, 30], 31, (False, None)),
        ([A, B], [], 4, (True, "p2")),
        ([B, A], [], 2, (True, "p1")),
        ([A, Badge(at(2), "p1", "A")], [], 4, (False, None)),
        ([A, Badge(at(2), "p1", "A"), Badge(at(4), "p1", "A")], [], 5, (True, "p1")),
        ([A, Badge(at(0.05), "p1", "A")], [], 4, (True, "p1")),
        ([A, Badge(at(20), "p1", "A")], [], 21, (True, "p1")),
        ([Badge(at(0), None, "?")], [], 1, (True, None)),
    ],
)
def test_a_session_lasts_until_the_next_badge_its_closing_or_quiet(
    badges: list[Badge], signs: list[float], minute: float, expected: tuple[bool, str | None]
) -> None:
    assert sessions(badges, signs).at(at(minute)) == expected


RUNS = [
    Run(at(-60), None, "p1", "OF1-10"),
    Run(at(-60), at(30), "p2", "OF2-10"),
    Run(at(-60), None, "p2", "OF3-10"),
]


@pytest.mark.parametrize(
    ("badged", "person", "planned", "expected"),
    [
        (True, "p1", {}, ("p1", "OF1-10", "badge")),
        (True, "p2", {}, ("p2", None, "none")),
        (True, "p2", {"OF3-10": {"CNMG"}}, ("p2", "OF3-10", "badge")),
        (True, "p3", {"OF1-10": {"CNMG"}}, ("p3", None, "none")),
        (True, None, {"OF1-10": {"CNMG"}}, (None, None, "none")),
        (False, None, {"OF1-10": {"CNMG"}}, (None, "OF1-10", "planned")),
        (False, None, {"OF1-10": {"CNMG"}, "OF2-10": {"CNMG"}}, (None, None, "none")),
        (False, None, {}, (None, None, "none")),
    ],
)
def test_nobody_guesses(
    badged: bool,  # a parameter of the table
    person: str | None,
    planned: dict[str, set[str]],
    expected: tuple[str | None, str | None, str],
) -> None:
    found = judge(NOON, "cnmg", badged=badged, person=person, runs=RUNS, planned=planned)
    assert tuple(found[:3]) == expected


def test_what_ended_before_or_began_after_is_not_running() -> None:
    assert judge(at(31), "X", badged=True, person="p2", runs=RUNS, planned={}).operation == "OF3-10"
    assert judge(at(-61), "X", badged=True, person="p1", runs=RUNS, planned={}).operation is None
