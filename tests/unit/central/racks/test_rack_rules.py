"""Availability, standing, models that fall: pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.racks.rules import ModeAt, Said, availability, fell, rack_of, slot_of, standing

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def said(*right: bool) -> list[Said]:
    return [Said(at(n), f"doubt:{n}", r) for n, r in enumerate(right)]


def test_a_place_names_its_rack_and_its_slot() -> None:
    assert (rack_of("rack-a/A1"), slot_of("rack-a/A1")) == ("rack-a", "A1")
    assert rack_of("armoire") == "armoire"


def test_blind_time_is_away_and_the_time_before_it_first_spoke_does_not_count() -> None:
    changes = [ModeAt(at(0), "counting"), ModeAt(at(2), "blind"), ModeAt(at(3), "restocking")]
    assert availability(changes, at(-10), at(10)) == pytest.approx(0.9)
    assert availability(reversed(changes), at(-10), at(10)) == pytest.approx(0.9)
    assert availability([], at(0), at(1)) is None
    assert availability([ModeAt(at(-50), "blind")], at(0), at(1)) == 0.0


def test_so_many_in_a_row_make_it_automatic_and_one_wrong_one_ends_it() -> None:
    assert not standing(said(True, True), "blank", 3).automatic
    assert standing(said(True, True, True), "blank", 3).automatic
    fallen = standing(said(True, True, True, False, True), "blank", 3)
    assert (fallen.automatic, fallen.confirmed, fallen.wrong) == (False, 1, 1)
    assert standing([], "automatic", 3).automatic
    assert not standing(said(False), "automatic", 3).automatic


def test_a_person_can_let_it_act_or_stop_it() -> None:
    assert standing(said(True), "blank", 30, forced_at=at(5)).automatic
    assert not standing(said(True, False), "blank", 30, forced_at=at(0.5)).automatic
    assert not standing(said(True, True, True), "automatic", 3, reset_at=at(1.5)).automatic


@given(st.permutations(said(True, False, True, True, False, True)))
def test_the_order_in_which_outcomes_are_given_does_not_matter(shuffled: list[Said]) -> None:
    assert standing(shuffled, "blank", 2) == standing(sorted(shuffled), "blank", 2)


def test_a_model_falls_beyond_chance_only() -> None:
    assert not fell(10, 9, 1000, 1)
    assert not fell(199, 1, 995, 5)
    assert fell(180, 20, 995, 5)
    assert fell(10, 10, 0, 0)
    assert not fell(29, 1, 0, 0)
