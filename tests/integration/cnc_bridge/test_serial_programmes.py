"""The driver's own programme calls on a DNC line: what is allowed, what is refused, and both directions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cnc_bridge.config import parse
from cnc_bridge.drivers.serial.driver import ControllerDriver
from cnc_bridge.follow import follow
from cnc_bridge.port import DriverEvent, DriverFaultError, EventStream, Link, NotAllowedError, Problem, Reading
from cnc_bridge.serial_line.tape import canonical
from cnc_bridge.tracking import StateChanged
from tests.integration.cnc_bridge.test_serial_dnc import machine, programme


def driver(device: str, **table: object) -> ControllerDriver:
    fast: dict[str, object] = {"kind": "serial", "dialect": "dnc", "device": device, "allow": ["programme"]}
    fast |= {"line": {"baud": 115_200}, "tape": {"idle_timeout_s": 1.0, "start_timeout_s": 20.0}}
    made = parse({"machine": {"id": "m"}, "driver": {**fast, **table}}).create_driver()
    assert isinstance(made, ControllerDriver)
    return made


@contextlib.asynccontextmanager
async def connected(device: str, **table: object) -> AsyncIterator[tuple[ControllerDriver, EventStream]]:
    made = driver(device, **table)
    async with asyncio.timeout(60), made.open() as stream:
        first = await anext(stream)
        assert [event.up for event in first if isinstance(event, Link)] == [True]
        yield made, stream


async def until(stream: EventStream, enough: Callable[[DriverEvent], bool]) -> DriverEvent:
    async with asyncio.timeout(30):
        async for batch in stream:
            for event in batch:
                if enough(event):
                    return event
    raise AssertionError("the stream ended")


async def test_a_programme_goes_to_the_machine_and_comes_back_the_same(tmp_path: Path) -> None:
    content = programme(6000)
    async with machine("read", "--into", tmp_path / "got") as cnc, connected(cnc.device) as (made, stream):
        await cnc.press()
        await made.write_programme("O1234", content)
        assert (await cnc.report())["ended"]
        assert made.progress is not None
        assert made.progress.state == "done"
        said = await until(stream, lambda event: isinstance(event, Reading))
        assert isinstance(said, Reading)
        assert (said.signal, said.value) == ("availability", "AVAILABLE")
    async with machine("punch", tmp_path / "got") as cnc, connected(cnc.device) as (made, _):
        await cnc.press()
        assert await made.read_programme("O1234") == canonical(content, made.config.tape)


async def test_read_may_be_pressed_before_the_transfer_is_asked_for(tmp_path: Path) -> None:
    async with machine("read", "--into", tmp_path / "got") as cnc, connected(cnc.device) as (made, stream):
        await cnc.press()
        await until(stream, lambda event: isinstance(event, Reading))  # its DC1 has come and is not sent again
        await made.write_programme("O1234", programme(600))
        assert (await cnc.report())["ended"]


async def test_the_wrong_programme_is_neither_sent_nor_kept(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(programme(300))
    async with machine("punch", tmp_path / "o") as cnc, connected(cnc.device) as (made, _):
        await cnc.press()
        with pytest.raises(DriverFaultError, match="O1234") as fault:
            await made.write_programme("O5", programme(300))
        assert fault.value.code == "no_programme"
        with pytest.raises(DriverFaultError) as fault:
            await made.read_programme("O5")
        assert "O1234 au lieu de O5" in fault.value.message_fr


async def test_one_transfer_at_a_time_and_no_list(tmp_path: Path) -> None:
    async with machine("read", "--no-dc1", "--into", tmp_path / "got") as cnc, connected(cnc.device) as (made, _):
        await cnc.press()
        waiting = asyncio.create_task(made.write_programme("O1234", programme(300)))
        await asyncio.sleep(0.1)
        with pytest.raises(DriverFaultError) as fault:
            await made.read_programme("O1234")
        assert fault.value.code == "transfer_running"
        waiting.cancel()
        await asyncio.wait([waiting])
        with pytest.raises(NotAllowedError, match="cannot list"):
            await made.list_programmes()


async def test_nothing_is_sent_where_it_is_not_allowed_or_the_line_is_closed(tmp_path: Path) -> None:
    async with machine("read", "--into", tmp_path / "got") as cnc:
        async with connected(cnc.device, allow=[]) as (made, _):
            with pytest.raises(NotAllowedError, match="not allowed"):
                await made.write_programme("O1234", programme(300))
        with pytest.raises(DriverFaultError) as fault:
            await driver(cnc.device).write_programme("O1234", programme(300))
    assert fault.value.code == "not_connected"
    assert (tmp_path / "got").exists() is False


async def test_a_cable_pulled_in_a_transfer_is_a_lost_link(tmp_path: Path) -> None:
    async with machine("read", "--into", tmp_path / "got") as cnc, connected(cnc.device) as (made, stream):
        await cnc.press()
        sending = asyncio.create_task(made.write_programme("O1234", programme(60_000)))
        while made.progress is None or made.progress.sent < 1000:  # noqa: ASYNC110 - a figure to look at, no event
            await asyncio.sleep(0.02)
        cnc.process.kill()
        with pytest.raises(DriverFaultError) as fault:
            await sending
        lost = await until(stream, lambda event: isinstance(event, Link))
    assert fault.value.code == "line_lost"
    assert isinstance(lost, Link)
    assert lost.up is False


async def test_a_driver_closed_in_a_transfer_ends_it(tmp_path: Path) -> None:
    async with machine("read", "--no-dc1", "--into", tmp_path / "got") as cnc:
        async with connected(cnc.device) as (made, _):
            sending = asyncio.create_task(made.write_programme("O1234", programme(300)))
            await asyncio.sleep(0.1)
        with pytest.raises(DriverFaultError) as fault:
            await sending
    assert fault.value.code == "line_lost"


async def test_a_punch_that_nobody_awaits_is_said_and_not_mixed_into_the_next(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(programme(300))
    async with machine("punch", tmp_path / "o") as cnc, connected(cnc.device) as (_, stream):
        await cnc.press()
        problem = await until(stream, lambda event: isinstance(event, Problem))
    assert isinstance(problem, Problem)
    assert problem.code == "not_awaited"


async def test_a_dnc_line_never_claims_to_know_what_the_machine_does(tmp_path: Path) -> None:
    states: list[str] = []
    async with machine("read", "--into", tmp_path / "got") as cnc:
        source = parse(
            {
                "machine": {"id": "m", "stale_after_s": 1.0},
                "driver": {"kind": "serial", "dialect": "dnc", "device": cnc.device},
            }
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4), follow(source) as following:
                async for step in following.steps():
                    states += [event.state for event in step.events if isinstance(event, StateChanged)]
                    await cnc.press()  # it speaks, and even so its state is not known
        assert following.state.state == "silent"
    assert set(states) <= {"silent"}
