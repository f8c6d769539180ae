"""Four operators, two machines, one rack: who took it and for what, over the centre's join."""

from __future__ import annotations

from bench.rack_days.charging import Charging, run


def test_with_badges_that_close_and_plans_that_hold_nothing_is_charged_wrongly() -> None:
    """What the join may be sure of: a badge each time, closed at once, picks of planned items only."""
    play = Charging(picks=24, days=1, badged=1.0, closes=1.0, planned=1.0, idle=0.0, late=0.3, doubled=0.3)
    result = run(play)
    assert result["picks"] == 24
    assert result["charged_wrong"]["k"] == 0, result["ways"]
    assert result["charged_right"]["k"] > 12
    assert result["alarms"] == []


def test_every_pick_is_right_wrong_or_left_to_a_person() -> None:
    result = run(Charging(picks=16, days=1, badged=0.0, idle=0.5))
    assert sum(result[name]["k"] for name in ("charged_right", "charged_wrong", "to_charge")) == 16
    assert not any("missing" in way for way in result["ways"])
