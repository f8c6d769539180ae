"""A FAKE Haas control, for tests and the demo: no Haas software speaks here.

Written from the maker's public description of machine data collection and from what other clients read of real
machines (labels, ``STATUS, BUSY`` while a programme runs). It works in cycles and answers Q commands over TCP, or on
a pseudo-terminal in place of an RS-232 cable:

    python -m cnc_bridge.testing.haas --port 5051
    python -m cnc_bridge.testing.haas --pty
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import random
import re
import sys
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

TOOLS = ((1, 2400.0, 38.0), (5, 3200.0, 22.0), (7, 900.0, 55.0))
"""Number, spindle speed (rpm), load (% of rated power)."""
LOAD, SPEED = 1098, 3027
CLIENTS = 2
"""What the maker states; one more is turned away."""

Framing = Literal["stx", "prompt", "plain"]


@dataclass
class Plan:
    """How the fake works (times in seconds) and how it answers.

    `framing`: ``STX text ETB CR LF >``, ``>text CR LF`` or ``text CR LF``. `deaf`: questions ignored after each
    connection. `echo`, `twice`: it repeats the question, or its answer. `numbered`: a macro's answer names it.
    """

    cycle_s: float = 20.0
    between_s: float = 3.0
    alarm_every: int = 0
    alarm_s: float = 6.0
    framing: Framing = "stx"
    deaf: int = 1
    echo: bool = False
    twice: bool = False
    numbered: bool = True
    omit: frozenset[str] = field(default_factory=frozenset)
    programme: str = "O01234"


class FakeHaas:
    """The machine and its answers: `async with asyncio.TaskGroup()` or a task around `work`, `answer` per question."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or Plan()
        self.status = "IDLE"
        self.mode = "MEM"
        self.tool = 1
        self.parts = 0
        self.macros = {LOAD: 0.0, SPEED: 0.0}
        self.asked: list[str] = []
        self._noise = random.Random(1)  # noqa: S311  # nosec B311  # a load curve, not a secret

    async def work(self) -> None:
        """Cycles of three tools, for ever."""
        plan, cycles = self.plan, 0
        while True:
            await asyncio.sleep(plan.between_s)
            cycles += 1
            self.status = "BUSY"
            for self.tool, speed, load in TOOLS:
                self.macros[SPEED] = speed
                await self._cut(plan.cycle_s / len(TOOLS), load)
            self.macros = dict.fromkeys(self.macros, 0.0)
            if plan.alarm_every and cycles % plan.alarm_every == 0:
                self.status = "ALARM ON"
                await asyncio.sleep(plan.alarm_s)
            else:
                self.parts += 1
            self.status = "IDLE"

    async def _cut(self, seconds: float, load: float) -> None:
        steps = max(1, round(seconds / 0.05))
        for step in range(steps):
            engaged = math.sin(math.pi * (step + 0.5) / steps) ** 0.3
            self.macros[LOAD] = round(max(0.0, 3 + load * engaged + self._noise.gauss(0, 1)), 1)
            await asyncio.sleep(seconds / steps)

    def answer(self, question: str) -> str | None:
        """What is said to ``?Q…``; None to what is no question. E commands are noted in `asked` and refused."""
        self.asked.append(question)
        found = re.fullmatch(r"\?Q(\d{3})\s*(\d*)", question)
        if not found:
            return "UNKNOWN" if question.startswith("?") else None
        number, variable = found[1], found[2]
        if number == "600":
            value = self.macros.get(int(variable or 0))
            if value is None or {LOAD: "spindle_load", SPEED: "spindle_speed"}[int(variable)] in self.plan.omit:
                return "UNKNOWN"
            return f"MACRO, {variable}, {value:.6f}" if self.plan.numbered else f"MACRO, {value:.6f}"
        busy = self.status == "BUSY"
        combined = f"PROGRAM, {self.plan.programme}, {self.status}, PARTS, {self.parts}"
        said = {
            "100": "SERIAL NUMBER, 1234567",
            "101": "SOFTWARE VERSION, 100.16.000.1031",
            "102": "MODEL, FAKE-VF2",
            "104": f"MODE, ({self.mode})",
            "201": f"USING TOOL, {self.tool}",
            "402": f"M30 #1, {self.parts}",
            "500": "STATUS, BUSY" if busy else combined,
        }
        for signal, query in (("tool", "201"), ("part_count", "402")):
            if signal in self.plan.omit:
                said.pop(query)
        return said.get(number, "UNKNOWN")

    def framed(self, text: str) -> bytes:
        """`text` as this generation sends it."""
        one = {"stx": f"\x02{text}\x17\r\n>", "prompt": f">{text}\r\n", "plain": f"{text}\r\n"}[self.plan.framing]
        return one.encode("ascii") * (2 if self.plan.twice else 1)


