"""What a person types about a machine and its programmes."""

from __future__ import annotations

import pytest

from central.machines.rules.parameters import Parameters, is_robot
from central.machines.rules.programmes import Programme, Yields, checked


def test_the_closest_setting_of_a_programme_wins() -> None:
    found = Yields(
        "counter",
        [
            Programme("", "*", True, None),
            Programme("", "PALP*", False, None, note="palpage"),
            Programme("tour-1", "palp?-bis", True, 2),
            Programme("tour-1", "PALP1-BIS", True, 3),
        ],
    )
    assert found.parts("palp1-bis") == 3
    assert found.parts("PALP2-BIS") == 2
    assert found.parts("Palpage") == 0
    assert found.parts("O1184") is None
    assert found.parts(None) is None


def test_brackets_in_a_name_are_only_brackets() -> None:
    assert Yields("counter", [Programme("", "O1[A].NC", False, None)]).parts("O1[A].NC") == 0
    assert Yields("counter", [Programme("", "O1[A].NC", False, None)]).parts("O1A.NC") is None


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (Programme("", "  ", True, 1), "Donnez le nom"),
        (Programme("", "O1", True, 0), "de 1 à"),
        (Programme("", "O1", True, 1, cycle_s=0), "secondes"),
        (Programme("tour-1", "O" * 121, True, 1), "120 caractères"),
        (Programme("tour-1", "O1", True, 1, note="n" * 121), "120 caractères"),
    ],
)
def test_a_wrong_setting_is_refused_in_french(setting: Programme, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked(setting)


def test_what_does_not_produce_makes_no_parts() -> None:
    assert checked(Programme("", " CHAUFFE ", False, 4)) == Programme("", "CHAUFFE", False, None)


def test_parameters_are_tidied() -> None:
    told = Parameters("  Tour   1 ", axes="x, z c", travels="x250 ; Z 600,5")
    assert told.checked() == Parameters("Tour 1", axes="X Z C", travels="X 250, Z 600,5")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Parameters(" "), "nom"),
        (Parameters("T", power_kw=0), "kW"),
        (Parameters("T", spindle_max_rpm=-1), "tr/min"),
        (Parameters("T", axes="X-Y"), "axes"),
        (Parameters("T", axes="X Z", travels="Y 500"), "pas parmi les axes"),
        (Parameters("T", travels="grand"), "courses"),
        (Parameters("T", travels="X 500, X 600"), "une course"),
        (Parameters("T" * 121), "trop long"),
    ],
)
def test_wrong_parameters_are_refused_in_french(wrong: Parameters, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wrong.checked()


def test_a_robot_is_told_by_its_kind() -> None:
    assert is_robot("Robot 6 axes")
    assert is_robot("robot")
    assert not is_robot("Tour CN")
