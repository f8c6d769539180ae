"""A machine: what `cnc_bridge` follows becomes facts, in one transaction with the tracker's state behind them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from datetime import datetime

import msgspec

from cnc_bridge import tracking
from cnc_bridge.config import MachineSource
from cnc_bridge.follow import Following, Step, follow
from contracts import facts
from contracts.control import PartCommand, ReadProgramme, RearmGuard, SendProgramme
from edge_agents.commands import CommandRefusedError
from edge_agents.outbox import Fact, OutboxError, OutboxFullError
from edge_agents.parts.guard import GuardPart
from edge_agents.parts.programmes import Exchange, Programmes
from edge_agents.parts.samples import sample_facts
from edge_agents.supervisor import Desk, Trouble

_log = logging.getLogger(__name__)

_RESTATE_AFTER_S = 2.0
"""Time for a controller that just connected to say how it is."""


class MachinePart:
    """Follows one controller; the driver reconnects by itself and says so."""

    kind = "machine"

    def __init__(
        self,
        source: MachineSource,
        exchange: Exchange = Exchange(),  # noqa: B008 - it is immutable
        guard: GuardPart | None = None,
    ) -> None:
        self.name = source.machine.id
        self._guard = guard
        self._exchange = exchange
        self._programmes: Programmes | None = None
        self.about: Mapping[str, str] = {"machine": self.name}
        self._source = source
        self._state = tracking.TrackerState()
        self._unwritten = False
        self._connected = asyncio.Event()
        self._troubles: dict[tuple[str, str], tracking.SourceTrouble] = {}
        """What is not over, by code and subject: the centre keeps one status of a source, the newest."""

    async def run(self, desk: Desk) -> None:
        self._troubles.clear()
        saved = await desk.cursor()
        if saved is not None:
            self._state = msgspec.json.decode(saved, type=tracking.TrackerState)
        desk.says("waiting", "Connexion à la machine en cours.")
        driver = self._source.create_driver()
        async with follow(self._source, self._state if saved is not None else None, driver=driver) as following:
            restating = asyncio.create_task(self._restate_forever(desk), name=f"{self.name} state")
            self._programmes = Programmes(self.name, driver, following, desk, self._exchange, self._programme_changed)
            watching = asyncio.create_task(self._programmes.watch(), name=f"{self.name} programmes")
            try:
                async for step in following.steps():
                    await self._record(step, desk)
            finally:
                self._programmes = None
                for task in (restating, watching):
                    task.cancel()
                await asyncio.wait([restating, watching])
                await self._close(following, desk)
        raise RuntimeError(f"the driver of {self.name} ended")

    def _programme_changed(self, programme: str) -> None:
        if self._guard is not None:
            self._guard.forget(programme)

    async def obey(self, command: PartCommand) -> str:
        """Programmes to and from the machine, its guard re-armed. Raises CommandRefusedError."""
        if isinstance(command, RearmGuard):
            if self._guard is None:
                raise CommandRefusedError(f"« {self.name} » n'a pas de garde.")
            return await self._guard.rearm(command)
        if not isinstance(command, SendProgramme | ReadProgramme):
            raise CommandRefusedError(f"« {self.name} » n'accepte pas cette commande.")
        if self._programmes is None:
            raise CommandRefusedError(f"« {self.name} » démarre : recommencer dans un instant.")
        return await self._programmes.obey(command)

    async def _record(self, step: Step, desk: Desk) -> None:
        self._state = step.state
        self._unwritten = True
        samples = self._samples(step, desk)
        others = [fact for event in step.events if (fact := self._fact(event, desk)) is not None]
        try:
            await desk.put([*others, *samples], step.state)
        except OutboxFullError:
            if not samples:
                raise
            _log.warning("%s: %s blocks of samples given up, the outbox is full", self.name, len(samples))
            await desk.put(others, step.state)
        self._unwritten = False
        for event in step.events:
            if isinstance(event, tracking.SourceTrouble):
                self._show(event, desk)

    def _show(self, event: tracking.SourceTrouble, desk: Desk) -> None:
        if event.status == "ok":
            desk.says("running")
            self._connected.set()
        elif event.status == "lost" or desk.state.status != "running":
            desk.says("waiting", event.message_fr)

    async def _restate_forever(self, desk: Desk) -> None:
        """State again how the machine is, whenever the controller or the centre came back."""
        while True:
            waits = [asyncio.create_task(event.wait()) for event in (self._connected, desk.present)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            await asyncio.sleep(_RESTATE_AFTER_S)
            self._connected.clear()
            desk.present.clear()
            try:
                await desk.put([Fact(self._state_fact(self._state, repeated=True))])
            except OutboxError as error:
                _log.warning("%s: its state could not be stated again: %s", self.name, error)

    async def _close(self, following: Following, desk: Desk) -> None:
        """Samples that were still gathering; not over a step that failed, whose facts the cursor must not skip."""
        step = following.rest()
        if step.events and not self._unwritten:
            with contextlib.suppress(OutboxFullError):
                others = [fact for event in step.events if (fact := self._fact(event, desk))]
                await desk.put([*others, *self._samples(step, desk)], step.state)

    def _samples(self, step: Step, desk: Desk) -> list[Fact]:
        ready = [event for event in step.events if isinstance(event, tracking.SamplesReady)]
        return [Fact(body, desk.clock.at(body.t0)) for body in sample_facts(self.name, ready)] if ready else []

    def _state_fact(self, state: tracking.TrackerState, *, repeated: bool) -> facts.MachineStateChanged:
        return facts.MachineStateChanged(
            machine=self.name,
            state=state.state,
            execution=state.execution or None,
            programme=state.programme or None,
            tool=state.tool or None,
            repeated=repeated,
        )

    def _fact(self, event: tracking.Event, desk: Desk) -> Fact | None:
        body = self._body(event)
        if body is None:
            return None
        return Fact(body, desk.clock.at(_time_of(event)))

    def _body(self, event: tracking.Event) -> msgspec.Struct | None:
        name = self.name
        match event:
            case tracking.StateChanged() | tracking.ContextChanged():
                return facts.MachineStateChanged(
                    machine=name,
                    state=event.state,
                    execution=_short(event.execution),
                    programme=_short(event.programme),
                    tool=_short(event.tool),
                    detail=event.detail[:2000] if isinstance(event, tracking.StateChanged) else "",
                )
            case tracking.PartsCounted():
                return facts.PartsCounted(
                    machine=name,
                    first=event.first,
                    last=event.last,
                    delta=event.delta,
                    programme=_short(event.programme),
                    reset=event.reset,
                    during_absence=event.during_absence,
                )
            case tracking.CycleEnded():
                return facts.CycleEnded(
                    machine=name,
                    programme=_short(event.programme),
                    began=event.began,
                    completed=event.completed,
                    uncertain=event.uncertain,
                )
            case tracking.AlarmRaised() | tracking.AlarmCleared():
                return facts.MachineAlarm(
                    machine=name,
                    code=_short(event.code) or "?",
                    text=event.text[:2000],
                    severity="warning" if event.severity == "warning" else "fault",
                    active=isinstance(event, tracking.AlarmRaised),
                )
            case tracking.SamplesReady():
                return None  # with its likes, in `_samples`
            case tracking.SourceTrouble():
                if event.status == "lost":
                    self._troubles.clear()
                elif event.status == "error":
                    self._troubles[event.code, event.about] = event
                elif self._troubles:
                    return self._still_troubled()
                status: Trouble = "ok" if event.status == "ok" else "lost" if event.status == "lost" else "error"
                return self._status_fact(status, event.code, event.message_fr)
            case tracking.TroubleOver():
                self._troubles.pop((event.code, event.about), None)
                if self._troubles:
                    return self._still_troubled()
                return self._status_fact("ok", event.code, f"Résolu : {event.about}" if event.about else "Résolu.")

    def _still_troubled(self) -> facts.SourceStatus:
        """One trouble less is no all-clear: the newest of the others is stated again."""
        last = next(reversed(self._troubles.values()))
        return self._status_fact("error", last.code, last.message_fr)

    def _status_fact(self, status: Trouble, code: str, message: str) -> facts.SourceStatus:
        return facts.SourceStatus(
            source=self.name, status=status, code=_short(code) or "?", message=message[:2000], machine=self.name
        )


def _time_of(event: tracking.Event) -> datetime:
    if isinstance(event, tracking.SamplesReady):
        return event.t0
    return event.ended if isinstance(event, tracking.CycleEnded) else event.at


def _short(text: str | None) -> str | None:
    """Text of a controller as a fact may hold it."""
    return (text or "")[:120] or None
