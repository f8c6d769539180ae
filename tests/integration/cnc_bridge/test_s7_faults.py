"""S7: what a controller may answer instead of values. The good server is python-snap7's, the odd ones are by hand."""

from __future__ import annotations

import asyncio
import socket
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from snap7.server import Server
from snap7.type import SrvArea

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.s7 import discovery
from cnc_bridge.port import DriverEvent, DriverFaultError, Link, Problem, Reading, Solved
from cnc_bridge.probing import Address
from cnc_bridge.testing import s7_machine
from cnc_bridge.testing.moving import MovingMachine

CONNECTED = bytes.fromhex("0300000b06d00001000100")
"""COTP connection confirm."""
NEGOTIATED = bytes.fromhex("0300001b02f080 3203 0000 {seq} 0008 0000 0000 f000 0001 0001 00f0".replace("{seq}", "0000"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def source(port: int, signals: dict[str, Any] | None = None, **settings: Any) -> MachineSource:
    table: dict[str, Any] = tomllib.loads(s7_machine.example_config("127.0.0.1", port))["driver"]
    table |= {"period_s": 0.05, "timeout_s": 1.0, "reconnect_max_s": 0.5} | settings
    return parse({"machine": {"id": "m"}, "driver": table | ({"signals": signals} if signals else {})})


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


async def test_all_that_the_map_names_is_read_with_its_type() -> None:
    port = free_port()
    with s7_machine.SimulatedController(port, MovingMachine(cycle_s=0.6, between_s=0.1, alarm_every=0)):
        seen = await read(source(port), lambda seen: any(value == 2 for value in values(seen, "part_count")))
    loads = [value for value in values(seen, "spindle_load") if isinstance(value, float)]
    assert 10 < max(loads) < 70
    assert {"READY", "ACTIVE"} <= set(values(seen, "execution"))
    assert values(seen, "programme") == ["O1234"], "said once, not at each reading"
    assert codes(seen) == []


async def test_a_block_that_appears_and_one_too_short_concern_their_own_signals() -> None:
    port = free_port()
    with s7_machine.SimulatedController(port, MovingMachine(cycle_s=0.6, between_s=0.1)) as controller:
        signals = {"tool": "DB10.DBW2", "x_load": "DB10.DBD60", "programme": {"at": "DB77.DBB0", "type": "string"}}
        config = source(port, signals | {"spindle_load": {"at": "M10.0", "words": {"true": "1", "false": "0"}}})
        driver = config.create_driver()
        seen: list[DriverEvent] = []
        async with asyncio.timeout(60), driver.open() as stream:
            async for batch in stream:
                seen += batch
                if values(seen, "tool") and values(seen, "spindle_load"):
                    break
        controller.server.register_area(SrvArea.DB, 77, bytearray(b"\x20\x05O4711") + bytearray(40))
        found = await driver.probe()
    assert set(codes(seen)) == {("illegal_address", "x_load"), ("illegal_address", "programme")}
    assert [event.up for event in seen if isinstance(event, Link)] == [True]
    sentence = next(event.message_fr for event in seen if isinstance(event, Problem) and event.about == "programme")
    assert "DB77.DBB0" in sentence
    assert "accès optimisé" in sentence
    assert [(f.name, f.ok) for f in found if f.kind == "signal"] == [
        ("tool", True), ("x_load", False), ("programme", True), ("spindle_load", True),
    ]  # fmt: skip


async def _frames(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(int.from_bytes(head[2:4], "big") - 4)


async def odd_controller(then: Callable[[bytes], bytes | None]) -> asyncio.Server:
    """Connects and negotiates as a CPU does; each reading is answered by `then(sequence)`, None hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _frames(reader)
            writer.write(CONNECTED)
            setup = await _frames(reader)
            writer.write(NEGOTIATED[:11] + setup[11:13] + NEGOTIATED[13:])
            while True:
                request = await _frames(reader)
                answer = then(request[11:13])
                if answer is None:
                    return
                writer.write(answer)
        except asyncio.IncompleteReadError:
            return
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def refused(sequence: bytes) -> bytes:
    """What an S7-1500 without PUT/GET answers to every reading: error class 81, code 04."""
    return bytes.fromhex("03000013 02f080 3203 0000") + sequence + bytes.fromhex("0000 0000 8104")


async def test_a_cpu_without_put_get_says_what_to_tick() -> None:
    server = await odd_controller(refused)
    async with server:
        config = source(server.sockets[0].getsockname()[1])
        with pytest.raises(DriverFaultError) as fault:
            await config.create_driver().probe()
        seen = await read(config, lambda seen: bool(codes(seen)))
    assert fault.value.code == "put_get_disabled"
    assert "Autoriser l'accès via PUT/GET" in fault.value.message_fr
    assert codes(seen) == [("put_get_disabled", config.driver.address)]
    assert not [event for event in seen if isinstance(event, Link)], "nothing was read: the link is not up"


async def test_a_cpu_that_hangs_up_at_the_first_reading_is_told() -> None:
    server = await odd_controller(lambda _: None)
    async with server:
        with pytest.raises(DriverFaultError) as fault:
            await source(server.sockets[0].getsockname()[1]).create_driver().probe()
    assert fault.value.code == "closed"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "not_accepted"),
        (bytes.fromhex("0300000b0680000100010 0".replace(" ", "")), "not_accepted"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not_accepted"),
    ],
    ids=["hangs up", "disconnect request", "a web server"],
)
async def test_a_slot_where_nobody_answers_is_told(said: bytes, code: str) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        with pytest.raises(DriverFaultError) as fault:
            await source(server.sockets[0].getsockname()[1], slot=2).create_driver().probe()
    assert fault.value.code == code
    assert "emplacement 2" in fault.value.message_fr


async def test_a_number_that_is_none_is_reported_and_the_others_go_on() -> None:
    port = free_port()
    server = Server(log=False)
    server.register_area(SrvArea.DB, 1, bytearray(bytes.fromhex("7fc00000 0009 0007")))
    server.start_to("127.0.0.1", tcp_port=port)
    try:
        signals = {
            "spindle_load": {"at": "DB1.DBD0", "type": "real"},
            "execution": {"at": "DB1.DBW4", "words": {"1": "ACTIVE"}},
            "tool": "DB1.DBW6",
        }
        seen = await read(source(port, signals), lambda seen: "7" in values(seen, "tool"))
    finally:
        server.stop()
    assert set(codes(seen)) == {("not_finite", "spindle_load"), ("unknown_word", "execution")}
    assert not [event for event in seen if isinstance(event, Solved)]


async def test_it_is_recognised_by_its_handshake() -> None:
    port = free_port()
    with s7_machine.SimulatedController(port):
        offer = await discovery.discover(Address("", host="127.0.0.1", port=port))
    assert offer is not None
    assert offer.findings[0].kind == "server"
    table = tomllib.loads(offer.driver.replace("[driver.signals]", "[signals]"))
    assert parse({"machine": {"id": "m"}, "driver": table}).driver.address == f"127.0.0.1:{port}"
