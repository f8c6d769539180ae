"""FOCAS against our fake controller: alarms, sessions, refusals, answers that are none."""

from __future__ import annotations

import asyncio
import struct
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.focas import discovery
from cnc_bridge.follow import follow
from cnc_bridge.port import DriverEvent, DriverFaultError, Link, Problem, Reading
from cnc_bridge.probing import Address
from cnc_bridge.testing.focas_machine import FakeController
from cnc_bridge.testing.moving import MovingMachine, Snapshot
from cnc_bridge.tracking import AlarmCleared, AlarmRaised, Event, StateChanged


def source(port: int, **settings: Any) -> MachineSource:
    table = {"kind": "focas", "host": "127.0.0.1", "port": port, "period_s": 0.05, "timeout_s": 1.0}
    return parse({"machine": {"id": "m"}, "driver": table | {"reconnect_max_s": 0.5} | settings})


def port_of(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def read(source: MachineSource, enough: Callable[[list[DriverEvent]], bool]) -> list[DriverEvent]:
    seen: list[DriverEvent] = []
    async with asyncio.timeout(60), source.create_driver().open() as stream:
        async for batch in stream:
            seen += batch
            if enough(seen):
                return seen
    raise AssertionError("the stream ended by itself")


def values(seen: list[DriverEvent], signal: str) -> list[object]:
    return [event.value for event in seen if isinstance(event, Reading) and event.signal == signal]


def codes(seen: list[DriverEvent]) -> list[tuple[str, str]]:
    return [(event.code, event.about) for event in seen if isinstance(event, Problem)]


async def test_the_usual_places_are_read() -> None:
    async with await FakeController(MovingMachine(cycle_s=0.6, between_s=0.1, alarm_every=0)).start() as server:
        config = source(port_of(server), signals={"x_load": {"at": "axis load 1", "unit": "%"}})
        seen = await read(config, lambda seen: any(value == 2 for value in values(seen, "part_count")))
    assert codes(seen) == []
    assert {"READY", "ACTIVE"} <= set(values(seen, "execution"))
    assert values(seen, "mode") == ["AUTOMATIC"]
    assert values(seen, "programme") == ["O1234"]
    assert {"1", "5", "7"} >= set(values(seen, "tool"))
    loads = [value for value in values(seen, "spindle_load") if isinstance(value, float)]
    axes = [value for value in values(seen, "x_load") if isinstance(value, float)]
    assert 10 < max(loads) < 70
    assert max(axes) == pytest.approx(max(loads), abs=5)


async def test_an_alarm_has_its_number_and_text_and_goes() -> None:
    seen: list[Event] = []
    moving = MovingMachine(cycle_s=0.4, between_s=0.1, alarm_every=2, alarm_s=0.6)
    async with (
        await FakeController(moving).start() as server,
        asyncio.timeout(60),
        follow(source(port_of(server))) as machine,
    ):
        async for step in machine.steps():
            seen += step.events
            if any(isinstance(event, AlarmCleared) for event in seen):
                break
    raised = next(event for event in seen if isinstance(event, AlarmRaised))
    assert (raised.key, raised.code) == ("OT", "OT1042")
    assert "SURCOURSE" in raised.text
    stopped = next(event for event in seen if isinstance(event, StateChanged) and event.state == "alarm")
    assert "OT1042" in stopped.detail


async def test_what_a_controller_does_not_have_concerns_its_signal_alone() -> None:
    signals = {"tool": "macro 4999", "part_count": "param 9999", "y_pmc": "pmc D10 word", "programme": "programme name"}
    async with await FakeController().start() as server:
        config = source(port_of(server), signals=signals)
        seen = await read(config, lambda seen: len(values(seen, "spindle_load")) > 2)
        found = await config.create_driver().probe()
    assert set(codes(seen)) == {
        ("illegal_address", "tool"), ("illegal_address", "part_count"), ("illegal_address", "y_pmc"),
        ("illegal_function", "programme"),
    }  # fmt: skip
    sentence = next(event.message_fr for event in seen if isinstance(event, Problem) and event.about == "part_count")
    assert "param 9999" in sentence
    assert "EW_NUMBER" in sentence
    assert {finding.name for finding in found if not finding.ok} == set(signals)
    assert [event.up for event in seen if isinstance(event, Link)] == [True]


class OddController(FakeController):
    """A state that nobody knows, an empty macro, a negative count, a load without end."""

    def answer(self, command: tuple[int, ...], arguments: tuple[int, ...], now: Snapshot) -> tuple[int, bytes]:
        odd = {
            0x19: struct.pack(">7H", 77, 99, 0, 0, 0, 0, 0),
            0x15: bytes.fromhex("00000000 000a ffff"),
            0x0E: struct.pack(">IhHi", 6711, 0, 3, -4) + bytes(28),
            0x40: bytes.fromhex("7fffffff 000a ffff"),
        }
        return (0, odd[command[2]]) if command[2] in odd else super().answer(command, arguments, now)


async def test_values_that_no_signal_can_have_are_reported_and_never_stop_the_driver() -> None:
    async with await OddController().start() as server:
        seen = await read(source(port_of(server)), lambda seen: len(values(seen, "feed")) > 3)
    assert set(codes(seen)) == {
        ("unknown_word", "execution"), ("unknown_word", "mode"), ("not_a_count", "part_count"),
        ("device_failure", "spindle_load"),
    }  # fmt: skip
    assert values(seen, "tool") == [None]
    assert values(seen, "execution") == [None], "unknown, not ready"
    assert [event.up for event in seen if isinstance(event, Link)] == [True]


async def test_a_controller_without_a_free_session_is_told_and_sessions_are_given_back() -> None:
    controller = FakeController(sessions=1)
    async with await controller.start() as server:
        config = source(port_of(server))
        async with config.create_driver().open() as stream:
            async with asyncio.timeout(30):
                async for batch in stream:
                    if any(isinstance(event, Link) for event in batch):
                        break
            with pytest.raises(DriverFaultError) as fault:
                await config.create_driver().probe()
        async with asyncio.timeout(30):
            while controller.given_back < 2:  # noqa: ASYNC110 - the fake has no event for it
                await asyncio.sleep(0.02)
        assert (await config.create_driver().probe())[0].value == "Fanuc 31 MM G431 42.0"
    assert fault.value.code == "too_many_sessions"
    assert "session FOCAS libre" in fault.value.message_fr
    assert fault.value.retry_after_s


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "garbage"),
        (b"", "closed"),
        (bytes.fromhex("a0a0a0a0 0002 0102 ffff"), "garbage"),
        (bytes.fromhex("a0a0a0a0 0002 2102 0002 0000"), "garbage"),
    ],
    ids=["a web server", "hangs up", "endless frame", "wrong type"],
)
async def test_a_server_that_is_no_controller_is_told(said: bytes, code: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        with pytest.raises(DriverFaultError) as fault:
            await source(port_of(server)).create_driver().probe()
    assert fault.value.code == code


async def test_it_is_recognised_and_what_it_lacks_is_left_out() -> None:
    async with await FakeController().start() as server:
        port = port_of(server)
        offer = await discovery.discover(Address("", host="127.0.0.1", port=port))
    assert offer is not None
    assert "Fanuc 31" in offer.title
    assert parse({"machine": {"id": "m"}, "driver": tomllib.loads(offer.driver)}).driver.address == f"127.0.0.1:{port}"
