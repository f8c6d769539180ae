"""Programmes over a real pseudo-terminal, to and from a (fake) control in its own process that really holds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cnc_bridge.port import DriverFaultError
from cnc_bridge.serial_line import transfer
from cnc_bridge.serial_line.line import Line, opened
from cnc_bridge.serial_line.sender import Progress
from cnc_bridge.serial_line.settings import LineSettings, TapeSettings
from cnc_bridge.serial_line.tape import canonical
from tests.contract.cnc_bridge.far_sides import free_port

FAST = LineSettings(baud=230_400)
TAPE = TapeSettings(start_timeout_s=20, hold_timeout_s=20, idle_timeout_s=1)
SEND = """
import asyncio, pathlib, sys
from cnc_bridge.serial_line import transfer
from cnc_bridge.serial_line.line import opened
from cnc_bridge.serial_line.settings import LineSettings, TapeSettings

async def main():
    async with opened(sys.argv[1], None, 0, LineSettings(baud=38400), 1.0) as line:
        print(0, flush=True)
        say = lambda done: print(done.sent, flush=True)
        await transfer.send(line, pathlib.Path(sys.argv[2]).read_bytes(), TapeSettings(), say)

asyncio.run(main())
"""


def programme(size: int, seed: int = 1) -> bytes:
    """A made-up milling programme of at least `size` bytes, `%` lines included."""
    made = random.Random(seed)
    lines = ["%", "O1234 (EBAUCHE)"]
    while sum(map(len, lines)) + len(lines) < size:
        lines.append(f"N{len(lines)} G1 X{made.uniform(-200, 200):.3f} Y{made.uniform(-200, 200):.3f} F800.")
    return ("\n".join([*lines, "M30", "%"]) + "\n").encode("ascii")


class Machine:
    """The fake control's process."""

    def __init__(self, process: asyncio.subprocess.Process, device: str) -> None:
        self.process, self.device = process, device

    async def press(self) -> None:
        """READ or PUNCH, by the operator."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()

    async def report(self) -> dict[str, int]:
        """The next line of what happened."""
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            told: dict[str, int] = json.loads(await self.process.stdout.readline())
        return told


@contextlib.asynccontextmanager
async def machine(*arguments: object) -> AsyncIterator[Machine]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cnc_bridge.testing.dnc_machine", "--by-line", *map(str, arguments),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            ready = json.loads(await process.stdout.readline())
        yield Machine(process, ready["listening"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def line_to(at: Machine, settings: LineSettings = FAST) -> contextlib.AbstractAsyncContextManager[Line]:
    return opened(at.device, None, 0, settings, 1.0)


async def test_a_drip_feed_of_125_kb_is_held_often_and_arrives_byte_for_byte(tmp_path: Path) -> None:
    content, seen = programme(125_000), list[Progress]()
    async with machine("read", "--into", tmp_path / "got") as cnc, line_to(cnc) as line:
        await cnc.press()
        done = await transfer.send(line, content, TAPE, seen.append)
        told = await cnc.report()
    expected = content.replace(b"\n", b"\r\n")
    assert (tmp_path / "got").read_bytes() == expected
    assert (done.state, done.sent, done.total) == ("done", len(expected), len(expected))
    assert told["xoffs"] >= 30
    assert done.holds == told["xoffs"]
    assert told["overshoot"] <= 3 * TAPE.chunk, "one chunk is on its way; two more for the kernel's delay"
    assert [step.sent for step in seen] == sorted(step.sent for step in seen)
    assert len(seen) > 5


@pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed")
async def test_a_drip_feed_through_a_serial_device_server_is_held_too(tmp_path: Path) -> None:
    """Socat is the server: TCP on our side, the serial port on the machine's."""
    content, port = programme(20_000), free_port()
    async with machine("read", "--into", tmp_path / "got", "--buffer", 2000) as cnc:
        server = await asyncio.create_subprocess_exec(
            "socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr", f"OPEN:{cnc.device},raw,echo=0"
        )
        try:
            async with asyncio.timeout(30):
                done = await _send_over_tcp(cnc, port, content)
                told = await cnc.report()
        finally:
            if server.returncode is None:
                server.kill()
            await server.wait()
    assert (tmp_path / "got").read_bytes() == content.replace(b"\n", b"\r\n")
    assert done.holds == told["xoffs"] > 5
    assert told["overshoot"] <= 8 * TAPE.chunk, "one chunk on its way, and what socat had taken already"


async def _send_over_tcp(cnc: Machine, port: int, content: bytes) -> Progress:
    while True:
        try:
            async with opened(None, "127.0.0.1", port, FAST, 1.0) as line:
                await asyncio.sleep(0.3)  # socat opens its port once it has a client
                await cnc.press()
                return await transfer.send(line, content, TAPE)
        except DriverFaultError as fault:
            if fault.code != "refused":  # socat listens in a moment
                raise
        await asyncio.sleep(0.05)


