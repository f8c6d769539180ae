"""Second signals at a rack: a scale over a real serial line (a pty), a contact on mock pins."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory

from contracts.facts import KIND_OF, SourceStatus, StockAsked, StockObserved
from edge_agents.clock import Clock
from edge_agents.outbox import Outbox
from edge_agents.parts.contact import ContactPart
from edge_agents.parts.scale import ScalePart
from edge_agents.sections import ContactSection, ScaleSection
from edge_agents.supervisor import Supervisor
from tests.support.honest_centre import until


class Line:
    """A scale at the other end of a serial line: it sends its weight ten times a second."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self.text = ""
        self._task = asyncio.create_task(self._send())

    def weighs(self, grams: float, word: str = "ST") -> None:
        self.text = f"{word},GS,{grams:+9.1f}  g\r\n"

    async def _send(self) -> None:
        while True:
            os.write(self._master, self.text.encode())
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)


def facts(outbox: Outbox, kind: type) -> list[Any]:
    """Bodies of that kind, from the file itself."""
    with contextlib.closing(sqlite3.connect(f"file:{outbox.path}?mode=ro", uri=True)) as file:
        rows = file.execute("SELECT body FROM facts WHERE kind = ? ORDER BY rowid", (KIND_OF[kind],)).fetchall()
    return [msgspec.json.decode(row[0], type=kind) for row in rows]


def cursor(outbox: Outbox, source: str) -> bytes | None:
    """As it lies in the file."""
    with contextlib.closing(sqlite3.connect(f"file:{outbox.path}?mode=ro", uri=True)) as file:
        row = file.execute("SELECT value FROM cursors WHERE source = ?", (source,)).fetchone()
    return None if row is None else bytes(row[0])


async def test_a_scale_counts_is_restarted_and_unplugged(tmp_path: Path) -> None:
    line = Line()
    section = ScaleSection(
        name="balance-1", serial=line.port, place="rack-a/B3", unit_g=12.4, item="PLAQ-1", bin_g=200.0, settle_s=0.5
    )
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        part = ScalePart(section)
        supervisor = Supervisor([part], outbox)
        line.weighs(200 + 10 * 12.4)
        supervisor.start()
        try:
            await until(lambda: any(s.status == "ok" for s in facts(outbox, SourceStatus)))
            await asyncio.sleep(1.0)
            line.weighs(999.0, "US")
            await asyncio.sleep(0.3)
            line.weighs(200 + 8 * 12.4 + 0.4)
            await until(lambda: bool(facts(outbox, StockObserved)))
            (taken,) = facts(outbox, StockObserved)
            assert (taken.source, taken.qty, taken.item, taken.place) == ("scale", -2000, "PLAQ-1", "rack-a/B3")
            assert (taken.count_before, taken.count_after, taken.mode, taken.during_absence) == (10, 8, "auto", False)
            line.weighs(200 + 5 * 12.4)
            await until(lambda: len(facts(outbox, StockObserved)) == 2)
            await supervisor.restart("balance-1")
            line.weighs(200 + 4 * 12.4)
            await until(lambda: len(facts(outbox, StockObserved)) == 3)
            assert [(f.qty, f.count_after) for f in facts(outbox, StockObserved)[1:]] == [(-3000, 5), (-1000, 4)]
            assert facts(outbox, StockObserved)[2].during_absence
            line.weighs(200 + 4.5 * 12.4)
            await until(lambda: bool(facts(outbox, StockAsked)))
            (asked,) = facts(outbox, StockAsked)
            assert (asked.reason, asked.place, asked.count_before) == ("foreign", "rack-a/B3", 4)
        finally:
            await line.close()
        await until(lambda: any(s.status == "lost" for s in facts(outbox, SourceStatus)))
        (lost,) = [s for s in facts(outbox, SourceStatus) if s.status == "lost"]
        assert (lost.source, lost.code) == ("balance-1", "unplugged")
        await supervisor.stop()


