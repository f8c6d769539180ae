"""A real LinuxCNC through the driver: a programme sent, run and counted; a hold; what was not opted into."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.follow import follow
from cnc_bridge.port import Condition, Driver, DriverEvent, DriverFaultError, NotAllowedError, Reading
from cnc_bridge.testing import linuxcnc_sim
from cnc_bridge.testing.linuxcnc_sim import SimulatedController
from cnc_bridge.tracking import ContextChanged, CycleEnded, Event, PartsCounted, StateChanged

pytestmark = pytest.mark.skipif(bool(linuxcnc_sim.missing()), reason=linuxcnc_sim.missing() or "it is there")

PART = b"""(made by the test)
G21 G17 G90 G54
T1 M6
S1200 M3
G1 X5 F2400
T2 M6
S2500 M3
G1 X0
M5
M30
"""
LONG_CUT = b"G21 G90 G54\nS1000 M3\nG1 X300 F1500\nM30\n"


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[SimulatedController]:
    async with linuxcnc_sim.simulated(tmp_path / "linuxcnc.json") as controller:
        yield controller


def source(machine: SimulatedController, *allow: str, **settings: Any) -> MachineSource:
    driver = {"kind": "linuxcnc", "command": linuxcnc_sim.entrance(machine.state_file), "allow": allow}
    signals = {"signals": {"spindle_load": "hal:spindle-load"}}
    return parse({"machine": {"id": "m"}, "driver": {"reconnect_max_s": 1.0, **driver, **signals, **settings}})


class Watch:
    """An open driver, and all that it has said."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.seen: list[DriverEvent] = []
        self._changed = asyncio.Event()

    async def listen(self, stream: AsyncIterator[list[DriverEvent]]) -> None:
        async for batch in stream:
            self.seen += batch
            self._changed.set()

    def values(self, signal: str, since: int = 0) -> list[Any]:
        return [event.value for event in self.seen[since:] if isinstance(event, Reading) and event.signal == signal]

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not enough():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def watch(machine: SimulatedController) -> AsyncIterator[Watch]:
    driver = source(machine, "hold", "programme", errors=True, period_s=0.005).create_driver()
    async with driver.open() as stream:
        made = Watch(driver)
        listening = asyncio.create_task(made.listen(stream))
        await made.until(lambda: bool(made.values("execution")))
        yield made
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_programme_sent_is_run_seen_and_counted(machine: SimulatedController) -> None:
    wanted = source(machine, "programme")
    driver = wanted.create_driver()
    events: list[Event] = []
    sent = False
    async with asyncio.timeout(60), follow(wanted, driver=driver) as following:
        async for step in following.steps():
            events += step.events
            if not sent and following.current.get("execution") == "READY":
                sent = True
                await driver.write_programme("piece-1.ngc", PART)
                assert await driver.read_programme("piece-1.ngc") == PART
                assert "piece-1.ngc" in [file.name for file in await driver.list_programmes()]
                await machine.do("run", "piece-1.ngc")
            if any(isinstance(event, PartsCounted) for event in events) and following.state.state == "ready":
                break
    said = [event for event in events if isinstance(event, StateChanged | ContextChanged)]
    assert [event.state for event in said if isinstance(event, StateChanged)][-2:] == ["running", "ready"]
    running = [event for event in said if event.state == "running"]
    assert {event.tool for event in running} >= {"1", "2"}
    assert {event.programme for event in running} >= {"piece-1.ngc"}
    assert said[-1].execution == "PROGRAM_COMPLETED"
    (part,) = [event for event in events if isinstance(event, PartsCounted)]
    assert (part.delta, part.programme) == (1, "piece-1.ngc")
    (cycle,) = [event for event in events if isinstance(event, CycleEnded)]
    assert cycle.completed
    assert not cycle.uncertain