async def test_it_waits_for_the_machine_to_ask(tmp_path: Path) -> None:
    states = set[str]()
    waits = asyncio.Event()

    def say(done: Progress) -> None:
        states.add(done.state)
        waits.set()

    async with machine("read", "--into", tmp_path / "got") as cnc, line_to(cnc) as line:
        sending = asyncio.create_task(transfer.send(line, programme(500), TAPE, say))
        await waits.wait()
        await cnc.press()
        await sending
        assert (await cnc.report())["ended"]
    assert "waiting" in states
    assert (tmp_path / "got").read_bytes() == programme(500).replace(b"\n", b"\r\n")


async def test_a_machine_that_never_asks_is_given_up_with_the_key_to_press(tmp_path: Path) -> None:
    patient = TapeSettings(start_timeout_s=0.5)
    async with machine("read", "--no-dc1", "--into", tmp_path / "got") as cnc, line_to(cnc) as line:
        await cnc.press()
        with pytest.raises(DriverFaultError) as fault:
            await transfer.send(line, programme(500), patient)
    assert fault.value.code == "no_start"
    assert "READ" in fault.value.message_fr


async def test_a_machine_that_never_resumes_is_given_up_with_where_it_stopped(tmp_path: Path) -> None:
    patient = TapeSettings(hold_timeout_s=0.5)
    states = set[str]()
    async with (
        machine("read", "--into", tmp_path / "got", "--buffer", 1000, "--resumes", 2) as cnc,
        line_to(cnc) as line,
    ):
        await cnc.press()
        with pytest.raises(DriverFaultError) as fault:
            await transfer.send(line, programme(20_000), patient, lambda done: states.add(done.state))
    assert fault.value.code == "held"
    assert "held" in states
    sent = int(fault.value.message.split(", ")[1].split()[0])
    assert 750 < sent < 5000


async def test_a_port_that_lets_nothing_out_is_said_with_the_wires_to_look_at(tmp_path: Path) -> None:
    """The port itself is stopped, as it is while CTS is down."""
    patient = TapeSettings(start="at_once", hold_timeout_s=0.5)
    async with machine("read", "--no-dc1", "--into", tmp_path / "got") as cnc, line_to(cnc) as line:
        await cnc.press()
        termios.tcflow(line._fd, termios.TCOOFF)
        with pytest.raises(DriverFaultError) as fault:
            await transfer.send(line, programme(500), patient)
        termios.tcflow(line._fd, termios.TCOON)
    assert fault.value.code == "line_blocked"
    assert "RTS/CTS" in fault.value.message_fr


async def test_a_cable_pulled_in_the_middle_is_said_at_once(tmp_path: Path) -> None:
    async with machine("read", "--into", tmp_path / "got") as cnc, line_to(cnc) as line:
        await cnc.press()

        def pull(done: Progress) -> None:
            if done.sent > 2000:
                cnc.process.kill()

        with pytest.raises(DriverFaultError) as fault:
            await transfer.send(line, programme(60_000), TAPE, pull)
    assert fault.value.code == "line_lost"
    assert "USB" in fault.value.message_fr


