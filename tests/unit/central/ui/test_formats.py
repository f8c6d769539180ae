from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from central.ui import formats
from central.ui.review import milli

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 21, 7, 41, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (4, "4"),
        (-1.0, "−1"),
        (1250.5, "1\u202f250,5"),
        (0.0004, "0"),
        (-0.0004, "0"),
        (1_000_000, "1\u202f000\u202f000"),
    ],
)
def test_numbers_are_french(value: float, written: str) -> None:
    assert formats.number(value) == written


def test_a_quantity_carries_its_unit_unless_it_is_pieces() -> None:
    assert formats.quantity(-1000, "pce") == "−1"
    assert formats.quantity(5_700_000, "mm") == "5\u202f700\u00a0mm"
    assert formats.quantity(2000, "pce", signed=True) == "+2"


def test_moments_are_read_as_a_person_says_them() -> None:
    assert formats.moment(NOW, NOW, PARIS) == "08:41"
    assert formats.moment(NOW - timedelta(days=1), NOW, PARIS) == "hier 08:41"
    assert formats.moment(NOW - timedelta(days=3), NOW, PARIS) == "18/11 08:41"
    assert formats.moment(datetime(2025, 1, 2, tzinfo=UTC), NOW, PARIS) == "02/01/2025"


def test_yesterday_ends_at_the_shop_s_midnight_not_at_utc() -> None:
    just_after = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    assert formats.moment(just_after, NOW, PARIS) == "00:30"


def test_the_day_carries_its_iso_week() -> None:
    assert formats.day(NOW, PARIS) == "samedi 21 novembre · S47"
    assert formats.day(datetime(2027, 1, 1, 12, tzinfo=UTC), PARIS) == "vendredi 1er janvier · S53"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(-3, "0 s"), (45, "45 s"), (725, "12 min"), (21_900, "6 h 05"), (86_400, "1 jour"), (260_000, "3 jours")],
)
def test_durations(seconds: float, written: str) -> None:
    assert formats.duration(seconds).replace("\u00a0", " ") == written


@pytest.mark.parametrize(
    ("typed", "thousandths"),
    [("−1", -1000), ("-1", -1000), ("+2", 2000), ("12,5", 12_500), ("1\u202f250.125", 1_250_125), (" 0 ", 0)],
)
def test_what_a_person_types_is_a_quantity(typed: str, thousandths: int) -> None:
    assert milli(typed) == thousandths


@pytest.mark.parametrize("typed", ["", "deux", "1,2,3", "1e3", "--1", "0,1234", "9" * 10, "²"])
def test_what_is_no_quantity_is_explained(typed: str) -> None:
    with pytest.raises(ValueError, match="n’est pas une quantité"):
        milli(typed)
