"""Modbus: refusals, wrong unit, garbage, RTU over TCP and over a serial line. The servers are pymodbus's."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.modbus import discovery
from cnc_bridge.port import DriverEvent, DriverFaultError, Link, Problem, Reading, Solved
from cnc_bridge.probing import Address
from cnc_bridge.testing import modbus_machine
from cnc_bridge.testing.moving import MovingMachine


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def server(device: SimDevice | list[SimDevice], *, framer: FramerType = FramerType.SOCKET) -> AsyncIterator[int]:
    port = free_port()
    running = ModbusTcpServer(device, framer=framer, address=("127.0.0.1", port))
    await running.serve_forever(background=True)
    try:
        yield port
    finally:
        await running.shutdown()  # type: ignore[no-untyped-call]  # the library gives it no types


def source(port: int, signals: dict[str, Any] | None = None, **settings: Any) -> MachineSource:
    table: dict[str, Any] = tomllib.loads(modbus_machine.example_config("127.0.0.1", port))["driver"]
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


async def test_all_that_the_map_names_is_read_with_its_type_and_scale() -> None:
    moving = MovingMachine(cycle_s=0.6, between_s=0.1, alarm_every=0)
    async with server(modbus_machine.device(moving)) as port:
        seen = await read(source(port), lambda seen: any(value == 2 for value in values(seen, "part_count")))
    loads = [value for value in values(seen, "spindle_load") if isinstance(value, float)]
    assert 10 < max(loads) < 70
    assert {"READY", "ACTIVE"} <= set(values(seen, "execution"))
    assert {"1", "5", "7"} >= set(values(seen, "tool"))
    assert values(seen, "programme") == ["O1234"], "said once, not at each reading"
    feeds = [value for value in values(seen, "feed") if isinstance(value, float)]
    assert 100 < max(feeds) <= 320, "scaled to mm/min"
    assert codes(seen) == []


async def test_the_map_of_nine_signals_is_read_in_two_requests() -> None:
    async with server(modbus_machine.device(MovingMachine())) as port:
        findings = await source(port).create_driver().probe()
    assert next(finding.value for finding in findings if finding.name == "requests") == "2 a reading"


async def test_a_register_that_appears_later_is_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = True

    async def gate(code: int, start: int, address: int, count: int, *_: Any) -> ExcCodes | None:
        return ExcCodes.ILLEGAL_ADDRESS if refusing and address + count > 5 else None

    registers = [SimData(0, values=[7] * 10, datatype=DataType.REGISTERS)]
    async with server(SimDevice(1, registers, action=gate)) as port:
        config = source(port, {"tool": "40001", "programme": {"register": "40006"}, "spindle_load": "40002"})
        driver = config.create_driver()
        seen: list[DriverEvent] = []
        from cnc_bridge import registers as plan  # the pause before a refused register is tried again

        monkeypatch.setattr(plan.BatchReader.__init__, "__kwdefaults__", {"retry_s": 0.2})
        async with asyncio.timeout(30), driver.open() as stream:
            async for batch in stream:
                seen += batch
                if refusing and codes(seen):
                    refusing = False
                if "7" in values(seen, "programme"):
                    break
    assert codes(seen) == [("illegal_address", "programme")]
    assert [(event.code, event.about) for event in seen if isinstance(event, Solved)] == [
        ("illegal_address", "programme")
    ]
    (problem,) = [event for event in seen if isinstance(event, Problem)]
    assert "40006" in problem.message_fr
    assert "signals.programme" in problem.message_fr
    assert [event.up for event in seen if isinstance(event, Link)] == [True]


@pytest.mark.parametrize(
    ("exception", "code"),
    [(ExcCodes.ILLEGAL_FUNCTION, "illegal_function"), (ExcCodes.DEVICE_FAILURE, "device_failure")],
)
async def test_each_refusal_has_its_sentence(exception: ExcCodes, code: str) -> None:
    async def refuse(*_: Any) -> ExcCodes | None:
        return exception

    registers = [SimData(0, values=[7] * 10, datatype=DataType.REGISTERS)]
    async with server(SimDevice(1, registers, action=refuse)) as port:
        seen = await read(source(port, {"tool": "40001"}), lambda seen: bool(codes(seen)))
    assert codes(seen) == [(code, "tool")]


async def test_values_that_no_signal_can_have_are_reported_and_never_stop_the_driver() -> None:
    registers = [SimData(0, values=[0x7FC0, 0, 99, 0xFFFC, 0x0731, 7], datatype=DataType.REGISTERS)]
    signals = {
        "spindle_load": {"register": "40001", "type": "f32"},
        "execution": {"register": "40003", "words": {"1": "ACTIVE"}},
        "part_count": {"register": "40004", "type": "s16"},
        "programme": {"register": "40005", "type": "string", "length": 1},
        "tool": "40006",
    }
    async with server(SimDevice(1, registers)) as port:
        seen = await read(source(port, signals), lambda seen: "7" in values(seen, "tool"))
    assert set(codes(seen)) == {
        ("not_finite", "spindle_load"), ("unknown_word", "execution"), ("not_a_count", "part_count"),
    }  # fmt: skip
    assert values(seen, "programme") == ["1"], "an unprintable character is left out"
    assert [event.up for event in seen if isinstance(event, Link)] == [True]


async def test_a_device_that_is_busy_now_and_then_is_asked_again() -> None:
    asked = 0

    async def busy(*_: Any) -> ExcCodes | None:
        nonlocal asked
        asked += 1
        return ExcCodes.DEVICE_BUSY if asked % 3 else None

    registers = [SimData(0, values=[7] * 10, datatype=DataType.REGISTERS)]
    async with server(SimDevice(1, registers, action=busy)) as port:
        seen = await read(source(port, {"spindle_load": "40001"}), lambda seen: len(values(seen, "spindle_load")) > 1)
    assert codes(seen) == []
    assert [event.up for event in seen if isinstance(event, Link)] == [True]


async def test_a_unit_that_the_gateway_does_not_reach_is_told() -> None:
    async def nobody(*_: Any) -> ExcCodes | None:
        return ExcCodes.GATEWAY_NO_RESPONSE

    others = SimDevice(0, [SimData(0, values=[0] * 30, datatype=DataType.REGISTERS)], action=nobody)
    async with server([others, modbus_machine.device(MovingMachine(), device_id=3)]) as port:
        with pytest.raises(DriverFaultError) as fault:
            await source(port, device_id=7).create_driver().probe()
        assert fault.value.code == "wrong_unit"
        assert "n° 7" in fault.value.message_fr
        assert (await source(port, device_id=3).create_driver().probe())[0].ok


@pytest.mark.parametrize(
    ("said", "code"), [(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", "garbage"), (b"", "no_answer")]
)
async def test_a_server_that_speaks_something_else_is_told(said: bytes, code: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(said)

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    async with other:
        with pytest.raises(DriverFaultError) as fault:
            await source(port).create_driver().probe()
        assert await discovery.ask("127.0.0.1", port) is None if said else True
    assert fault.value.code == code


async def test_rtu_frames_over_tcp() -> None:
    async with server(modbus_machine.device(MovingMachine()), framer=FramerType.RTU) as port:
        findings = await source(port, framing="rtu").create_driver().probe()
        with pytest.raises(DriverFaultError) as fault:
            await source(port, framing="tcp").create_driver().probe()
    assert [finding.name for finding in findings if not finding.ok] == []
    assert fault.value.code in ("garbage", "no_answer", "closed")


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat makes the serial line; apt-get install socat")
async def test_rtu_over_a_serial_line(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    line = await asyncio.create_subprocess_exec("socat", f"pty,raw,echo=0,link={ours}", f"pty,raw,echo=0,link={theirs}")
    try:
        async with asyncio.timeout(30):
            while not (ours.exists() and theirs.exists()):  # noqa: ASYNC110 - socat has no event to wait for
                await asyncio.sleep(0.05)
        running = ModbusSerialServer(
            modbus_machine.device(MovingMachine()), framer=FramerType.RTU, port=str(theirs), baudrate=19_200
        )
        await running.serve_forever(background=True)
        device = str(ours.resolve())
        config = source(1)
        table = config.driver.model_dump(by_alias=True, exclude_none=True, exclude={"host", "port"})
        table["signals"] = {"tool": "40002", "programme": {"register": "40021", "type": "string"}}
        serial = parse({"machine": {"id": "m"}, "driver": table | {"device": device, "parity": "N"}})
        findings = await serial.create_driver().probe()
        wrong = parse({"machine": {"id": "m"}, "driver": table | {"device": device, "parity": "N", "device_id": 9}})
        said = await wrong.create_driver().probe()
        odd = parse({"machine": {"id": "m"}, "driver": table | {"device": device, "baud": 12_345, "parity": "E"}})
        with pytest.raises(DriverFaultError) as refused:
            await odd.create_driver().probe()
        await running.shutdown()  # type: ignore[no-untyped-call]  # the library gives it no types
    finally:
        line.terminate()
        await line.wait()
    assert [finding.value for finding in findings if finding.name == "programme"] == ["40021 = 'O1234'"]
    assert [finding.ok for finding in said if finding.kind == "signal"] == [False, False], "this server answers 4"
    assert refused.value.code in ("line_settings", "no_answer"), "not every pseudo-terminal refuses an odd speed"


async def test_a_serial_port_that_is_not_there_is_told() -> None:
    missing = parse({
        "machine": {"id": "m"},
        "driver": {"kind": "modbus", "device": "/dev/ttyUSB99", "signals": {"tool": "40001"}},
    })  # fmt: skip
    with pytest.raises(DriverFaultError) as fault:
        await missing.create_driver().probe()
    assert fault.value.code == "no_device"
    assert "/dev/ttyUSB99" in fault.value.message_fr


async def test_it_is_recognised_by_one_question() -> None:
    async with server(modbus_machine.device(MovingMachine())) as port:
        offer = await discovery.discover(Address("", host="127.0.0.1", port=port))
    assert offer is not None
    table = tomllib.loads(offer.driver.replace("[driver.signals]", "[signals]"))
    assert parse({"machine": {"id": "m"}, "driver": table}).driver.address == f"127.0.0.1:{port}"
