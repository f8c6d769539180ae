from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

from gpiozero import Device
from gpiozero.exc import PinInvalidState
from gpiozero.pins.mock import MockFactory, MockPin

from tests.contract.cnc_bridge.far_sides import FarSide

GREEN, YELLOW, PART = 17, 27, 22


class LoosePin(MockPin):  # type: ignore[misc]  # the library publishes no types
    """A pin whose board can go away."""

    gone = False

    def _get_state(self) -> Any:
        if LoosePin.gone:
            raise PinInvalidState("the board does not answer")
        return super()._get_state()


class Far(FarSide):
    """Mock pins in this process, moved by a task: two lamps and a part contact. Killed means that the board is gone."""

    kind = "gpio"
    signals = frozenset({"execution", "part_count"})
    has_host = False
    can_hang = False
    counts_up = False
    source_time = False
    _machine: asyncio.Task[None] | None = None

    def command(self, *, without: str = "") -> Sequence[str]:  # there is no process
        return [sys.executable, "-c", f"print({json.dumps(without)!r})"]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        contact = {"pin": 99 if without == "part_count" else PART, "debounce_ms": 10}
        lamps = {"green": {"pin": GREEN, "debounce_ms": 5}, "yellow": {"pin": YELLOW, "debounce_ms": 5}}
        return {"inputs": {**lamps, "part": contact}, "blink_s": 0.15, "otherwise": "READY"}

    async def start(self, *, without: str = "") -> None:
        LoosePin.gone = False
        if not isinstance(Device.pin_factory, MockFactory):
            Device.pin_factory = MockFactory(pin_class=LoosePin)
        self._machine = asyncio.create_task(_work(Device.pin_factory))

    async def kill(self) -> None:
        LoosePin.gone = True
        if self._machine is not None:
            self._machine.cancel()
            await asyncio.wait([self._machine])
            self._machine = None


async def _work(factory: MockFactory) -> None:
    """Contacts to ground: driven low is closed."""
    green, yellow, part = factory.pin(GREEN), factory.pin(YELLOW), factory.pin(PART)
    while True:
        yellow.drive_high()
        green.drive_low()
        await asyncio.sleep(0.8)
        green.drive_high()
        yellow.drive_low()
        part.drive_low()
        await asyncio.sleep(0.1)
        part.drive_high()
        await asyncio.sleep(0.5)
