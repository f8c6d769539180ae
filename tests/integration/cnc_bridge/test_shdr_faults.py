"""What an adapter may send that it should not. The far side here is a few lines of a server written by the test."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import AsyncIterator, Callable

import pytest

from cnc_bridge.config import parse
from cnc_bridge.drivers.shdr.driver import ControllerDriver
from cnc_bridge.drivers.shdr.settings import Settings
from cnc_bridge.port import Condition, DriverEvent, Link, Problem, Reading

T = "2026-03-02T08:00:00.0000000Z"
GOOD = f"{T}|pexecution|ACTIVE|S1load|42\n".encode()


class Adapter:
    """Sends `greeting` to each client and answers PING, when `pongs`."""

    def __init__(self) -> None:
        self.greeting = GOOD
        self.pongs = True
        self.heard: list[bytes] = []
        self.pinged_often = asyncio.Event()
        self.clients = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients += 1
        writer.write(self.greeting)
        try:
            while line := await reader.readline():
                self.heard.append(line)
                if len(self.heard) == 20:
                    self.pinged_often.set()
                if self.pongs:
                    writer.write(b"* PONG 300\n")
        finally:
            writer.close()


@pytest.fixture
async def adapter() -> AsyncIterator[Adapter]:
    made = Adapter()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


async def read(
    adapter: Adapter, enough: Callable[[list[DriverEvent]], bool], **settings: object
) -> tuple[ControllerDriver, list[DriverEvent]]:
    table = {"kind": "shdr", "host": "127.0.0.1", "port": adapter.port, "heartbeat_s": 0.3, "reconnect_max_s": 0.5}
    driver = parse({"machine": {"id": "m"}, "driver": {**table, **settings}}).create_driver()
    assert isinstance(driver, ControllerDriver)
    seen: list[DriverEvent] = []
    async with asyncio.timeout(60), driver.open() as stream:
        async for batch in stream:
            seen += batch
            if enough(seen):
                break
    return driver, seen


def loads(seen: list[DriverEvent]) -> list[object]:
    return [event.value for event in seen if isinstance(event, Reading) and event.signal == "spindle_load"]


def problems(seen: list[DriverEvent]) -> set[tuple[str, str]]:
    return {(event.code, event.about) for event in seen if isinstance(event, Problem)}


async def test_garbage_is_counted_and_reported_once_and_the_data_goes_on(adapter: Adapter) -> None:
    adapter.greeting = b"\xff\xfe\x00garbage\n" * 500 + b"x" * 200_000 + b"\n" + f"{T}|alone\n".encode() + GOOD
    driver, seen = await read(adapter, lambda seen: 42.0 in loads(seen))
    assert driver.garbage == 502
    assert [code for code, _ in problems(seen)] == ["garbage"]
    assert sum(isinstance(event, Problem) for event in seen) == 1
    assert [event.up for event in seen if isinstance(event, Link)] == [True]


async def test_values_that_no_signal_can_have_are_reported_and_the_next_good_one_is_taken(adapter: Adapter) -> None:
    bad = [f"{T}|S1load|{value}\n" for value in ("NaN", "1e999", "off", "9" * 50_000)]
    bad += [f"{T}|ppartcount|-3\n", f"{T}|pexecution|DANCING\n"]
    adapter.greeting = "".join(bad).encode() + GOOD
    _, seen = await read(adapter, lambda seen: 42.0 in loads(seen))
    assert loads(seen) == [None, None, None, None, 42.0]
    assert problems(seen) == {
        ("not_finite", "spindle_load"),
        ("not_a_number", "spindle_load"),
        ("too_long", "spindle_load"),
        ("not_a_count", "part_count"),
        ("unknown_word", "execution"),
    }


async def test_conditions_keep_their_level_code_and_text(adapter: Adapter) -> None:
    adapter.greeting = f"{T}|system|FAULT|1042|2|HIGH|SPINDLE OVERLOAD|S1load|7\n".encode()
    _, seen = await read(adapter, lambda seen: 7.0 in loads(seen))
    (condition,) = [event for event in seen if isinstance(event, Condition)]
    assert (condition.key, condition.level, condition.code, condition.text) == (
        "system",
        "FAULT",
        "1042",
        "SPINDLE OVERLOAD",
    )


async def test_series_entries_of_sets_and_other_devices_keys(adapter: Adapter) -> None:
    adapter.greeting = (
        f"{T}|tour:vib|3|10|1 2 3|fraise:S1load|99|tour:vars|500=12.5 501=x\n"
        f"{T}|tour:vars|501=y\n{T}|tour:vars|:MANUAL 500=7\n{T}|tour:S1load|5\n"
    ).encode()
    _, seen = await read(
        adapter,
        lambda seen: 5.0 in loads(seen),
        device="tour",
        series=["vib"],
        signals={"vibration": {"key": "vib", "unit": "mm/s2"}, "offset_x": {"key": "vars", "entry": "500"}},
    )
    read_values = [(event.signal, event.value) for event in seen if isinstance(event, Reading)]
    assert read_values == [
        ("vibration", 1.0),
        ("vibration", 2.0),
        ("vibration", 3.0),
        ("offset_x", 12.5),
        ("offset_x", 7.0),
        ("spindle_load", 5.0),
    ]
    times = [event.source_time for event in seen if isinstance(event, Reading) and event.signal == "vibration"]
    assert [time.microsecond // 1000 for time in times if time] == [800, 900, 0]


async def test_an_adapter_that_stops_answering_is_left_and_tried_again(adapter: Adapter) -> None:
    def enough(seen: list[DriverEvent]) -> bool:
        if loads(seen) and len(adapter.heard) > 3:
            adapter.pongs = False
        return adapter.clients > 1 and [event.up for event in seen if isinstance(event, Link)][-1:] == [True]

    _, seen = await read(adapter, enough)
    assert ("heartbeat_lost", f"127.0.0.1:{adapter.port}") in problems(seen)
    assert [event.up for event in seen if isinstance(event, Link)] == [True, False, True]
    assert set(adapter.heard) == {b"* PING\n"}


async def test_an_adapter_without_heartbeat_is_kept_while_it_is_quiet(adapter: Adapter) -> None:
    """Some adapters never say PONG: only the staleness bound speaks for them."""
    adapter.pongs = False
    driver = parse({
        "machine": {"id": "m"},
        "driver": {"kind": "shdr", "host": "127.0.0.1", "port": adapter.port, "heartbeat_s": 0.1},
    }).create_driver()  # fmt: skip
    async with asyncio.timeout(60), driver.open() as stream:
        await adapter.pinged_often.wait()
        seen = await anext(stream)
    assert adapter.clients == 1
    assert problems(seen) == {("no_heartbeat", "heartbeat")}


async def test_a_port_that_takes_the_call_and_says_nothing_is_explained(adapter: Adapter) -> None:
    adapter.greeting, adapter.pongs = b"", False
    _, seen = await read(adapter, lambda seen: bool(problems(seen)), connect_timeout_s=0.5)
    assert problems(seen) == {("mute", f"127.0.0.1:{adapter.port}")}
    assert not [event for event in seen if isinstance(event, Link)], "never said to be connected"


async def test_a_network_that_is_cut_ends_the_connection(adapter: Adapter) -> None:
    """The system's ETIMEDOUT looks like our own time-out: it must end the connection, not spin on it."""

    class CutDriver(ControllerDriver):
        @contextlib.asynccontextmanager
        async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
            async with super()._connected() as (reader, writer):
                reader.set_exception(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
                yield reader, writer

    source = parse({"machine": {"id": "m"}, "driver": {"kind": "shdr", "host": "127.0.0.1", "port": adapter.port}})
    assert isinstance(source.driver, Settings)
    async with asyncio.timeout(60), CutDriver(source.driver).open() as stream:
        seen = await anext(stream)
    assert problems(seen) == {("closed", f"127.0.0.1:{adapter.port}")}
