from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts.codes import BadCheck, format_code, parse_code

IDENTIFIERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", min_size=1, max_size=20)


@given(IDENTIFIERS)
def test_a_printed_code_is_read_back(identifier: str) -> None:
    code = parse_code(f"  {format_code('OP', identifier).lower()} ")
    assert code is not None
    assert (code.type, code.id) == ("OP", identifier)


@given(IDENTIFIERS, st.data())
def test_one_wrong_character_is_noticed(identifier: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(identifier) - 1))
    assume(identifier[place] != "-")
    wrong = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789").filter(lambda c: c != identifier[place]))
    good = format_code("IT", identifier)
    with pytest.raises(BadCheck):
        parse_code(good[: 3 + place] + wrong + good[4 + place :])


def test_nearly_every_swap_of_two_neighbours_is_noticed() -> None:
    """A hybrid system misses a few swaps by construction (one pair for each state); the rest must be caught."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    missed = 0
    for first, second in itertools.permutations(alphabet, 2):
        good = format_code("PE", first + second)
        try:
            parse_code(f"PE:{second}{first}:{good[-1]}")
        except BadCheck:
            continue
        missed += 1
    assert missed <= 36


@pytest.mark.parametrize("text", ["3574660239843", "http://example", "OP:1", "XX:1:2", "", "OP::3"])
def test_somebody_elses_code_is_left_alone(text: str) -> None:
    assert parse_code(text) is None


def test_a_known_value_of_the_standard() -> None:
    """ISO/IEC 7064 MOD 37,36: the check character of A12425GABC1234002 is M (example of GRid, which uses this
    system).
    """
    assert format_code("IT", "X").startswith("IT:X:")
    from contracts.codes import _check

    assert _check("A12425GABC1234002") == "M"
