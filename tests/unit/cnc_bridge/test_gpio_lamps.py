"""Wires over time, without a wire."""

from collections.abc import Iterable
from typing import Any

import pytest

from cnc_bridge.config import ConfigError, parse
from cnc_bridge.drivers.gpio.lamps import Contact, Lamp, fitting
from cnc_bridge.drivers.gpio.settings import Look, Rule, Settings


def settled(debounce_s: float, levels: Iterable[tuple[float, bool]], until: float) -> list[tuple[bool, float]]:
    """What a contact reports of these (time, level), looked at every 10 ms."""
    contact, found = Contact[str](debounce_s), list[tuple[bool, float]]()
    edges, level = sorted(levels), False
    for tick in range(round(until * 100) + 1):
        now = tick / 100
        while edges and edges[0][0] <= now:
            at, level = edges.pop(0)
            found += [(was, since) for was, since, _ in contact.see(level, at, "")]
        found += [(was, since) for was, since, _ in contact.see(level, now, "")]
    return found


def test_a_bouncing_contact_closes_once_and_is_dated_by_where_it_came_to_rest() -> None:
    bounces = [(0.0, False), (1.0, True), (1.002, False), (1.004, True), (1.006, False), (1.008, True), (2.0, False)]
    assert settled(0.02, bounces, 3.0) == [(False, 0.0), (True, 1.008), (False, 2.0)]


def test_a_pulse_between_two_looks_is_not_lost() -> None:
    assert settled(0.02, [(0.0, False), (1.001, True), (1.026, False)], 2.0) == [
        (False, 0.0), (True, 1.001), (False, 1.026),
    ]  # fmt: skip


def test_a_spike_shorter_than_the_debounce_is_nothing() -> None:
    assert settled(0.02, [(0.0, False), (1.0, True), (1.01, False)], 2.0) == [(False, 0.0)]


def looks(changes: Iterable[tuple[float, bool]], until: float, blink_s: float = 1.2) -> list[tuple[Look, float]]:
    """(look, when it began) in turn, judged every 50 ms."""
    lamp, found, edges = Lamp[float](blink_s), list[tuple[Look, float]](), sorted(changes)
    for tick in range(round(until * 20) + 1):
        now = tick / 20
        while edges and edges[0][0] <= now:
            at, level = edges.pop(0)
            lamp.change(level, at, at)
        lamp.judge(now)
        if lamp.look is not None and (not found or found[-1][0] != lamp.look):
            assert lamp.since is not None
            found.append((lamp.look, lamp.since))
    return found


def blinking(start: float, end: float, half: float = 0.5) -> list[tuple[float, bool]]:
    count = round((end - start) / half)
    return [(start + index * half, index % 2 == 0) for index in range(count)]


def test_a_lamp_that_blinks_for_an_hour_is_one_state() -> None:
    changes = [(0.0, False), *blinking(10.0, 3610.0)]
    assert looks(changes, 3620.0) == [("off", 0.0), ("blink", 10.0), ("off", 3609.5)]


def test_a_lamp_that_goes_from_blinking_to_burning_says_so_from_its_last_change() -> None:
    changes = [(0.0, False), *blinking(2.0, 8.5)]
    assert looks(changes, 20.0) == [("off", 0.0), ("blink", 2.0), ("on", 8.0)]


def test_two_slow_switchings_are_no_blinking() -> None:
    assert [look for look, _ in looks([(0.0, False), (5.0, True), (8.0, False), (11.0, True)], 20.0)] == [
        "off", "on", "off", "on",
    ]  # fmt: skip


def test_one_short_flicker_changes_nothing() -> None:
    assert looks([(0.0, True), (5.0, False), (5.3, True)], 20.0) == [("on", 0.0)]


def gpio(**driver: Any) -> Settings:
    found = parse({"machine": {"id": "m"}, "driver": {"kind": "gpio"} | driver}).driver
    assert isinstance(found, Settings)
    return found


STACK = gpio(inputs={"red": 5, "yellow": 6, "green": 13, "cycle": 19})


@pytest.mark.parametrize(
    ("seen", "execution"),
    [
        ({"red": "off", "yellow": "off", "green": "on", "cycle": "off"}, "ACTIVE"),
        ({"red": "off", "yellow": "off", "green": "off", "cycle": "on"}, "ACTIVE"),
        ({"red": "blink", "yellow": "off", "green": "on", "cycle": "on"}, "STOPPED"),
        ({"red": "off", "yellow": "blink", "green": "off", "cycle": "off"}, "READY"),
        ({"red": "off", "yellow": "off", "green": "off", "cycle": "off"}, "READY"),
    ],
)
def test_the_usual_rules(seen: dict[str, Look], execution: str) -> None:
    rule = fitting(STACK.effective_rules, seen)
    assert rule is not None
    assert rule.execution == execution


def test_all_lamps_dark_means_nothing_until_the_shop_says_what() -> None:
    dark: dict[str, Look] = {"green": "off", "yellow": "off"}
    assert fitting(gpio(inputs={"green": 13, "yellow": 6}).effective_rules, dark) is None


def test_the_shops_own_rules_replace_the_usual_ones() -> None:
    rules = [{"when": {"green": "blink", "red": "off"}, "execution": "PROGRAM_COMPLETED"}]
    own = gpio(inputs={"green": 13, "red": 5}, rules=rules)
    assert [rule.execution for rule in own.effective_rules] == ["PROGRAM_COMPLETED"]
    assert fitting(own.effective_rules, {"green": "blink"}) is None, "red is not known yet"


@pytest.mark.parametrize(
    ("driver", "said"),
    [
        ({"inputs": {"green": 13, "red": 13}}, "two inputs"),
        ({"inputs": {"green": 13}, "rules": [{"when": {"blue": "on"}, "execution": "ACTIVE"}]}, "none of the inputs"),
        ({"inputs": {"green": 13}, "rules": [{"when": {"green": "on"}, "execution": "RUN"}]}, "execution word"),
        ({"inputs": {"part": 13}}, "write `rules`"),
        ({"inputs": {"green": {"pin": 13, "pull": "up", "active_low": False}}}, "does not go with"),
        ({"inputs": {"green": 13}, "otherwise": "DARK"}, "execution word"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(driver: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        gpio(**driver)


def test_a_rule_may_stand_for_itself() -> None:
    assert Rule(when={"green": "lit"}, execution="ACTIVE").alarm == ""
