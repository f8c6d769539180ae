from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.work.rules import (
    ENOUGH_PARTS,
    Interval,
    Measure,
    Need,
    Presence,
    clocked_cycle,
    debit_quantity,
    measured_cycle,
    operation_at,
    parts_made,
    presences,
    remaining,
)

START = datetime(2026, 5, 4, 6, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_parts_belong_to_the_operation_on_the_machine() -> None:
    spans = [Presence(at(0), at(60), "OF1-10"), Presence(at(60), None, "OF2-10")]
    assert operation_at(spans, at(30))[0] == "OF1-10"
    assert operation_at(spans, at(60))[0] == "OF2-10"
    assert operation_at(spans, at(-1)) == (None, "aucune opération en cours")


def test_two_operations_at_once_wait_for_a_person() -> None:
    spans = [Presence(at(0), None, "OF1-10"), Presence(at(5), None, "OF2-10")]
    assert operation_at(spans, at(10)) == (None, "plusieurs opérations en cours : OF1-10, OF2-10")


def test_a_cycle_is_not_a_part() -> None:
    assert parts_made(3, 1, None) == 3
    assert parts_made(3, 4, None) == 12
    assert parts_made(3, 4, 2) == 6
    assert parts_made(3, 4, 0) == 0, "warm-up"


def test_an_operation_holds_the_machine_through_pauses_and_relays() -> None:
    intervals = [
        Interval(at(30), at(40), "pause", ""),
        Interval(at(0), at(30), "run", ""),
        Interval(at(35), None, "run", ""),
        Interval(at(-60), at(-30), "setup", ""),
    ]
    assert presences("OF1-10", intervals) == [Presence(at(-60), at(-30), "OF1-10"), Presence(at(0), None, "OF1-10")]


def test_the_measured_cycle_leaves_a_stop_aside() -> None:
    counts = [(at(m), 1) for m in (0, 4, 8, 12, 60, 64, 68)]
    assert measured_cycle(counts) == Measure(4.0, 7, "mesuré sur 7 pièces")


@given(st.lists(st.tuples(st.integers(0, 500).map(at), st.integers(0, 3)), max_size=ENOUGH_PARTS - 1))
def test_few_counts_measure_nothing(counts: list[tuple[datetime, int]]) -> None:
    assert measured_cycle(counts) is None


def test_clocked_cycle_where_no_machine_counts() -> None:
    assert clocked_cycle(100, 10) == Measure(10.0, 10, "pointé sur 10 pièces")
    assert clocked_cycle(100, 4) is None


def need(**changes: object) -> Need:
    base = {"quantity": 50, "done": 0, "setup_min": 30.0, "run_min": 4.0, "setup_spent": 0.0, "in_run": False}
    return Need(**(base | {"measure": None} | changes))  # type: ignore[arg-type]  # brief in tests


def test_what_remains_says_why() -> None:
    assert remaining(need()) == (230.0, "réglage 30 min + 50 pièces × 4 min (prévu au devis)")
    assert remaining(need(setup_spent=45.0)).minutes == 200.0, "an overrun of the setup takes nothing from the run"
    measure = Measure(4.2, 14, "mesuré sur 14 pièces")
    found = remaining(need(done=14, in_run=True, measure=measure))
    assert found.minutes == pytest.approx(36 * 4.2)
    assert found.why == "36 pièces × 4,2 min (mesuré sur 14 pièces)"
    assert remaining(need(done=51)).minutes == 0.0


@pytest.mark.parametrize(("unit", "expected"), [("mm", 12 * 53_500), ("m", 642), ("pce", 12_000)])
def test_debit_in_the_unit_of_the_item(unit: str, expected: int) -> None:
    """(50 + 3 + 0.5) mm × 12, in thousandths of the unit."""
    assert debit_quantity(12, 53_500, unit) == expected
