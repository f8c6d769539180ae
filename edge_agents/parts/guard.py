"""A guarded machine: what its guard process says becomes ``machine.guard``; a blind guard is a lost source."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from cnc_bridge.config import MachineSource
from cnc_bridge.guard.settings import GuardSettings
from contracts.control import RearmGuard
from contracts.facts import GuardRearmed, GuardTripped
from edge_agents import guard_messages as messages
from edge_agents.commands import CommandRefusedError
from edge_agents.config import guard_name
from edge_agents.outbox import Fact, OutboxError, OutboxFullError
from edge_agents.supervisor import Desk, SourceFault

_log = logging.getLogger(__name__)
_decoder: msgspec.msgpack.Decoder[messages.Said] = msgspec.msgpack.Decoder(messages.Said)
_LIMIT = 4 * 1024 * 1024
_MAX_POINTS = 700
_START_S = 120.0
_MUTE_S = 30.0
"""A guard says every other second that it turns; besides the time that a hold may take, this is more than a busy Pi."""
_LEAVE_S = 2.0


class GuardState(msgspec.Struct, frozen=True):
    """What outlives a restart: after a hold the guard stays disarmed until a person re-arms it."""

    armed: bool = True


class GuardPart:
    """Runs the machine's guard as its own process, and starts another when it ends."""

    kind = "guard"

    def __init__(self, source: MachineSource, directory: Path) -> None:
        """`directory`: where the learnt limits are kept, unless the configuration says where."""
        self.name = guard_name(source.machine.id)
        self.about: Mapping[str, str] = {"machine": source.machine.id}
        self._machine = source.machine.id
        self._tables = tables(source)
        guard = source.machine.guard or GuardSettings()
        self._held_within_s, self._limits, self._learns = guard.held_within_s, bool(guard.limits), guard.learn
        self._memory = guard.memory or directory / f"guard-{source.machine.id}.json"
        self._state = GuardState()
        self._desk: Desk | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._blind = False
        self._to_forget: list[str] = []

    async def run(self, desk: Desk) -> None:
        saved = await desk.cursor()
        if saved is not None:
            self._state = msgspec.json.decode(saved, type=GuardState)
        self._desk = desk
        order = messages.Order(self._tables, str(self._memory), self._state.armed)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge_agents.guard_process",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        try:
            _send(process, order)
            while self._to_forget:
                _send(process, messages.Forget(self._to_forget.pop()))
            patience = _START_S
            while True:
                await self._take(await self._hear(process.stdout, patience), desk)
                patience = _MUTE_S + self._held_within_s
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            code = await process.wait()
            raise SourceFault(
                "guard_died",
                f"the guard of {self._machine} died (exit code {code})",
                "Garde arrêtée brutalement : elle redémarre. Si cela se répète, transmettre le journal de l'agent.",
                "error",
            ) from error
        finally:
            self._process = None
            if process.returncode is None:
                await self._take_leave(process, desk)

    async def _hear(self, pipe: asyncio.StreamReader, patience: float) -> messages.Said:
        """What the process says next; it says at least that it turns. Raises SourceFault when it is stuck."""
        try:
            async with asyncio.timeout(patience):
                return await _next(pipe)
        except TimeoutError as error:
            raise SourceFault(
                "guard_stuck",
                f"the guard of {self._machine} said nothing for {patience:.0f} s",
                "Garde bloquée : elle redémarre. Si cela se répète, transmettre le journal de l'agent.",
                "error",
            ) from error

    async def _take_leave(self, process: asyncio.subprocess.Process, desk: Desk) -> None:
        """Close its input, write down the trips that it still tells, and end it."""
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.close()
            async with asyncio.timeout(_LEAVE_S):
                while True:
                    await self._take(await _next(process.stdout), desk)
        except (asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            pass  # it is gone, or has nothing more to say
        except (OutboxError, SourceFault, msgspec.DecodeError) as error:
            _log.error("%s: its last words were not written: %s", self.name, error)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def rearm(self, command: RearmGuard) -> str:
        """A person lets the guard hold again; kept, also when the process is not there now."""
        if self._desk is None:
            raise CommandRefusedError(f"La garde de « {self._machine} » démarre : recommencer dans un instant.")
        was_armed = self._state.armed
        body = GuardRearmed(machine=self._machine, person=command.person, command=command.id[:120] or None)
        await self._desk.put([Fact(body)], GuardState(armed=True))
        self._state = GuardState(armed=True)
        if self._process is not None:
            _send(self._process, messages.Rearm())
        self._show()
        return "Garde déjà armée." if was_armed else "Garde réarmée."

    def forget(self, programme: str) -> None:
        """A programme was sent, or found changed at the machine: what its good cycles taught counts no more."""
        if self._process is not None:
            _send(self._process, messages.Forget(programme))
        elif programme not in self._to_forget:
            self._to_forget.append(programme)

    async def _take(self, said: messages.Said, desk: Desk) -> None:
        match said:
            case messages.Alive():
                pass
            case messages.Tripped():
                try:
                    await desk.put([Fact(self._fact(said), desk.clock.at(said.at))])
                except OutboxFullError as error:  # a guard that goes on matters more than its trip
                    _log.error("%s: %s on %s is not recorded: %s", self.name, said.level, said.signal, error)
            case messages.Disarmed():
                self._state = GuardState(armed=False)
                await desk.put([], self._state)
                self._show()
            case messages.Armed():
                if not self._state.armed:  # its last word: what it said before it heard of the re-arming is over
                    self._state = GuardState(armed=True)
                    await desk.put([], self._state)
                self._show()
            case messages.Watching():
                self._blind = False
                await desk.report("ok", "ok", self._watching(said))
                self._show()
            case messages.Blind():
                self._blind = True
                desk.says("waiting", said.french)
                await desk.report("lost", said.code, said.french)
            case messages.Noted():
                if said.french:
                    await desk.report("error", said.code, said.french)
                else:
                    await desk.report("ok", said.code, "Résolu.")
            case messages.Unusable():
                raise SourceFault(said.code, said.message, said.french, "error")

    def _watching(self, said: messages.Watching) -> str:
        sees = f"La garde voit : {', '.join(said.signals)}"
        if said.envelopes or self._limits:
            return f"{sees}."
        if self._learns:
            return f"{sees} ; sans limite encore : elle ne juge rien avant ses premiers cycles bons."
        return f"{sees}, mais n'a aucune limite : elle ne juge rien. Donner `limits` dans [machine.guard]."

    def _show(self) -> None:
        if self._desk is not None and not self._blind:
            self._desk.says("running", "" if self._state.armed else "Arrêt commandé : à réarmer par une personne.")

    def _fact(self, said: messages.Tripped) -> GuardTripped:
        points = _thinned(said.points)
        return GuardTripped(
            machine=self._machine,
            level=said.level,
            signal=said.signal[:120],
            unit=said.unit,
            value=said.value,
            limit=said.limit,
            why=said.why[:2000],
            outcome=said.outcome,
            programme=(said.programme or "")[:120] or None,
            tool=(said.tool or "")[:120] or None,
            sample_age_ms=said.sample_age_ms,
            latency_ms=said.latency_ms,
            stop_ms=said.stop_ms,
            feed=said.feed,
            travel_mm=said.travel_mm,
            t0=said.t0,
            dt=[ms for ms, _, _ in points],
            v=[value for _, value, _ in points],
            high=[limit for _, _, limit in points],
        )


def tables(source: MachineSource) -> dict[str, Any]:
    """The machine's configuration for its guard: the guard's own driver settings over the machine's."""
    guard = source.machine.guard
    driver = _plain(source.driver.model_dump(exclude_unset=True))
    return {
        "machine": _plain(source.machine.model_dump(exclude_unset=True)),
        "driver": {**driver, **(guard.driver if guard is not None else {}), "kind": source.driver.kind},
    }


def _plain(value: Any) -> Any:
    """As a configuration file would write it. The password goes through the pipe of our own child, nowhere else."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _thinned(points: list[tuple[int, float, float | None]]) -> list[tuple[int, float, float | None]]:
    """At most `_MAX_POINTS`: a fact is at most 64 KiB. Of neighbours the higher stays."""
    while len(points) > _MAX_POINTS:
        points = [max(points[at : at + 2], key=lambda point: point[1]) for at in range(0, len(points), 2)]
    return points


def _send(process: asyncio.subprocess.Process, message: messages.Order | messages.Told) -> None:
    assert process.stdin is not None
    process.stdin.write(messages.framed(message))


async def _next(pipe: asyncio.StreamReader) -> messages.Said:
    length = int.from_bytes(await pipe.readexactly(4), "big")
    if length > _LIMIT:
        raise msgspec.DecodeError(f"the guard sent a message of {length} bytes")
    return _decoder.decode(await pipe.readexactly(length))