class Talker:
    """One connection: collects questions, ignores the first `deaf` ones."""

    def __init__(self, machine: FakeHaas, say: Callable[[bytes], None]) -> None:
        self._machine, self._say = machine, say
        self._rest = b""
        self._deaf = machine.plan.deaf

    def feed(self, data: bytes) -> None:
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + data)
        for line in filter(None, lines):
            if self._machine.plan.echo:
                self._say(line + b"\r\n")
            text = self._machine.answer(line.decode("ascii", "replace").strip())
            if self._deaf > 0:
                self._deaf -= 1
            elif text is not None:
                self._say(self._machine.framed(text))


async def serve_tcp(machine: FakeHaas, port: int) -> asyncio.Server:
    """Up to two clients; what one asks is answered to both."""
    writers: set[asyncio.StreamWriter] = set()

    def say(data: bytes) -> None:
        for writer in writers:
            writer.write(data)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(writers) >= CLIENTS:
            writer.close()
            return
        writers.add(writer)
        talker = Talker(machine, say)
        try:
            while data := await reader.read(1024):
                talker.feed(data)
        except ConnectionError:
            pass  # a client that went away
        finally:
            writers.discard(writer)
            writer.close()

    return await asyncio.start_server(client, "127.0.0.1", port)


def serve_pty(machine: FakeHaas) -> str:
    """Answers on a new pseudo-terminal; returns the path of the end that a client opens."""
    near, far = os.openpty()
    tty.setraw(far)
    os.set_blocking(near, False)
    talker = Talker(machine, lambda data: _write(near, data))

    def readable() -> None:
        with contextlib.suppress(BlockingIOError):
            talker.feed(os.read(near, 1024))

    asyncio.get_running_loop().add_reader(near, readable)
    return os.ttyname(far)  # `far` stays open: a client may come and go


def _write(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BlockingIOError):  # nobody reads: a cable carries on too
        os.write(descriptor, data)


async def _main(arguments: argparse.Namespace) -> None:
    machine = FakeHaas(
        Plan(
            cycle_s=arguments.cycle,
            between_s=arguments.between,
            alarm_every=arguments.alarm_every,
            framing=arguments.framing,
            echo=arguments.echo,
            twice=arguments.twice,
            numbered=not arguments.unnumbered,
            omit=frozenset(arguments.omit),
        )
    )
    if arguments.pty:
        where = serve_pty(machine)
    else:
        server = await serve_tcp(machine, arguments.port)
        where = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    sys.stdout.write(json.dumps({"listening": where}) + "\n")
    sys.stdout.flush()
    await machine.work()


def main() -> None:
    """The command line of the fake."""
    parser = argparse.ArgumentParser(description="A fake Haas control (not a controller).")
    parser.add_argument("--port", type=int, default=5051, help="TCP port on 127.0.0.1; 0: any")
    parser.add_argument("--pty", action="store_true", help="a pseudo-terminal instead of TCP")
    parser.add_argument("--cycle", type=float, default=20.0)
    parser.add_argument("--between", type=float, default=3.0)
    parser.add_argument("--alarm-every", type=int, default=0)
    parser.add_argument("--framing", choices=("stx", "prompt", "plain"), default="stx")
    parser.add_argument("--echo", action="store_true")
    parser.add_argument("--twice", action="store_true")
    parser.add_argument("--unnumbered", action="store_true")
    parser.add_argument("--omit", action="append", default=[], help="a signal that this one does not have")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
