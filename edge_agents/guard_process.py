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
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import msgspec

from cnc_bridge.config import ConfigError, MachineSource, parse
from cnc_bridge.guard.acting import Outcome, Relay, SampleAge, Standstill, Trip, Trips, Unsent, gpio_relay
from cnc_bridge.guard.core import Guard, Verdict
from cnc_bridge.guard.envelope import BadMemoryError, Memory, write_whole
from cnc_bridge.guard.settings import GuardSettings
from cnc_bridge.guard.track import Point
from cnc_bridge.port import (
    Condition,
    Driver,
    DriverFaultError,
    Heard,
    Link,
    NotAllowedError,
    Problem,
    Reading,
    Solved,
)  # fmt: skip
from edge_agents.guard_messages import (
    Alive,
    Armed,
    Blind,
    Disarmed,
    Forget,
    Noted,
    Order,
    Said,
    Told,
    Tripped,
    Unusable,
    Watching,
    framed,
)

_log = logging.getLogger(__name__)

TICK_S: Final = 0.1
BEAT_S: Final = 2.0
_FIRST_SIGNAL_S: Final = 10.0
_IDLE_HEARD_S: Final = 0.5
_END_WITHIN_S: Final = 3.0
_BACK_S: Final = 0.9
"""A sample that was longer on its way than others is not judged further back than this: no new session begins by it."""