async def test_a_scale_that_speaks_another_language_is_said(tmp_path: Path) -> None:
    line = Line()
    section = ScaleSection(name="balance-1", serial=line.port, place="B3", unit_g=12.4)
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        supervisor = Supervisor([ScalePart(section)], outbox)
        line.text = "BONJOUR 12\r\n"
        supervisor.start()
        try:
            await until(lambda: any(s.status == "error" for s in facts(outbox, SourceStatus)))
            (error,) = [s for s in facts(outbox, SourceStatus) if s.status == "error"]
            assert (error.code, "baud" in error.message) == ("scale_lines", True)
        finally:
            await supervisor.stop()
            await line.close()


class FakeRack:
    def __init__(self) -> None:
        self.woken: list[bool] = []

    def wake(self, *, awake: bool) -> None:
        self.woken.append(awake)


@pytest.fixture
def pins() -> Iterator[MockFactory]:
    before = Device.pin_factory
    Device.pin_factory = MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = before


async def test_a_door_wakes_the_camera_and_each_opening_is_asked_about(tmp_path: Path, pins: MockFactory) -> None:
    rack = FakeRack()
    section = ContactSection.model_validate(
        {"name": "porte-a", "rack": "rack-a", "place": "rack-a/Z1", "input": 17}, strict=False
    )
    door = pins.pin(17)
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        supervisor = Supervisor([ContactPart(section, rack)], outbox)
        supervisor.start()
        await until(lambda: rack.woken == [True])  # no circuit: the door stands open
        door.drive_low()  # closed: the reed contact pulls the pin down
        await until(lambda: len(facts(outbox, StockAsked)) == 1)
        assert rack.woken == [True, False]
        for n in (2, 3):
            door.drive_high()
            await until(lambda: rack.woken[-1])
            assert len(facts(outbox, StockAsked)) == n - 1
            door.drive_low()
            await until(lambda n=n: len(facts(outbox, StockAsked)) == n)  # type: ignore[misc]  # bound now, not later
        assert rack.woken == [True, False, True, False, True, False]
        asked = facts(outbox, StockAsked)
        assert {(one.place, one.reason, one.code) for one in asked} == {("rack-a/Z1", "hidden", "rack-a/Z1")}
        assert len({one.session for one in asked}) == 3
        assert not any(one.during_absence for one in asked)
        await supervisor.stop()


async def test_a_door_that_closed_while_the_agent_was_away_is_asked_about_once(
    tmp_path: Path, pins: MockFactory
) -> None:
    section = ContactSection.model_validate(
        {"name": "porte-b", "place": "rack-b/Z1", "input": {"pin": 18, "active_low": False}, "open_when": "active"},
        strict=False,
    )
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        supervisor = Supervisor([ContactPart(section, None)], outbox)
        supervisor.start()
        await until(lambda: bool(facts(outbox, SourceStatus)))
        pins.pin(18).drive_high()
        await until(lambda: cursor(outbox, "contact:porte-b") == b"true")
        await supervisor.stop()  # and its pin is let go: the next part finds it low, the door closed
        for _ in range(2):
            supervisor = Supervisor([ContactPart(section, None)], outbox)
            supervisor.start()
            await until(lambda: supervisor.states[0].status == "running")  # noqa: B023 - awaited in this turn
            await until(lambda: bool(facts(outbox, StockAsked)))
            await supervisor.stop()
        (asked,) = facts(outbox, StockAsked)
        assert (asked.place, asked.during_absence) == ("rack-b/Z1", True)


async def test_a_computer_without_pins_is_said(tmp_path: Path) -> None:
    section = ContactSection.model_validate({"name": "porte-a", "place": "Z1", "input": 17}, strict=False)
    async with Outbox.open(tmp_path / "o.db", site="atelier", agent="pi-1", clock=Clock()) as outbox:
        supervisor = Supervisor([ContactPart(section, None)], outbox)
        supervisor.start()
        await until(lambda: bool(facts(outbox, SourceStatus)))
        (status,) = facts(outbox, SourceStatus)
        assert (status.status, status.code) == ("error", "no_gpio")
        await supervisor.stop()
