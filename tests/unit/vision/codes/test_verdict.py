"""The rules of belief, without any image."""

import numpy as np

from vision.codes.types import Look, Read
from vision.codes.verdict import believed


def claim(
    text: str,
    name: str,
    band: int | None = None,
    *,
    at: tuple[float, float] = (0, 0),
    library: str = "zxing",
    angle: int = 0,
    quiet: bool = True,
) -> Read:
    """A read of a 100 x 40 code whose corner is `at`."""
    x, y = at
    corners = np.array([(x, y), (x + 100, y), (x + 100, y + 40), (x, y + 40)], np.float32)
    look = Look("strip", strip=0, band=band) if band is not None else Look("grey", angle)
    return Read(text, name, corners, library, look, quiet)


def texts(*reads: Read) -> list[str]:
    return [code.text for code in believed(reads)]


def test_one_look_is_not_enough_even_with_a_check_digit() -> None:
    assert texts(claim("3574660239843", "EAN13")) == []
    assert texts(claim("3574660239843", "EAN13", 3)) == []


def test_the_same_look_twice_is_one_look() -> None:
    once = claim("OF-1", "Code128", 4)
    assert texts(once, once, once, once) == []


def test_three_bands_make_a_checked_code() -> None:
    assert texts(*(claim("OF-1", "Code128", band) for band in (2, 3, 4))) == ["OF-1"]


def test_a_weak_code_needs_more_than_a_checked_one() -> None:
    assert texts(*(claim("OF1", "Code39", band) for band in (2, 3, 4))) == []
    assert texts(*(claim("OF1", "Code39", band) for band in (2, 3, 4, 5))) == ["OF1"]


def test_the_majority_wins_by_a_margin_or_nothing_does() -> None:
    good = [claim("419055", "Code128", band) for band in range(6)]
    assert texts(*good, claim("419098", "Code128", 7)) == ["419055"]
    assert texts(*good, *(claim("419098", "Code128", band) for band in (6, 7, 8))) == []


def test_a_part_of_a_longer_code_is_dropped() -> None:
    whole = [claim("2167361334", "ITF", band) for band in range(4)]
    part = [claim("216736", "ITF", band) for band in range(4, 9)]
    assert texts(*whole, *part) == ["2167361334"]


def test_interleaved_2_of_5_without_bare_paper_beside_it_is_not_believed() -> None:
    assert texts(*(claim("216736", "ITF", band, quiet=False) for band in range(9))) == []


def test_different_places_are_different_codes() -> None:
    here = [claim("OF-1", "Code128", band) for band in range(3)]
    there = [claim("OF-2", "Code128", band + 3, at=(0, 300)) for band in range(3)]
    assert sorted(texts(*here, *there)) == ["OF-1", "OF-2"]


def test_the_libraries_may_differ_in_fnc1_and_the_fuller_text_is_given() -> None:
    reads = [claim("0104\x1d10", "Code128", band) for band in (1, 2)]
    assert texts(*reads, claim("010410", "Code128", 2, library="zbar")) == ["0104\x1d10"]


def test_a_text_of_blanks_is_nothing() -> None:
    assert texts(*(claim("   ", "Code128", band) for band in range(9))) == []
