from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agents.weighing import Bin, BinState, Moved, Weight, parse

UNIT = 12.4


@pytest.mark.parametrize(
    ("line", "weight"),
    [
        ("ST,GS,+  12.34 kg", Weight(12340.0, stable=True)),
        ("US,NT,-   0.5  g\r", Weight(-0.5, stable=False)),
        ("ST,+00123.4  g", Weight(123.4, stable=True)),
        ("st,gs, 1,25kg", Weight(1250.0, stable=True)),
        ("OL,GS,+99999.9 g", Weight(None, stable=False)),
        ("S S     123.45 g", Weight(123.45, stable=True)),
        ("S D     123.40 g", Weight(123.4, stable=False)),
        ("S +", Weight(None, stable=False)),
        ("  0.250 kg ", Weight(250.0, stable=None)),
        ("- 3 g", Weight(-3.0, stable=None)),
        ("", None),
        ("12.34", None),
        ("ST,GS", None),
        ("hello 12 g", None),
        ("\x02\x03garbage", None),
    ],
)
def test_the_lines_of_usual_scales(line: str, weight: Weight | None) -> None:
    assert parse(line) == weight


@given(st.text(max_size=60))
def test_no_line_breaks_it(line: str) -> None:
    parse(line)


class Scale:
    """A bin that is fed weights, ten a second."""

    def __init__(self, state: BinState | None = None, bin_g: float | None = 200.0) -> None:
        self.bin = Bin(UNIT, bin_g, 1.0, state)
        self.mono = 0.0

    def holds(self, grams: float, seconds: float = 2.0, *, stable: bool | None = True) -> list[Moved]:
        found = []
        for _ in range(round(seconds * 10)):
            self.mono += 0.1
            moved = self.bin.see(Weight(grams, stable), self.mono)
            if moved is not None:
                found.append(moved)
        return found


def test_pieces_taken_and_put_back() -> None:
    scale = Scale()
    assert scale.holds(200 + 10 * UNIT) == []
    assert scale.bin.state.count == 10
    (taken,) = scale.holds(200 + 7 * UNIT + 0.8)
    assert (taken.pieces, taken.before, taken.after, taken.mode, taken.ask) == (-3, 10, 7, "auto", None)
    assert taken.confidence > 0.8
    (back,) = scale.holds(200 + 8 * UNIT)
    assert (back.pieces, back.after) == (1, 8)


def test_what_is_not_settled_is_nothing() -> None:
    scale = Scale()
    scale.holds(200 + 10 * UNIT)
    assert scale.holds(200, stable=False) == []
    for grams in range(200, 320, 7):  # a hand presses on the bin, and goes on
        assert scale.holds(float(grams), 0.5, stable=None) == []
    assert scale.holds(200 + 10 * UNIT, stable=None) == []
    assert scale.bin.state.count == 10


def test_a_lifted_bin_is_no_take() -> None:
    scale = Scale()
    scale.holds(200 + 10 * UNIT)
    assert scale.holds(0.0) == []
    assert scale.bin.lifted
    assert scale.holds(200 + 10 * UNIT) == []
    assert (scale.bin.lifted, scale.bin.state.count) == (False, 10)
    (refilled,) = scale.holds(200 + 15 * UNIT)
    assert refilled.pieces == 5


def test_a_foreign_thing_is_asked_about_once_and_forgotten_when_it_goes() -> None:
    scale = Scale()
    scale.holds(200 + 10 * UNIT)
    (asked,) = scale.holds(200 + 10.5 * UNIT)
    assert (asked.ask, asked.after) == ("foreign", None)
    assert scale.holds(200 + 10.5 * UNIT + 0.1) == []
    assert scale.holds(200 + 10 * UNIT) == []
    assert not scale.bin.state.strange
    (taken,) = scale.holds(200 + 9 * UNIT)
    assert taken.mode == "auto"


def test_a_change_under_a_foreign_thing_is_for_review() -> None:
    scale = Scale()
    scale.holds(200 + 10 * UNIT)
    scale.holds(200 + 10.5 * UNIT)
    (taken,) = scale.holds(200 + 8 * UNIT)
    assert (taken.pieces, taken.mode) == (-2, "review")


def test_drift_is_followed_and_never_becomes_a_piece() -> None:
    scale = Scale()
    for step in range(60):
        assert scale.holds(200 + 10 * UNIT + step * 0.5, 1.5) == []
    assert scale.bin.state.count == 10


def test_many_at_once_is_for_review_and_more_than_were_there_is_asked() -> None:
    scale = Scale()
    scale.holds(200 + 40 * UNIT)
    (many,) = scale.holds(200 + 15 * UNIT)
    assert (many.pieces, many.mode) == (-25, "review")
    unknown = Scale(BinState(200.0 + 2 * UNIT, 1))
    (asked,) = unknown.holds(200.0)
    assert asked.ask == "foreign"


def test_an_absence_is_compared_with_the_last_settled_weight() -> None:
    scale = Scale(BinState(200 + 10 * UNIT, 10))
    (taken,) = scale.holds(200 + 6 * UNIT)
    assert (taken.pieces, taken.after) == (-4, 6)


@given(st.lists(st.integers(0, 15), min_size=1, max_size=12), st.integers(0, 15))
def test_the_pieces_told_add_up_to_the_difference(counts: list[int], first: int) -> None:
    scale = Scale()
    scale.holds(200 + first * UNIT)
    total = sum(moved.pieces for count in counts for moved in scale.holds(200 + count * UNIT))
    assert total == counts[-1] - first
