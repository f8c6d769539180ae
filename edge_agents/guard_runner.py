"""One machine's guard at work: readings in, verdicts judged, holds sent and looked after, what happened said."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cnc_bridge.config import MachineSource
from cnc_bridge.guard.acting import Outcome, Relay, SampleAge, Standstill, Trip, Trips, Unsent
from cnc_bridge.guard.core import Guard, Verdict
from cnc_bridge.guard.envelope import write_whole
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
    Armed,
    Blind,
    Disarmed,
    Forget,
    Noted,
    Said,
    Told,
    Tripped,
    Watching,
)

_log = logging.getLogger(__name__)

TICK_S: Final = 0.1
_FIRST_SIGNAL_S: Final = 10.0
_IDLE_HEARD_S: Final = 0.5
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
