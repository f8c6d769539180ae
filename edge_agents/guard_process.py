"""The process that guards one machine: its own connection to the controller, its own hold, nothing between them.

It is started by :mod:`edge_agents.parts.guard`, which writes down what it says. A stall of the agent, of the broker or
of the centre never delays it. It keeps nothing but what it learnt; it may be killed at any moment, and then says so by
being gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import msgspec

from cnc_bridge.config import ConfigError, MachineSource, parse
from cnc_bridge.guard.acting import gpio_relay
from cnc_bridge.guard.core import Guard
from cnc_bridge.guard.envelope import BadMemoryError, Memory
from cnc_bridge.guard.settings import GuardSettings
from cnc_bridge.port import (
    Driver,
)  # fmt: skip
from edge_agents.guard_messages import (
    Alive,
    Noted,
    Order,
    Said,
    Told,
    Unusable,
    framed,
)
from edge_agents.guard_runner import GuardRunner

_log = logging.getLogger(__name__)

BEAT_S: Final = 2.0
_END_WITHIN_S: Final = 3.0

Prepare: TypeAlias = Callable[[Order], tuple[MachineSource, Driver]]


def prepared(order: Order) -> tuple[MachineSource, Driver]:
    """The machine of an order and its driver, not yet open. Raises ConfigError."""
    source = parse(order.machine)
    return source, source.create_driver()


async def guard_machine(
    order: Order, say: Callable[[Said], None], asked: asyncio.Queue[Told], prepare: Prepare = prepared
) -> None:
    """Guard until cancelled, or until it cannot go on (said before)."""
    try:
        source, driver = prepare(order)
    except ConfigError as error:
        say(Unusable("guard_config", str(error), "Configuration de la garde inutilisable : `copeau agent check`."))
        return
    settings = source.machine.guard or GuardSettings()
    path = Path(order.memory)
    try:
        memory = Memory.load(path)
    except BadMemoryError as error:
        _log.error("%s", error)
        aside = f", gardé sous {error.aside.name}" if error.aside else ""
        say(
            Noted("guard_memory_bad", f"Garde : le fichier des limites apprises est illisible{aside} ; elle réapprend.")
        )
        memory = Memory()
    relay = None
    if settings.relay is not None:
        chosen = settings.relay
        try:
            relay = gpio_relay(
                chosen.pin, active_high=chosen.active_high, pulse_s=chosen.pulse_s,
                later=asyncio.get_running_loop().call_later,
            )  # fmt: skip
        except (OSError, RuntimeError, ImportError) as error:
            french = f"Relais de la garde inutilisable (GPIO {chosen.pin}) : vérifier le câblage et `relay.pin`."
            say(Unusable("guard_relay", f"relay: {error}", french))
            return
    guard = Guard(settings, memory, source.units)
    guard.armed = order.armed
    runner = GuardRunner(source, guard, driver, say, memory=path, relay=relay)
    beating = asyncio.create_task(_beat_forever(runner, say), name="beat")
    try:
        await run_until_done(runner, asked)
    finally:
        beating.cancel()
        await asyncio.wait([beating])


async def _beat_forever(runner: GuardRunner, say: Callable[[Said], None]) -> None:
    """Say that the guard turns; a guard that is stuck says nothing, and its agent starts another."""
    while True:
        before = runner.turns
        await asyncio.sleep(BEAT_S)
        if runner.turns != before:
            say(Alive())


async def run_until_done(runner: GuardRunner, asked: asyncio.Queue[Told]) -> None:
    """The runner, doing what is `asked`."""

    async def obey_forever() -> None:
        while True:
            runner.obey(await asked.get())

    obeying = asyncio.create_task(obey_forever(), name="obey")
    try:
        await runner.run()
    finally:
        obeying.cancel()
        await asyncio.wait([obeying])


class Mouth:
    """Writes messages from a thread of its own: an agent that does not read must not hold up the guard."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._waiting: queue.SimpleQueue[Said | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True, name="mouth")
        self._thread.start()

    def say(self, message: Said) -> None:
        self._waiting.put(message)

    def close(self) -> None:
        """Write what still waits."""
        self._waiting.put(None)
        self._thread.join(timeout=2.0)

    def _write(self) -> None:
        while (message := self._waiting.get()) is not None:
            self._pipe.write(framed(message))
            self._pipe.flush()


def prefer_this_process() -> bool:
    """Ask the system to run the guard before the rest, and say whether it will; it goes on as it is without."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    asks: list[Callable[[], object]] = [
        partial(
            os.sched_setscheduler, 0, os.SCHED_RR, os.sched_param(1)
        ),  # it nearly always sleeps, and must wake at once
        partial(os.setpriority, os.PRIO_PROCESS, 0, -15),
    ]
    for ask in asks:
        try:
            ask()
        except OSError:
            continue
        return True
    return False


async def serve(prepare: Prepare = prepared) -> None:
    """Take the order from standard input, guard, and say what happens on standard output."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a native library that prints must not break the protocol
    length = int.from_bytes(sys.stdin.buffer.read(4), "big")
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(length), type=Order)
    loop = asyncio.get_running_loop()
    asked: asyncio.Queue[Told] = asyncio.Queue()
    guarding = asyncio.current_task()
    assert guarding is not None
    threading.Thread(target=_listen_to_the_agent, args=(loop, asked, guarding), daemon=True).start()
    prefer_this_process()
    mouth = Mouth(out)
    try:
        await guard_machine(order, mouth.say, asked, prepare)
    finally:
        mouth.close()


def _listen_to_the_agent(
    loop: asyncio.AbstractEventLoop, asked: asyncio.Queue[Told], guarding: asyncio.Task[None]
) -> None:
    while head := sys.stdin.buffer.read(4):
        told: Told = msgspec.msgpack.decode(sys.stdin.buffer.read(int.from_bytes(head, "big")), type=Told)
        loop.call_soon_threadsafe(asked.put_nowait, told)
    loop.call_soon_threadsafe(guarding.cancel)  # the agent is going, or gone: tell the trips that wait, and end
    time.sleep(_END_WITHIN_S)
    os._exit(0)


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(serve())


if __name__ == "__main__":
    main()