async def test_a_hold_during_the_cut_is_seen_as_velocity_0(
    machine: SimulatedController, watch: Watch, record_property: Callable[[str, object], None]
) -> None:
    await watch.driver.write_programme("long.ngc", LONG_CUT)
    await machine.do("run", "long.ngc")
    await watch.until(lambda: watch.values("feed")[-1:] == [1500.0])
    before, began = len(watch.seen), time.perf_counter()
    await watch.driver.hold()
    taken = time.perf_counter()
    await watch.until(lambda: watch.values("feed", before)[-1:] == [0.0])
    still = time.perf_counter()
    record_property("hold_taken_ms", round((taken - began) * 1000, 1))
    record_property("hold_to_velocity_0_ms", round((still - began) * 1000, 1))
    print(
        f"hold: command taken in {(taken - began) * 1e3:.1f} ms, velocity 0 seen after {(still - began) * 1e3:.1f} ms"
    )
    await watch.until(lambda: watch.values("execution")[-1] == "FEED_HOLD")
    await machine.do("resume")
    await watch.until(lambda: watch.values("execution")[-1] == "ACTIVE")


async def test_an_abort_an_m0_and_an_emergency_stop_are_no_parts(machine: SimulatedController, watch: Watch) -> None:
    await watch.driver.write_programme("m0.ngc", b"G21 G90 G54\nG1 X5 F3000\nM0\nG1 X200\nM30\n")
    await machine.do("run", "m0.ngc")
    await watch.until(lambda: watch.values("execution")[-1] == "PROGRAM_STOPPED")
    await machine.do("resume")
    await watch.until(lambda: watch.values("execution")[-1] == "ACTIVE")
    await machine.do("abort")
    await watch.until(lambda: watch.values("execution")[-1] == "STOPPED")
    await machine.do("run", "m0.ngc")
    await watch.until(lambda: watch.values("execution")[-1] == "PROGRAM_STOPPED")
    await machine.do("emergency_stop")
    await watch.until(lambda: watch.values("emergency_stop")[-1] == "TRIGGERED")
    await watch.until(lambda: watch.values("execution")[-1] == "STOPPED")
    await machine.do("switch_on")
    await watch.until(lambda: watch.values("emergency_stop")[-1] == "ARMED")
    await machine.do("mdi", "G1 X1 F1000")
    await watch.until(lambda: watch.values("mode")[-1] == "MANUAL_DATA_INPUT")
    await watch.until(lambda: watch.values("execution")[-2:] == ["ACTIVE", "READY"])
    await machine.do("switch_off")
    await watch.until(lambda: watch.values("availability")[-1] == "UNAVAILABLE")
    assert set(watch.values("part_count")) == {0}
    assert "PROGRAM_COMPLETED" not in watch.values("execution")


async def test_a_file_between_percent_signs_is_a_part(machine: SimulatedController, watch: Watch) -> None:
    await watch.driver.write_programme("percent.nc", b"%\nG21 G90 G54\nG1 X5 F3000\nG1 X0\n%\n")
    await machine.do("run", "percent.nc")
    await watch.until(lambda: watch.values("part_count")[-1] == 1)
    assert watch.values("execution")[-1] == "PROGRAM_COMPLETED"


async def test_its_error_is_a_condition_until_the_next_start(machine: SimulatedController, watch: Watch) -> None:
    def conditions() -> list[tuple[str, str]]:
        return [(event.level, event.text) for event in watch.seen if isinstance(event, Condition)]

    await watch.driver.write_programme("bad.ngc", b"G21 G90 G54\nG1 X9999 F3000\nM30\n")
    await machine.do("run", "bad.ngc")
    await watch.until(lambda: any(level == "FAULT" for level, _ in conditions()))
    assert any("exceed" in text for _, text in conditions())
    count = len(conditions())
    await watch.driver.write_programme("good.ngc", PART)
    await machine.do("run", "good.ngc")
    await watch.until(lambda: ("NORMAL", "") in conditions()[count:])
    await watch.until(lambda: watch.values("part_count")[-1] == 1)


async def test_a_hal_signal_and_the_override_are_read(machine: SimulatedController, watch: Watch) -> None:
    await machine.do("set_signal", "load-extra", 83.5)
    await watch.until(lambda: watch.values("spindle_load")[-1] == 83.5)
    await machine.do("feed_override", 60)
    await watch.until(lambda: watch.values("feed_override")[-1] == 60.0)


