"""Lamps and contacts through the whole bridge, on gpiozero's mock pins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.follow import follow
from cnc_bridge.port import DriverFaultError
from cnc_bridge.tracking import (
    AlarmCleared,
    AlarmRaised,
    Event,
    PartsCounted,
    SourceTrouble,
    StateChanged,
    TrackerState,
)

GREEN, RED, POWER, PART = 17, 27, 5, 22


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    before, Device.pin_factory = Device.pin_factory, MockFactory()
    yield Device.pin_factory
    Device.pin_factory.close()
    Device.pin_factory = before


def source(**driver: Any) -> MachineSource:
    inputs = {"green": GREEN, "red": RED, "part": PART}
    table = {"kind": "gpio", "inputs": inputs, "blink_s": 0.1, "otherwise": "READY"} | driver
    return parse({"machine": {"id": "m"}, "driver": table})


async def events(
    source: MachineSource, react: Callable[[list[Event]], bool], state: TrackerState | None = None
) -> tuple[list[Event], TrackerState]:
    """All events until `react`, asked after each step with what was seen so far, is content."""
    seen: list[Event] = []
    async with asyncio.timeout(30), follow(source, state) as machine:
        async for step in machine.steps():
            seen += step.events
            if react(seen):
                return seen, step.state
    raise AssertionError("the events ended by themselves")


def states(seen: list[Event]) -> list[str]:
    return [event.state for event in seen if isinstance(event, StateChanged)]


async def test_a_red_lamp_is_an_alarm_until_it_goes_out(pins: MockFactory) -> None:
    def react(seen: list[Event]) -> bool:
        said = states(seen)
        if said == ["ready"]:
            pins.pin(RED).drive_low()
        elif said == ["ready", "alarm"]:
            pins.pin(RED).drive_high()
        return said == ["ready", "alarm", "ready"] and any(isinstance(event, AlarmCleared) for event in seen)

    seen, _ = await events(source(), react)
    raised = [event for event in seen if isinstance(event, AlarmRaised)]
    assert [(alarm.key, alarm.text) for alarm in raised] == [("lamps", "Lampe rouge")]


async def test_a_blinking_lamp_is_one_state_not_a_flood(pins: MockFactory) -> None:
    rules = [
        {"when": {"green": "blink"}, "execution": "ACTIVE"},
        {"when": {"green": "off"}, "execution": "READY"},
    ]
    blinking: list[asyncio.Task[None]] = []

    async def blink() -> None:
        for _ in range(40):
            pins.pin(GREEN).drive_low()
            await asyncio.sleep(0.04)
            pins.pin(GREEN).drive_high()
            await asyncio.sleep(0.04)

    def react(seen: list[Event]) -> bool:
        if states(seen) == ["ready"] and not blinking:
            blinking.append(asyncio.create_task(blink()))
        return bool(blinking) and blinking[0].done() and states(seen)[-1] == "ready"

    seen, _ = await events(source(rules=rules, blink_s=0.3, inputs={"green": {"pin": GREEN, "debounce_ms": 5}}), react)
    assert states(seen) == ["ready", "running", "ready"]


async def test_parts_are_counted_on_after_a_restart_though_the_driver_begins_at_0(pins: MockFactory) -> None:
    pulsed: list[int] = []

    async def pulse() -> None:
        pins.pin(PART).drive_low()
        await asyncio.sleep(0.1)
        pins.pin(PART).drive_high()

    tasks: list[asyncio.Task[None]] = []

    def react(seen: list[Event]) -> bool:
        if states(seen) and not pulsed:
            pulsed.append(1)
            tasks.append(asyncio.create_task(pulse()))
        return any(isinstance(event, PartsCounted) and event.delta == 1 for event in seen)

    saved = TrackerState(part_count=57)
    seen, state = await events(source(), react, saved)
    counted = [event for event in seen if isinstance(event, PartsCounted)]
    assert sum(event.delta for event in counted) == 1
    assert [event.reset for event in counted][:1] == [True]
    assert state.part_count == 1
    await asyncio.gather(*tasks)


async def test_a_machine_that_is_switched_off_is_off(pins: MockFactory) -> None:
    inputs = {"green": GREEN, "power": {"pin": POWER, "inverted": True}}
    # a mock pin rests at its pull: an inverted contact is closed there, so the machine is found switched on

    def start(seen: list[Event]) -> bool:
        if states(seen) == ["ready"]:
            pins.pin(POWER).drive_low()
        return states(seen) == ["ready", "off"]

    seen, _ = await events(source(inputs=inputs), start)
    assert not [event for event in seen if isinstance(event, SourceTrouble) and event.status == "error"]


async def test_lamps_that_no_rule_knows_are_unknown_and_said(pins: MockFactory) -> None:
    def react(seen: list[Event]) -> bool:
        return any(isinstance(event, SourceTrouble) and event.code == "no_rule" for event in seen)

    seen, _ = await events(source(otherwise=None), react)
    sentence = next(event.message_fr for event in seen if isinstance(event, SourceTrouble) and event.code == "no_rule")
    assert "green off" in sentence
    assert "running" not in states(seen)


async def test_a_computer_without_pins_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "no-such-library")
    with pytest.raises(DriverFaultError) as fault:
        await source().create_driver().probe()
    assert fault.value.code == "no_gpio"
    assert "Raspberry Pi" in fault.value.message_fr
