"""Who stood at a rack and for what: pure, in event time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from central.work.charging_rules import Badge, Run, Sessions, judge

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
QUIET, CHAIN, SAME = timedelta(seconds=45), timedelta(seconds=20), timedelta(seconds=5)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def second(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def whose(badges: list[tuple[float, str]], picks: list[float]) -> list[str]:
    """The holder at each pick, seconds; ``?`` where somebody was there and nobody knows who, empty where nobody was."""
    holders = {"A": "p1", "B": "p2"}
    said = [Badge(second(s), holders.get(badge), badge) for s, badge in badges]
    sessions = Sessions(said, [second(p) for p in picks], quiet=QUIET, chain=CHAIN, same_scan=SAME)
    return [(person or "?") if badged else "" for badged, person in (sessions.at(second(p)) for p in picks)]


@pytest.mark.parametrize(
    ("badges", "picks", "expected"),
    [
        ([(0, "A")], [-1, 30], ["", "p1"]),
        ([(0, "A")], [46], [""]),
        ([(0, "A")], [30, 45, 60, 81], ["p1", "p1", "p1", ""]),
        ([(0, "A")], [5, 40], ["p1", ""]),
        ([(0, "A")], [60, 100, 140], ["", "", ""]),
        ([(0, "A"), (60, "A")], [30, 40, 61], ["p1", "p1", ""]),
        ([(0, "A"), (60, "A"), (300, "A")], [30, 61, 310], ["p1", "", "p1"]),
        ([(0, "A"), (3, "A")], [30], ["p1"]),
        ([(0, "A"), (200, "A")], [210], ["p1"]),
        ([(0, "?")], [10], ["?"]),
        ([(0, "A"), (20, "B")], [10, 30, 50, 75], ["p1", "?", "?", ""]),
        ([(0, "A"), (20, "B")], [30, 60], ["?", ""]),
        ([(0, "A"), (15, "A"), (20, "B")], [10, 30], ["p1", "p2"]),
        ([(0, "A"), (60, "B")], [10, 70], ["p1", "p2"]),
    ],
)
def test_a_badge_covers_what_is_clearly_its_holders(
    badges: list[tuple[float, str]], picks: list[float], expected: list[str]
) -> None:
    for said in (badges, badges[::-1]):
        assert whose(said, picks) == expected


def test_picks_of_others_keep_no_session_open() -> None:
    picks = [30.0 + 40 * n for n in range(20)]
    assert whose([(0, "A")], picks) == ["p1"] + [""] * 19


RUNS = [
    Run(at(-60), None, "p1", "OF1-10"),
    Run(at(-60), at(30), "p2", "OF2-10"),
    Run(at(-60), None, "p2", "OF3-10"),
]


ONE = RUNS[:1]
CNMG, DNMG = {"CNMG"}, {"DNMG"}


@pytest.mark.parametrize(
    ("runs", "badged", "person", "planned", "expected"),
    [
        (RUNS, True, "p1", {}, ("p1", "OF1-10", "badge")),
        (RUNS, True, "p1", {"OF1-10": CNMG}, ("p1", "OF1-10", "badge")),
        (RUNS, True, "p1", {"OF1-10": DNMG}, ("p1", None, "none")),
        (RUNS, True, "p2", {}, ("p2", None, "none")),
        (RUNS, True, "p2", {"OF3-10": CNMG, "OF2-10": DNMG}, ("p2", "OF3-10", "badge")),
        (RUNS, True, "p2", {"OF3-10": CNMG}, ("p2", None, "none")),
        (RUNS, True, "p2", {"OF3-10": DNMG}, ("p2", None, "none")),
        (RUNS, True, "p3", {"OF1-10": CNMG}, ("p3", None, "none")),
        (RUNS, True, None, {"OF1-10": CNMG}, (None, None, "none")),
        (RUNS, False, None, {"OF1-10": CNMG}, (None, None, "none")),
        (RUNS, False, None, {"OF1-10": CNMG, "OF2-10": DNMG, "OF3-10": DNMG}, (None, None, "none")),
        (RUNS, False, None, {}, (None, None, "none")),
        (ONE, False, None, {"OF1-10": CNMG}, (None, "OF1-10", "planned")),
        (ONE, False, None, {"OF1-10": DNMG}, (None, None, "none")),
        (ONE, False, None, {}, (None, None, "none")),
        (ONE, True, None, {"OF1-10": CNMG}, (None, None, "none")),
    ],
)
def test_nobody_guesses(
    runs: list[Run],
    badged: bool,  # a parameter of the table
    person: str | None,
    planned: dict[str, set[str]],
    expected: tuple[str | None, str | None, str],
) -> None:
    found = judge(NOON, "cnmg", badged=badged, person=person, runs=runs, planned=planned)
    assert tuple(found[:3]) == expected


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        ({"OF1-10": CNMG, "OF2-10": DNMG, "OF3-10": DNMG}, "OF1-10"),
        ({"OF1-10": CNMG, "OF2-10": DNMG}, None),
        ({"OF1-10": CNMG, "OF2-10": CNMG, "OF3-10": DNMG}, None),
    ],
)
def test_where_plans_hold_all_that_is_taken_the_only_one_that_plans_it(
    planned: dict[str, set[str]], expected: str | None
) -> None:
    found = judge(NOON, "cnmg", badged=False, person=None, runs=RUNS, planned=planned, complete=True)
    assert found.operation == expected


def test_what_ended_before_or_began_after_is_not_running() -> None:
    assert judge(at(31), "X", badged=True, person="p2", runs=RUNS, planned={}).operation == "OF3-10"
    assert judge(at(-61), "X", badged=True, person="p1", runs=RUNS, planned={}).operation is None
