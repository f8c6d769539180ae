"""LSV/2 against our fake controller: messages, logins, PLC memory, programmes, answers that are none."""

from __future__ import annotations

import asyncio
import struct
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.lsv2 import discovery
from cnc_bridge.follow import follow
from cnc_bridge.port import DriverEvent, DriverFaultError, Link, NotAllowedError, Problem, Reading
from cnc_bridge.probing import Address
from cnc_bridge.testing import lsv2_machine
from cnc_bridge.testing.lsv2_machine import FakeController
from cnc_bridge.testing.moving import MovingMachine
from cnc_bridge.tracking import AlarmCleared, AlarmRaised, Event, StateChanged

PROGRAMME = b"BEGIN PGM NEW MM\r\n" + b"".join(b"L X+%d FMAX\r\n" % line for line in range(300)) + b"END PGM NEW MM\r\n"


def source(port: int, **settings: Any) -> MachineSource:
    table: dict[str, Any] = tomllib.loads(lsv2_machine.example_config("127.0.0.1", port))["driver"]
    return parse({"machine": {"id": "m"}, "driver": table | {"period_s": 0.1, "timeout_s": 2.0} | settings})


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


async def test_the_usual_places_and_plc_memory_are_read() -> None:
    async with await FakeController(MovingMachine(cycle_s=0.8, between_s=0.2, alarm_every=0)).start() as server:
        seen = await read(source(port_of(server)), lambda seen: any(value == 2 for value in values(seen, "part_count")))
    assert codes(seen) == []
    assert {"READY", "ACTIVE"} <= set(values(seen, "execution"))
    assert values(seen, "mode") == ["AUTOMATIC"]
    assert values(seen, "programme") == ["PGM.H"]
    assert set(values(seen, "feed_override")) == {100.0}
    loads = [value for value in values(seen, "spindle_load") if isinstance(value, float)]
    assert 10 < max(loads) < 70


async def test_a_pending_message_is_an_alarm_until_it_is_gone() -> None:
    seen: list[Event] = []
    moving = MovingMachine(cycle_s=0.4, between_s=0.1, alarm_every=2, alarm_s=0.8)
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
    assert raised.code == "230-0412"
    assert "SURCOURSE" in raised.text
    assert any(isinstance(event, StateChanged) and event.state == "alarm" for event in seen)


async def test_a_controller_that_denies_dnc_says_what_to_allow() -> None:
    async with await FakeController(deny=frozenset({"DNC"})).start() as server:
        with pytest.raises(DriverFaultError) as fault:
            await source(port_of(server)).create_driver().probe()
    assert fault.value.code == "login_denied"
    assert "accès externe" in fault.value.message_fr
    assert fault.value.retry_after_s


async def test_a_wrong_plc_password_concerns_plc_signals_alone() -> None:
    async with await FakeController().start() as server:
        config = source(port_of(server), plc_password="wrong")
        seen = await read(config, lambda seen: len(codes(seen)) > 1 and bool(values(seen, "execution")))
    assert set(codes(seen)) == {("no_access", "part_count"), ("no_access", "spindle_load")}
    assert [event.up for event in seen if isinstance(event, Link)] == [True]
    assert all("wrong" not in event.message for event in seen if isinstance(event, Problem))


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "garbage"), (b"", "closed"), (b"\0\0\0\0XXXX", "garbage")],
    ids=["a web server", "hangs up", "unknown telegram"],
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


async def test_a_connection_cut_in_the_middle_of_a_telegram_does_not_spin() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\0\0\0\x20S_VRTNC")
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with server:
        with pytest.raises(DriverFaultError) as fault:
            await source(port_of(server)).create_driver().probe()
    assert fault.value.code == "closed"


async def test_a_programme_goes_there_and_back_where_the_machine_opted_in() -> None:
    controller = FakeController()
    async with await controller.start() as server:
        driver = source(port_of(server), allow=["programme"]).create_driver()
        await driver.write_programme("NEW.H", PROGRAMME)
        assert await driver.read_programme("NEW.H") == PROGRAMME
        assert [(file.name, file.size) for file in await driver.list_programmes()] == [
            ("NEW.H", len(PROGRAMME)), ("PGM.H", 52),
        ]  # fmt: skip
        await driver.write_programme("NEW.H", b"BEGIN PGM NEW MM\r\nEND PGM NEW MM\r\n")
        assert sorted(controller.files) == ["TNC:\\nc_prog\\NEW.H", "TNC:\\nc_prog\\PGM.H"], "nothing is left over"
        with pytest.raises(NotAllowedError):
            await source(port_of(server)).create_driver().write_programme("NEW.H", PROGRAMME)


@pytest.mark.parametrize(("name", "code"), [("NONE.H", "no_programme"), ("..\\BOOT.H", "bad_name"), ("", "bad_name")])
async def test_a_programme_that_cannot_be_read_is_told(name: str, code: str) -> None:
    async with await FakeController().start() as server:
        with pytest.raises(DriverFaultError) as fault:
            await source(port_of(server), allow=["programme"]).create_driver().read_programme(name)
    assert fault.value.code == code


async def test_a_programme_that_runs_is_not_replaced() -> None:
    controller = FakeController(MovingMachine(cycle_s=1000, between_s=0.0001, alarm_every=0))
    before = dict(controller.files)
    async with await controller.start() as server:
        await asyncio.sleep(0.01)
        with pytest.raises(DriverFaultError) as fault:
            await source(port_of(server), allow=["programme"]).create_driver().write_programme("PGM.H", PROGRAMME)
    assert fault.value.code == "in_use"
    assert controller.files == before


async def test_a_folder_that_is_not_there_is_told() -> None:
    async with await FakeController().start() as server:
        with pytest.raises(DriverFaultError) as fault:
            await source(port_of(server), allow=["programme"], folder="TNC:\\nix").create_driver().list_programmes()
    assert fault.value.code == "no_folder"


async def test_answers_that_nobody_knows_concern_their_own_signals() -> None:
    odd = {26: b"\0\x63", 24: b"\0\0\0\x01no end", 51: b"\0", 25: struct.pack(">LLL", 0xFFFFFFFF, 5000, 0)}
    async with await FakeController(odd=odd).start() as server:
        seen = await read(source(port_of(server)), lambda seen: len(values(seen, "spindle_load")) > 2)
    assert {about for _, about in codes(seen)} == {"execution", "programme", "tool"}
    assert set(values(seen, "spindle_override")) == {50.0}
    assert [event.up for event in seen if isinstance(event, Link)] == [True]


async def test_only_reading_telegrams_are_sent_while_the_state_is_followed() -> None:
    controller = FakeController()
    async with await controller.start() as server:
        await read(source(port_of(server)), lambda seen: len(values(seen, "spindle_load")) > 2)
    assert set(controller.asked) <= {"A_LG", "A_LO", "R_VR", "R_PR", "R_CI", "C_CC", "R_RI", "R_MB"}


async def test_it_is_recognised_and_what_it_lacks_is_left_out() -> None:
    async with await FakeController().start() as server:
        port = port_of(server)
        offer = await discovery.discover(Address("", host="127.0.0.1", port=port))
    assert offer is not None
    assert "TNC640" in offer.title
    assert parse({"machine": {"id": "m"}, "driver": tomllib.loads(offer.driver)}).driver.address == f"127.0.0.1:{port}"