async def test_a_transfer_that_is_aborted_stops_and_leaves_the_line_usable(tmp_path: Path) -> None:
    long, short = programme(60_000), programme(800, seed=2)
    async with machine("read", "--into", tmp_path / "got", "--rounds", 2, "--quiet", 1) as cnc, line_to(cnc) as line:
        await cnc.press()
        begun = asyncio.Event()
        task = asyncio.create_task(transfer.send(line, long, TAPE, lambda done: done.sent > 2000 and begun.set()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        told = await cnc.report()
        assert not told["ended"]
        assert told["bytes"] < len(long)
        await cnc.press()
        await transfer.send(line, short, TAPE)
        assert (await cnc.report())["ended"]
    assert (tmp_path / "got").read_bytes() == short.replace(b"\n", b"\r\n")


async def test_a_killed_sender_leaves_the_line_usable(tmp_path: Path) -> None:
    long, short = tmp_path / "long", programme(800, seed=2)
    long.write_bytes(programme(60_000))
    async with machine("read", "--into", tmp_path / "got", "--rounds", 2, "--quiet", 1, "--buffer", 1000) as cnc:
        sender = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SEND, cnc.device, str(long), stdout=asyncio.subprocess.PIPE
        )
        assert sender.stdout is not None
        async with asyncio.timeout(30):
            await sender.stdout.readline()
            await cnc.press()
            while int(await sender.stdout.readline()) < 2000:
                pass
        sender.send_signal(signal.SIGKILL)
        await sender.wait()
        told = await cnc.report()
        assert not told["ended"]
        async with line_to(cnc) as line:
            await cnc.press()
            await transfer.send(line, short, TAPE)
            assert (await cnc.report())["ended"]
    assert (tmp_path / "got").read_bytes() == short.replace(b"\n", b"\r\n")


async def test_what_a_slow_machine_has_not_read_yet_is_not_thrown_away_at_the_end() -> None:
    """To flush a pseudo-terminal's output empties what its other end has still to read."""
    near, far = os.openpty()
    tty.setraw(far)
    async with opened(os.ttyname(far), None, 0, FAST, 1.0) as line:
        await transfer.send(line, programme(9000), TapeSettings(start="at_once"))
    got = b""
    with contextlib.suppress(BlockingIOError):
        os.set_blocking(near, False)
        while len(got) < 20_000:
            await asyncio.sleep(0.01)
            got += os.read(near, 100)
    os.close(near)
    os.close(far)
    assert got == programme(9000).replace(b"\n", b"\r\n")


async def test_two_programmes_do_not_take_the_same_port(tmp_path: Path) -> None:
    async with machine("read", "--into", tmp_path / "got") as cnc, line_to(cnc):
        with pytest.raises(DriverFaultError) as fault:
            async with line_to(cnc):
                pass
    assert fault.value.code == "device_busy"


@pytest.mark.parametrize("framing", ["percent", "none"])
async def test_a_punched_programme_is_received_whatever_its_line_ends(tmp_path: Path, framing: str) -> None:
    tape = TapeSettings(framing="percent" if framing == "percent" else "none", idle_timeout_s=5)
    content = programme(8000)
    (tmp_path / "o1234").write_bytes(content)
    sizes: list[int] = []
    async with machine("punch", tmp_path / "o1234") as cnc, line_to(cnc) as line:
        await cnc.press()
        async with asyncio.timeout(30):
            got = await transfer.receive(line, tape, sizes.append)
        assert await line.read(0.2) == b"", "the trailer and DC4 were left for the next reception"
    assert got == canonical(content, tape)
    assert sizes == sorted(sizes)


async def test_without_control_codes_silence_ends_an_unframed_punch(tmp_path: Path) -> None:
    tape = TapeSettings(framing="none", idle_timeout_s=0.5)
    (tmp_path / "o1234").write_bytes(b"O1234\nG0 X1.\nM30\n")
    async with machine("--no-codes", "punch", tmp_path / "o1234") as cnc, line_to(cnc) as line:
        await cnc.press()
        assert await transfer.receive(line, tape) == b"O1234\nG0 X1.\nM30\n"


async def test_a_punch_that_stops_half_way_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "o1234").write_bytes(programme(3000))
    async with machine("punch", "--cut", 1000, tmp_path / "o1234") as cnc, line_to(cnc) as line:
        await cnc.press()
        with pytest.raises(DriverFaultError) as fault:
            await transfer.receive(line, TAPE)
    assert fault.value.code == "cut_short"


async def test_a_punch_that_never_starts_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "o1234").write_bytes(programme(100))
    async with machine("punch", tmp_path / "o1234") as cnc, line_to(cnc) as line:
        with pytest.raises(DriverFaultError) as fault:
            await transfer.receive(line, TapeSettings(start_timeout_s=0.5))
    assert fault.value.code == "no_start"
    assert "PUNCH" in fault.value.message_fr


async def test_every_byte_passes_an_eight_bit_line_in_both_directions(tmp_path: Path) -> None:
    """0xFF too, which the port marks damaged characters with; DC codes are data where the cable does the holding."""
    everything = bytes(range(256)) * 4
    plain = LineSettings(data_bits=8, parity="none", stop_bits=1, flow="none", baud=230_400)
    raw = TapeSettings(start="at_once", framing="none", eol="as_is", idle_timeout_s=0.5)
    async with (
        machine("--no-codes", "read", "--no-dc1", "--quiet", 1, "--into", tmp_path / "got") as cnc,
        line_to(cnc, plain) as line,
    ):
        await cnc.press()
        await transfer.send(line, everything, raw)
        await cnc.report()
    assert (tmp_path / "got").read_bytes() == everything
    (tmp_path / "all").write_bytes(everything.replace(b"\n", b""))
    async with machine("--no-codes", "punch", tmp_path / "all") as cnc, line_to(cnc, plain) as line:
        await cnc.press()
        assert await transfer.receive(line, raw) == everything.replace(b"\n", b"")


async def test_a_port_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DriverFaultError) as fault:
        async with opened(str(tmp_path / "ttyUSB9"), None, 0, FAST, 1.0):
            pass
    assert fault.value.code == "no_device"
    assert "by-id" in fault.value.message_fr
    (tmp_path / "file").write_text("not a port")
    with pytest.raises(DriverFaultError) as fault:
        async with opened(str(tmp_path / "file"), None, 0, FAST, 1.0):
            pass
    assert fault.value.code == "not_opened"
