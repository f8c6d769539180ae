from __future__ import annotations

import pytest

from central.items.rules import candidates, handling_of, is_other_business, normal
from contracts.codes import BadCheck, format_code


def test_what_is_consumed_and_what_is_lent() -> None:
    assert [handling_of(c) for c in ("insert", "ppe", "holder", "instrument")] == ["consume", "consume", "lend", "lend"]


def test_readings_of_one_label_compare_equal() -> None:
    assert normal(" cnmg 120408\n") == normal("CNMG 120408")


def test_an_upc_and_its_ean_are_one_code() -> None:
    assert set(candidates("036000291452")) == set(candidates("0036000291452"))


def test_our_own_code_is_known_by_its_id_and_refused_when_misread() -> None:
    own = format_code("IT", "CNMG-1")
    assert candidates(own) == (own, "CNMG-1")
    with pytest.raises(BadCheck):
        candidates(own[:-1] + ("A" if own[-1] != "A" else "B"))


def test_operations_badges_and_machines_are_other_business() -> None:
    assert [is_other_business(format_code(t, "X1")) for t in ("OP", "PE", "MA", "IT", "PL")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert not is_other_business("4012345678901")