async def test_what_was_not_opted_into_is_refused_twice(machine: SimulatedController) -> None:
    """By the port, and by the gateway if the port were passed by."""
    driver = source(machine).create_driver()
    for forbidden in (driver.hold(), driver.list_programmes(), driver.write_programme("a.ngc", PART)):
        with pytest.raises(NotAllowedError):
            await forbidden
    watch = Watch(driver)
    async with driver.open() as stream:
        listening = asyncio.create_task(watch.listen(stream))
        await watch.until(lambda: bool(watch.values("execution")))
        for refused in (
            driver._hold(),
            driver._read_programme("two_tools.ngc"),
            driver._write_programme("a.ngc", PART),
        ):
            with pytest.raises(DriverFaultError) as fault:
                await refused
            assert fault.value.code == "not_allowed"
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_hold_when_nothing_runs_is_refused_with_its_reason(watch: Watch) -> None:
    with pytest.raises(DriverFaultError) as fault:
        await watch.driver.hold()
    assert fault.value.code == "nothing_to_hold"
    assert "Aucun programme" in fault.value.message_fr


async def test_a_name_that_leaves_the_folder_is_refused(watch: Watch) -> None:
    away = [
        "../config/machine.ini",
        "/etc/passwd",
        "a/b.ngc",
        "..ngc",
        "machine.ini",
        ".hidden.ngc",
        "é.ngc",
        "a\n.ngc",
    ]
    for name in away:
        for refused in (watch.driver.read_programme(name), watch.driver.write_programme(name, PART)):
            with pytest.raises(DriverFaultError) as fault:
                await refused
            assert fault.value.code == "bad_name", name


async def test_a_programme_that_is_not_there_is_said(watch: Watch) -> None:
    with pytest.raises(DriverFaultError) as fault:
        await watch.driver.read_programme("nowhere.ngc")
    assert fault.value.code == "no_programme"


async def test_a_link_out_of_the_folder_is_neither_shown_nor_read(machine: SimulatedController, watch: Watch) -> None:
    link = ["ln", "-s", "/etc/hostname", "/tmp/home/nc_files/link.ngc"]
    process = await asyncio.create_subprocess_exec(*linuxcnc_sim.entrance(machine.state_file), *link)
    assert await process.wait() == 0
    assert "link.ngc" not in [file.name for file in await watch.driver.list_programmes()]
    with pytest.raises(DriverFaultError) as fault:
        await watch.driver.read_programme("link.ngc")
    assert fault.value.code == "no_programme"


async def test_what_a_killed_gateway_left_half_written_is_cleared(machine: SimulatedController, watch: Watch) -> None:
    await machine.do("write_file", "nc_files/.copeau-999999.part", "G1 X")
    await watch.driver.write_programme("a.ngc", PART)
    inside = linuxcnc_sim.entrance(machine.state_file)
    process = await asyncio.create_subprocess_exec(
        *inside, "ls", "-A", "/tmp/home/nc_files", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.split() == [b"a.ngc", linuxcnc_sim.PROGRAMME.encode()]


async def test_unless_asked_no_error_is_taken_from_the_machines_screen(
    machine: SimulatedController, watch: Watch
) -> None:
    """LinuxCNC gives each message to one reader: `watch`, who plays the screen, gets all of them."""
    await watch.driver.write_programme("bad.ngc", b"G21 G90 G54\nG1 X9999 F3000\nM30\n")
    async with source(machine).create_driver().open() as stream:
        beside = Watch(watch.driver)
        listening = asyncio.create_task(beside.listen(stream))
        await beside.until(lambda: bool(beside.values("execution")))
        await machine.do("run", "bad.ngc")
        await watch.until(
            lambda: len([event for event in watch.seen if isinstance(event, Condition) and event.text]) == 3
        )
        assert not [event for event in beside.seen if isinstance(event, Condition)]
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_megabyte_goes_there_and_back_while_values_flow(machine: SimulatedController, watch: Watch) -> None:
    large = b"".join(b"G1 X%d Y%d F1000\r\n" % (n % 200, n % 100) for n in range(60_000)) + b"M30\n"
    await machine.do("run", linuxcnc_sim.PROGRAMME)
    await watch.driver.write_programme("large.ngc", large)
    assert await watch.driver.read_programme("large.ngc") == large
    assert [file.size for file in await watch.driver.list_programmes() if file.name == "large.ngc"] == [len(large)]
    await watch.until(lambda: watch.values("part_count")[-1] == 1)
