"""The fake Haas on a real pseudo-terminal, and far sides that answer what they should not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import tomllib
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from cnc_bridge.config import parse
from cnc_bridge.drivers.serial.discovery import discover
from cnc_bridge.drivers.serial.driver import ControllerDriver
from cnc_bridge.port import Condition, DriverEvent, DriverFaultError, Link, Problem, Reading
from cnc_bridge.probing import parse_address, probe
from cnc_bridge.testing.haas import FakeHaas, Framing, Plan, serve_pty, serve_tcp

LEAN = {"kind": "serial", "dialect": "haas_mdc", "poll_s": 0.05, "answer_timeout_s": 0.5, "reconnect_max_s": 0.3}


def driver(**table: object) -> ControllerDriver:
    made = parse({"machine": {"id": "m"}, "driver": {**LEAN, **table}}).create_driver()
    assert isinstance(made, ControllerDriver)
    return made


async def read(machine: ControllerDriver, enough: Callable[[list[DriverEvent]], bool]) -> list[DriverEvent]:
    seen: list[DriverEvent] = []
    async with asyncio.timeout(60), machine.open() as stream:
        async for batch in stream:
            seen += batch
            if enough(seen):
                break
    return seen


def values(seen: list[DriverEvent], signal: str) -> list[object]:
    return [event.value for event in seen if isinstance(event, Reading) and event.signal == signal]


def problems(seen: list[DriverEvent]) -> set[tuple[str, str]]:
    return {(event.code, event.about) for event in seen if isinstance(event, Problem)}


@contextlib.asynccontextmanager
async def haas(**plan: object) -> AsyncIterator[tuple[FakeHaas, str]]:
    """The fake on a pseudo-terminal in this process, working."""
    machine = FakeHaas(Plan(cycle_s=0.6, between_s=0.3, **plan))  # type: ignore[arg-type]  # the plan's own fields
    device = serve_pty(machine)
    task = asyncio.create_task(machine.work())
    yield machine, device
    task.cancel()
    await asyncio.wait([task])


class Wire:
    """The far end of a pseudo-terminal held by the test: sends what it is told, notes what comes."""

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.near, self._far = os.openpty()
        tty.setraw(self._far)
        os.set_blocking(self.near, False)
        self.device = os.ttyname(self._far)
        self.heard = b""
        self._answer = answer
        asyncio.get_running_loop().add_reader(self.near, self._readable)

    def _readable(self) -> None:
        data = os.read(self.near, 1024)
        self.heard += data
        os.write(self.near, self._answer(data))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.near)
        os.close(self.near)
        os.close(self._far)


@contextlib.contextmanager
def wire(answer: Callable[[bytes], bytes]) -> Iterator[Wire]:
    made = Wire(answer)
    yield made
    with contextlib.suppress(OSError):
        made.close()


@pytest.mark.parametrize(
    ("framing", "plan"),
    [
        ("stx", {}),
        ("prompt", {"echo": True}),
        ("plain", {"twice": True}),
        ("stx", {"echo": True, "twice": True, "numbered": False}),
    ],
)
async def test_every_generation_is_read_over_a_serial_line(framing: Framing, plan: dict[str, bool]) -> None:
    def enough(seen: list[DriverEvent]) -> bool:
        executions = values(seen, "execution")
        ran = "ACTIVE" in executions and executions[-1:] == ["READY"] and 1 in values(seen, "part_count")
        return ran and len(set(values(seen, "tool"))) == 3 and len(set(values(seen, "spindle_load"))) > 3

    async with haas(framing=framing, **plan) as (machine, device):
        seen = await read(driver(device=device), enough)
        assert all(re.fullmatch(r"\?Q\d{3}( \d+)?", question) for question in machine.asked), "only questions"
    assert isinstance(seen[0], Link)
    assert "1234567" in seen[0].detail
    assert set(values(seen, "programme")) == {"O01234"}
    assert set(values(seen, "mode")) == {"AUTOMATIC"}
    assert set(values(seen, "spindle_speed")) <= {0.0, 900.0, 2400.0, 3200.0}
    assert problems(seen) == set()


async def test_an_alarm_is_a_condition_and_ends(tmp_path: Path) -> None:
    def enough(seen: list[DriverEvent]) -> bool:
        levels = [event.level for event in seen if isinstance(event, Condition)]
        return "FAULT" in levels and levels[-1] == "NORMAL"

    async with haas(alarm_every=1, alarm_s=0.5) as (_, device):
        seen = await read(driver(device=device), enough)
    fault = next(event for event in seen if isinstance(event, Condition) and event.level == "FAULT")
    assert (fault.key, fault.code) == ("alarm", "ALARM ON")
    assert "STOPPED" in values(seen, "execution")


async def test_two_clients_read_the_same_machine_and_neither_is_misled() -> None:
    machine = FakeHaas(Plan(cycle_s=0.9, between_s=0.4, numbered=False))
    server = await serve_tcp(machine, 0)
    port = server.sockets[0].getsockname()[1]
    work = asyncio.create_task(machine.work())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    hearing = asyncio.create_task(reader.read())
    other = asyncio.create_task(_ask_for_ever(writer))
    seen = await read(driver(host="127.0.0.1", port=port), lambda seen: 2 in values(seen, "part_count"))
    for task in (work, other, hearing):
        task.cancel()
    await asyncio.wait([work, other, hearing])
    writer.close()
    server.close()
    await asyncio.sleep(0.1)
    # a macro's value without its number could be the other client's: not used
    assert values(seen, "spindle_speed") == values(seen, "spindle_load") == []
    assert problems(seen) == set()


async def _ask_for_ever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"?Q600 3027\r\n?Q304\r\n")
        await asyncio.sleep(0.02)


async def test_a_signal_that_this_machine_does_not_know_is_said_once_and_left_alone() -> None:
    async with haas(omit=frozenset({"tool"})) as (machine, device):
        seen = await read(driver(device=device), lambda seen: ("unknown_query", "tool") in problems(seen))
        assert machine.asked.count("?Q201") == 3
    assert problems(seen) == {("unknown_query", "tool")}


async def test_a_cable_that_is_pulled_and_put_back_heals(tmp_path: Path) -> None:
    """A stable name (as /dev/serial/by-id) that leads to another port after the adapter came back."""
    name = tmp_path / "usb-haas"
    first, device = await _fake_on_a_pty()
    name.symlink_to(device)
    links: list[bool] = []
    codes: list[str] = []
    async with asyncio.timeout(60), driver(device=str(name)).open() as stream:
        async for batch in stream:
            links += [event.up for event in batch if isinstance(event, Link)]
            codes += [event.code for event in batch if isinstance(event, Problem)]
            if links == [True] and values(batch, "execution"):
                first.kill()
                await first.wait()
                name.unlink()
            elif links == [True, False] and "no_device" in codes and not name.is_symlink():
                second, device = await _fake_on_a_pty()
                name.symlink_to(device)
            elif links == [True, False, True] and values(batch, "execution"):
                break
    second.kill()
    await second.wait()
    assert codes[0] == "line_lost"


async def _fake_on_a_pty() -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cnc_bridge.testing.haas", "--pty", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())["listening"]


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (lambda asked: b"", "mute", "Setting 143"),
        (lambda asked: asked, "mute", "Setting 143"),
        (lambda asked: bytes((byte * 37 + 129) % 256 for byte in asked), "garbled", "vitesse"),
        (lambda asked: b"* PONG 10000\r\n", "not_haas", "n'est pas une commande Haas"),
    ],
    ids=["silence", "a loop in the cable", "another speed", "another protocol"],
)
async def test_what_answers_otherwise_is_explained(answer: Callable[[bytes], bytes], code: str, said: str) -> None:
    with wire(answer) as far, pytest.raises(DriverFaultError) as fault:
        await driver(device=far.device, answer_timeout_s=0.1).probe()
    assert fault.value.code == code
    assert said in fault.value.message_fr
    assert far.device in fault.value.message


async def test_garbage_in_the_middle_ends_the_connection_with_what_to_check() -> None:
    """Somebody changed the speed at the machine while we read."""
    machine = FakeHaas()
    spoilt = False

    def answer(asked: bytes) -> bytes:
        said = b"".join(machine.framed(machine.answer(line.decode()) or "") for line in asked.split(b"\r\n") if line)
        return bytes((byte * 37 + 129) % 256 for byte in said) + b"\r" if spoilt else said

    with wire(answer) as far:
        seen: list[DriverEvent] = []
        async with asyncio.timeout(30), driver(device=far.device, answer_timeout_s=0.1).open() as stream:
            async for batch in stream:
                seen += batch
                spoilt = spoilt or bool(values(seen, "execution"))
                if any(isinstance(event, Link) and not event.up for event in seen):
                    break
    assert ("garbled_answer", "line") in problems(seen)
    assert [event.detail for event in seen if isinstance(event, Link)][-1].endswith("no text (line set to 9600 7E2)")


async def test_discovery_recognises_a_haas_by_network_and_by_serial_line() -> None:
    machine = FakeHaas()
    server = await serve_tcp(machine, 0)
    port = server.sockets[0].getsockname()[1]
    offer = await discover(parse_address(f"127.0.0.1:{port}"))
    server.close()
    assert offer is not None
    assert f"port = {port}" in offer.driver
    assert [finding.value for finding in offer.findings][:2] == ["Haas 1234567", "FAKE-VF2"]
    offer = await discover(parse_address(serve_pty(machine)))
    assert offer is not None
    assert "7E2" in offer.title
    made = parse({"machine": {"id": "m"}, "driver": tomllib.loads(offer.driver)})
    assert made.driver.address.startswith("/dev/pts/")


async def test_it_is_found_although_every_protocol_is_tried_at_once_and_two_clients_are_all_it_takes() -> None:
    server = await serve_tcp(FakeHaas(), 0)
    offers, _ = await probe(parse_address(f"127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    server.close()
    assert "serial" in [offer.kind for offer in offers]


async def test_discovery_leaves_other_protocols_alone_and_says_when_a_line_is_silent() -> None:
    assert await discover(parse_address("127.0.0.1:4840")) is None
    assert await discover(parse_address("opc.tcp://127.0.0.1:5051")) is None
    assert await discover(parse_address("/dev/gpiochip0")) is None
    with wire(lambda asked: b"") as far, pytest.raises(DriverFaultError, match="no Haas answers"):
        await discover(parse_address(far.device))