class GuardRunner:
    """A guard and its driver, together until cancelled. `mono` is a clock that never jumps, the driver's own."""

    def __init__(
        self,
        source: MachineSource,
        guard: Guard,
        driver: Driver,
        say: Callable[[Said], None],
        *,
        memory: Path | None = None,
        relay: Relay | None = None,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        self.guard = guard
        self._settings = guard.settings
        self._driver = driver
        self._say = say
        self._memory = memory
        self._relay = relay
        self._mono = mono
        self._trips = Trips(guard)
        self._unsent = Unsent(guard)
        self._hold_failing = False
        self._ages: dict[str, SampleAge] = {}
        self._blind_after = guard.settings.blind_after_s or source.stale_after_s
        self._heard = self._up_since = mono()
        self._up = False
        self._last_reading = self._judged = float("-inf")
        self._trouble = ""
        self._hold_not_ready = ""
        self._not_written = False
        self.turns = 0
        """Of the loop: as long as it grows, the guard is not stuck."""
        self._seeing: str | None = None
        self._standstill: Standstill | None = None
        self._learnt = guard.learnt_cycles
        self._saving: asyncio.Task[None] | None = None

    async def run(self) -> None:
        async with self._driver.open() as stream:
            waiting = asyncio.ensure_future(anext(stream))
            try:
                while True:
                    self.turns += 1
                    await asyncio.wait([waiting], timeout=TICK_S)
                    if waiting.done():
                        try:
                            batch = waiting.result()
                        except StopAsyncIteration:
                            return
                        waiting = asyncio.ensure_future(anext(stream))
                        await self._take(batch)
                    await self._hold_again()
                    self._tell(flush=False)
                    self._look()
                    self._save()
            finally:
                waiting.cancel()
                await asyncio.wait([waiting, *([self._saving] if self._saving is not None else [])], timeout=2.0)
                self._tell(flush=True)

    def rearm(self) -> None:
        self.guard.rearm()
        self._standstill = None
        self._say(Armed())

    def obey(self, told: Told) -> None:
        """What the agent asks."""
        if isinstance(told, Forget):
            if self.guard.memory.forget(told.programme):
                self._learnt = -1  # to be written
        else:
            self.rearm()

    async def _take(self, batch: list[Any]) -> None:
        """A batch of driver events, its readings in the order of their own times."""
        readings: list[tuple[float, float | None, Reading]] = []
        for event in batch:
            self._heard = max(self._heard, event.received.mono)
            if isinstance(event, Reading):
                age = self._ages.setdefault(event.signal, SampleAge()).of(
                    event.source_time, event.received.wall, event.received.mono
                )
                readings.append((event.received.mono - (age or 0.0), age, event))
            elif isinstance(event, Condition):
                if event.level.upper() == "FAULT":
                    self.guard.alarmed()
            elif isinstance(event, Link):
                self._up, self._up_since, self._trouble = event.up, event.received.mono, ""
                if not event.up:
                    self.guard.lost()
                    self._unsent.take()  # once it is back and still above, the guard says `hold` anew
                    self._ages.clear()
                    self._judged = float("-inf")
            elif isinstance(event, Problem):
                self._trouble = event.message_fr
                if event.code == "hold_not_ready":
                    self._hold_not_ready = event.message_fr
            elif isinstance(event, Solved):
                if event.code == "hold_not_ready":
                    self._hold_not_ready = ""
            elif isinstance(event, Heard) and event.received.mono - self._last_reading > _IDLE_HEARD_S:
                # nothing changes, and the machine is there: what is above its limit stays above
                self._judged = max(self._judged, event.received.mono)
                await self._act(self.guard.tick(event.received.mono), event.received.mono, None)
        readings.sort(key=lambda item: item[0])
        for taken, age, reading in readings:
            heard = reading.received.mono
            self._last_reading = max(self._last_reading, heard)
            if reading.signal == self._settings.velocity_signal and self._standstill is not None:
                self._standstill.velocity(
                    taken, heard, reading.value if isinstance(reading.value, (int, float)) else None
                )
            self._judged = max(self._judged, taken)
            verdicts = self.guard.feed(max(taken, self._judged - _BACK_S), reading.signal, reading.value)
            if verdicts:
                await self._act(verdicts, heard, age)

    async def _act(self, verdicts: list[Verdict], heard: float, age: float | None) -> None:
        for verdict in verdicts:
            if verdict.level == "hold" and self._settings.mode == "hold" and self.guard.armed:
                await self._hold(verdict, heard, age)
                continue
            due = verdict.level == "hold"
            outcome: Outcome = "none"
            if self._settings.mode == "shadow" and verdict.level != "watch":
                outcome = "shadow"
            trip = self._trips.add(verdict, outcome)
            trip.age_s, trip.feed = age, self.guard.context.feed
            if due and self._settings.mode == "hold":
                _log.warning("%s: a hold is due and was already commanded: not re-armed yet", verdict.signal)

    async def _hold(self, verdict: Verdict, heard: float, age: float | None) -> None:
        """Feed hold, first of all; everything else afterwards."""
        out = self._mono()
        outcome = await self._command()
        trip = self._trips.add(verdict, outcome)
        trip.age_s, trip.latency_s, trip.feed = age, max(0.0, out - heard), self.guard.context.feed
        trip.tries += 1
        if outcome == "deferred":
            self._sent(out, [(trip, heard), *self._unsent.take()])
        elif outcome == "failed" or self._relay is not None:
            self._unsent.add(trip, heard, self._mono())
            self._say_failing()

    async def _hold_again(self) -> None:
        """A hold that did not pass, once more while it is still due."""
        if self._unsent and self._mono() - self._heard > self._blind_after:
            self._unsent.take()  # who knows whether it is still above
        if self._unsent and self._unsent.due(self._mono()):
            out = self._mono()
            outcome = await self._command(again=True)
            self._unsent.failed(self._mono())
            if outcome == "deferred":
                self._sent(out, self._unsent.take())
        self._say_failing()

    async def _command(self, *, again: bool = False) -> Outcome:
        """Send the hold, by the relay and by the driver. `deferred`: sent, and then the guard is not armed any more."""
        level = logging.DEBUG if again else logging.ERROR
        outcome: Outcome = "deferred"
        by_relay = self._relay is not None and self._close_contact(self._relay)
        try:
            async with asyncio.timeout(self._settings.held_within_s):
                await self._driver.hold()
        except NotAllowedError as error:
            outcome = "refused"
            _log.log(level, "hold refused: %s", error)
        except (DriverFaultError, TimeoutError) as error:
            outcome = "failed"
            _log.log(level, "hold not delivered: %s", error)
        except Exception:  # noqa: BLE001 - whatever a library raises, the trip is told and the guard goes on
            outcome = "failed"
            _log.log(level, "hold not delivered", exc_info=True)
        if outcome == "deferred" or by_relay:
            outcome = "deferred"
            self.guard.armed = False
            self._say(Disarmed())
        return outcome

    def _sent(self, out: float, trips: list[tuple[Trip, float]]) -> None:
        """A hold went out at `out`: all these trips wait for the same standstill."""
        self._standstill = Standstill(out, self._settings.held_within_s, self._settings.standstill)
        for trip, heard in trips:
            trip.outcome, trip.standstill, trip.latency_s = "deferred", self._standstill, max(0.0, out - heard)

    def _say_failing(self) -> None:
        """At once, once, and when it is over: the trip itself is told at the end."""
        if bool(self._unsent) != self._hold_failing:
            self._hold_failing = bool(self._unsent)
            french = "Garde : l'arrêt commandé n'est pas passé, elle réessaie. Arrêter la machine à la main."
            self._say(Noted("guard_hold_failed", french if self._hold_failing else ""))

    @staticmethod
    def _close_contact(relay: Relay) -> bool:
        try:
            relay.close_contact()
        except Exception:  # noqa: BLE001 - a pin that is lost must not keep the driver from holding
            _log.exception("the relay did not close")
            return False
        return True

    def _tell(self, *, flush: bool) -> None:
        for trip, points in self._trips.due(self._mono(), flush=flush):
            self._say(self._tripped(trip, points))

    def _tripped(self, trip: Trip, points: list[Point]) -> Tripped:
        verdict = trip.verdict
        now, wall = self._mono(), datetime.now(UTC)

        def at(ts: float) -> datetime:
            return wall - timedelta(seconds=now - ts)

        start = points[0].ts if points else verdict.ts
        why = verdict.why + (f" ; {trip.others} autres fois depuis" if trip.others else "")
        if verdict.level == "hold" and self._settings.mode == "hold" and trip.latency_s is None:
            why += " ; arrêt déjà commandé : garde à réarmer"
        elif verdict.level == "hold" and self._settings.mode == "alert":
            why += " ; un arrêt serait dû (mode alerte)"
        if trip.tries > 1:
            passed = "n'est pas passé" if trip.standstill is None else "est passé"
            why += f" ; l'arrêt {passed} après {trip.tries} essais"
        return Tripped(
            at(verdict.ts), verdict.level, verdict.signal, verdict.unit, verdict.value, verdict.limit, why,
            trip.outcome, verdict.programme, verdict.tool, _ms(trip.age_s), _ms(trip.latency_s), _ms(trip.stop_s),
            trip.feed, None if trip.travel_mm is None else round(trip.travel_mm, 3), at(start),
            [(max(0, round((p.ts - start) * 1000)), p.value, p.limit) for p in points],
        )  # fmt: skip

    def _look(self) -> None:
        """Say whether it sees; each change once."""
        blind = self._blindness()
        waiting = blind is None and (not self._up or not self.guard.seeing)
        key = blind.code if blind is not None else "watching"
        if not waiting and key != self._seeing:
            self._seeing = key
            self._say(blind or Watching(self.guard.seeing, len(self.guard.memory)))

    def _blindness(self) -> Blind | None:
        now = self._mono()
        quiet, up_for = now - self._heard, now - self._up_since
        expected = self._settings.signals or self.guard.watched
        missing = [name for name in expected if name not in self.guard.seeing]
        if not self._up:
            next_step = self._trouble or "Vérifier son câble et sa mise sous tension."
            french = f"Garde aveugle : pas de liaison avec la machine. {next_step}"
            return Blind("guard_no_link", "no link", french) if up_for > self._blind_after else None
        if quiet > self._blind_after:
            french = f"Garde aveugle : la machine ne dit plus rien depuis {quiet:.0f} s. Vérifier la liaison."
            return Blind("guard_silent", f"nothing heard for {quiet:.1f} s", french)
        if not self.guard.seeing and (up_for > _FIRST_SIGNAL_S or self.guard.watched):
            french = "Garde aveugle : aucune charge ni aucun capteur n'arrive. Vérifier les signaux du pilote."
            return Blind("guard_no_signal", "no guarded signal comes", french)
        if missing and up_for > _FIRST_SIGNAL_S:
            french = f"Garde aveugle sur {', '.join(missing)} : ce signal n'arrive pas. Vérifier le pilote."
            return Blind("guard_signal_missing", f"missing: {', '.join(missing)}", french)
        if self._hold_not_ready and self._settings.mode == "hold" and self._relay is None:
            french = f"La garde voit, mais un arrêt ne passerait pas. {self._hold_not_ready}"
            return Blind("guard_hold_not_ready", "a hold would not pass", french)
        return None

    def _save(self) -> None:
        if self._memory is None or self.guard.learnt_cycles == self._learnt:
            return
        if self._saving is not None and not self._saving.done():
            return
        self._learnt = self.guard.learnt_cycles
        self._saving = asyncio.create_task(self._write(self._memory, self.guard.memory.dumps()), name="learnt limits")

    async def _write(self, path: Path, text: str) -> None:
        """In a thread: a memory card may take a second."""
        try:
            await asyncio.to_thread(write_whole, path, text)
            if self._not_written:
                self._not_written = False
                self._say(Noted("guard_memory", ""))
        except OSError as error:
            self._not_written = True
            _log.error("learnt limits not written: %s", error)
            self._say(
                Noted(
                    "guard_memory",
                    f"Garde : ce qui est appris ne peut être écrit ({error.strerror}). Vérifier le disque.",
                )
            )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


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
