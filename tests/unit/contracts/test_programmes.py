"""What is the same programme, and what differs between two."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import programmes
from contracts.programmes import BadNameError, check_name, difference, normalised, same

TEXT = b"%\nO1234(PIECE 12)\nN10 G0 X10. Z2.\nN20 G1 Z-15.5 F0.2\nM30\n%\n"


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace(b"\n", b"\r\n"),
        TEXT.replace(b"\n", b"\r"),
        TEXT.replace(b"\n", b"\n\r"),
        TEXT.replace(b"\n", b"   \n"),
        TEXT.replace(b"\n", b"\n\n"),
        TEXT.removeprefix(b"%\n").removesuffix(b"%\n"),
        b"\x00\x00\x12" + TEXT + b"\x14\x00\x1a",
        TEXT.replace(b"O1234", b":1234"),
        TEXT.replace(b"O1234", b"O00001234"),
        TEXT.replace(b"O1234", b""),
        TEXT.replace(b"X10. Z2.", b"X10.Z2.").replace(b"N10 ", b"N10"),
        b"\xef\xbb\xbf" + TEXT,
    ],
)
def test_what_a_controller_adds_or_drops_is_no_difference(other: bytes) -> None:
    assert same(TEXT, other, "O1234")
    assert programmes.fingerprint(TEXT, "O1234") == programmes.fingerprint(other, "O1234")
    assert programmes.sha256(TEXT) != programmes.sha256(other)


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace(b"X10.", b"X10"),
        TEXT.replace(b"Z-15.5", b"Z15.5"),
        TEXT.replace(b"F0.2", b"F0.20"),
        TEXT.replace(b"N20", b"N25"),
        TEXT.replace(b"M30\n", b""),
        TEXT.replace(b"N20 G1", b"/N20 G1"),
        TEXT.replace(b"O1234", b"O1235"),
        TEXT.replace(b"PIECE 12", b"PIECE 13"),
        TEXT.replace(b"N10 G0", b"(N10 G0").replace(b"Z2.", b"Z2.)"),
        TEXT.replace(b"X10. ", b"X1 0. "),
        b"%\nO1234(PIECE 12)\n",
    ],
)
def test_what_changes_the_cut_is_one(other: bytes) -> None:
    assert not same(TEXT, other, "O1234")
    assert not difference(TEXT, other).empty


def test_blanks_inside_a_comment_or_a_text_stay() -> None:
    assert normalised(b'G1 X1 Y2 (X1 Y2)\nMSG("X1 Y2")') == ["G1X1Y2 (X1 Y2)", 'MSG("X1 Y2")']
    assert normalised(b"L X+10 Y-5 R0 FMAX") == ["L X+10Y-5R0 FMAX"]


def test_another_programmes_number_counts() -> None:
    assert not same(b"O1\nM30", b"O2\nM30")
    assert same(b"O1\nM30", b"O0001\nM30")
    assert not same(b"O1\nM30", b"M30", "O2")


def test_a_difference_is_read_by_a_person() -> None:
    new = TEXT.replace(b"Z-15.5", b"Z-15.2").replace(b"M30", b"M5\nM30")
    found = difference(TEXT, new)
    assert found.sentence() == "1 ligne changée, 1 ajoutée."
    changed = [row for row in found.rows if row.change != "same"]
    assert [(row.change, row.left, row.right) for row in changed] == [("changed", 4, 4), ("added", None, 5)]
    assert changed[0].left_text == "N20 G1 Z-15.5 F0.2"
    assert changed[0].right_text == "N20 G1 Z-15.2 F0.2"


def test_a_change_of_sequence_numbers_alone_is_marked_as_such() -> None:
    found = difference(TEXT, TEXT.replace(b"N10", b"N100").replace(b"N20", b"N200"))
    assert found.counts == {"renumbered": 2}
    assert found.sentence() == "2 lignes renumérotées."
    heidenhain = difference(b"0 BEGIN PGM A MM\n1 L X+1\n", b"0 BEGIN PGM A MM\n2 L X+1\n")
    assert heidenhain.counts == {"renumbered": 1}


def test_equal_lines_are_left_out_and_counted() -> None:
    old = b"\n".join(b"N%d X%d" % (n, n) for n in range(100))
    found = difference(old, old.replace(b"X50", b"X51."))
    assert [row.left for row in found.rows] == [None, 48, 49, 50, 51, 52, 53, 54, None]
    assert found.rows[0].left_text == "47 lignes identiques"
    assert difference(b"a\nb\nc\nd\ne", b"a\nb\nc\nd\nf").rows[0].left_text == "1 ligne identique"


@given(
    st.lists(st.sampled_from(["G0 X1", "G1 Z2", "M8", "", "N10 G0"]), max_size=30), st.randoms(use_true_random=False)
)
def test_the_rows_tell_both_texts(lines: list[str], rng: random.Random) -> None:
    """Nothing is left out of a comparison without folding: each side is found again in its order."""
    other = [line for line in lines if rng.random() > 0.3] + ["M30"]
    found = difference("\n".join(lines).encode(), "\n".join(other).encode(), around=1000)
    if found.empty:
        return
    left = [row.left_text for row in found.rows if row.left is not None]
    right = [row.right_text for row in found.rows if row.right is not None]
    assert [line for line in left if line] == [line for line in lines if line]
    assert [line for line in right if line] == [line for line in other if line]


def test_a_long_programme_is_compared_as_well() -> None:
    rng = random.Random(3)
    lines = [b"N%d G1 X%.3f Y%.3f Z%.3f" % (n, rng.random(), rng.random(), rng.random()) for n in range(120_000)]
    old = b"\n".join(lines)
    lines[60_000] += b" F100"
    del lines[90_000]
    lines[10:10] = [b"M8"] * 3
    found = difference(old, b"\n".join(lines))
    assert found.counts == {"changed": 1, "removed": 1, "added": 3}


@pytest.mark.parametrize("name", ["O1234", "PIECE-12.nc", "a b.ngc", "X"])
def test_a_file_s_name(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", ".hid", "-rf", "a..b", "é", "x" * 65, "a\nb", "a ", "~x"],
)
def test_a_name_is_never_a_path(name: str) -> None:
    with pytest.raises(BadNameError, match="nom de programme"):
        check_name(name)


def test_names_of_controllers() -> None:
    assert check_name("O12345678", "o_number")
    assert check_name("PIECE12.NC", "8.3")
    for name, rule in (("O12", "o_number"), ("1234", "o_number"), ("PIECE123456.NC", "8.3"), ("piece.nc", "8.3")):
        with pytest.raises(BadNameError):
            check_name(name, rule)  # type: ignore[arg-type]  # a parameter of the test
