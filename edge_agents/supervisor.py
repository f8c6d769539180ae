"""Keeps the agent's parts running: each alone, restarted alone, and never silent about why it does not run.

Decision: a part is a task of the agent's event loop, and what takes processor time leaves it. Rack vision runs in a
process of its own (:mod:`edge_agents.rack_eye`), so that a crash of a native library or a long computation costs that
rack and nothing else; decoding a scanned photo, short and mostly native, runs in a thread. A process for each part
would cost 40 MB each on a Pi and put the outbox behind another protocol.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from contracts.control import PartState, PartStatus
from contracts.facts import SourceStatus
from edge_agents.link import Backoff
from edge_agents.outbox import Fact, Outbox, OutboxError

_log = logging.getLogger(__name__)

CLOSE_WITHIN_S = 5.0
_STEADY_S = 60.0
Trouble = Literal["ok", "lost", "covered", "moved", "full", "error", "dark", "frozen", "dirty"]


class SourceFault(Exception):
    """The source does not answer or cannot be used. `french` says what failed and the next step; it is tried again."""

    def __init__(self, code: str, message: str, french: str, status: Trouble = "lost") -> None:
        super().__init__(message)
        self.code = code
        self.french = french
        self.status = status


class Part(Protocol):
    """A source of facts. `run` ends when there is nothing more to come, raises when it cannot go on."""

    name: str
    kind: str
    about: Mapping[str, str]
    """`machine` or `rack` of its status facts."""

    async def run(self, desk: Desk) -> None: ...


class Desk:
    """What a part may use: its place in the outbox, the clock, and its status for all to see."""

    def __init__(self, part: Part, outbox: Outbox, changed: Callable[[], None]) -> None:
        self.outbox = outbox
        self.clock = outbox.clock
        self.present = asyncio.Event()
        """Set when the centre has just become present: time to state again how things are."""
        self.state = PartState(name=part.name, kind=part.kind, status="starting", since=self._now())
        self._part = part
        self._changed = changed
        self._reported = ""  # the first time that the source answers is said too: the last run may have ended lost
        self._status: SourceStatus | None = None
        self._cursor = f"{part.kind}:{part.name}"

    def _now(self) -> datetime:
        return self.clock.now().wall

    async def put(self, new: Sequence[Fact], cursor: Any = None) -> None:
        """Write facts and this part's cursor (None leaves it) in one transaction. Raises OutboxError."""
        await self.outbox.put(new, None if cursor is None else {self._cursor: cursor})

    async def cursor(self) -> bytes | None:
        """JSON of this part's saved cursor."""
        return await self.outbox.cursor(self._cursor)

    def says(self, status: PartStatus, detail: str = "") -> None:
        """How the part is, in the agent's state."""
        if (status, detail) != (self.state.status, self.state.detail):
            same = status == self.state.status
            self.state = PartState(
                name=self.state.name, kind=self.state.kind, status=status, detail=detail[:300],
                since=self.state.since if same else self._now(), restarts=self.state.restarts,
            )  # fmt: skip
            self._changed()

    def restarted(self) -> None:
        state = self.state
        self.state = PartState(
            name=state.name, kind=state.kind, status=state.status, detail=state.detail, since=state.since,
            restarts=state.restarts + 1,
        )  # fmt: skip

    async def report(self, status: Trouble, code: str, message: str = "") -> None:
        """A ``source.status`` fact, when it differs from the one before."""
        key = "ok" if status == "ok" else f"{status} {code}"
        if key == self._reported:
            return
        body = SourceStatus(
            source=self.state.name, status=status, code=code, message=message[:2000], **self._part.about
        )
        try:
            await self.put([Fact(body)])
            self._reported, self._status = key, body
        except OutboxError as error:
            _log.error("%s: its status %s could not be written: %s", self.state.name, key, error)

    async def restate(self) -> None:
        """The last ``source.status`` again. Raises OutboxError."""
        if self._status is not None:
            await self.put([Fact(self._status)])

    async def works(self) -> None:
        """The source answers."""
        self.says("running")
        await self.report("ok", "ok", "La source répond.")


class Supervisor:
    """Runs parts until cancelled. `changed` is called whenever a part's state does."""

    def __init__(self, parts: Sequence[Part], outbox: Outbox, changed: Callable[[], None] = lambda: None) -> None:
        self.changed = changed
        self._parts = {part.name: part for part in parts}
        self._desks = {part.name: Desk(part, outbox, self._state_changed) for part in parts}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def states(self) -> list[PartState]:
        return [desk.state for desk in self._desks.values()]

    def part(self, name: str) -> Part | None:
        return self._parts.get(name)

    def _state_changed(self) -> None:
        self.changed()

    def centre_present(self) -> None:
        """Have the parts state again how things are."""
        for desk in self._desks.values():
            desk.present.set()

    def start(self) -> None:
        for name in self._parts:
            self._start(name)

    async def restart(self, name: str) -> bool:
        """Stop one part and start it again. False when there is none of that name."""
        if name not in self._parts:
            return False
        await self._stop([name])
        self._desks[name].restarted()
        self._start(name)
        return True

    async def stop(self) -> None:
        """Stop all parts; those that do not end within `CLOSE_WITHIN_S` are left to the end of the process."""
        await self._stop(list(self._tasks))

    def _start(self, name: str) -> None:
        self._tasks[name] = asyncio.create_task(self._keep(self._parts[name], self._desks[name]), name=name)

    async def _stop(self, names: list[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names if name in self._tasks]
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=CLOSE_WITHIN_S)
        for task in late:
            _log.error("part %s did not stop within %s s", task.get_name(), CLOSE_WITHIN_S)
        for name in names:
            self._desks[name].says("stopped")

    async def _keep(self, part: Part, desk: Desk) -> None:
        backoff = Backoff(0.5, 30.0)
        while True:
            began = desk.clock.now().mono
            desk.says("starting", desk.state.detail)
            try:
                await part.run(desk)
                desk.says("stopped", "Source terminée.")
                return
            except SourceFault as fault:
                _log.warning("%s: %s", part.name, fault)
                desk.says("waiting", fault.french)
                await desk.report(fault.status, fault.code, fault.french)
            except OutboxError as error:
                _log.error("%s: %s", part.name, error)
                desk.says("failed", error.french)
            except Exception as error:  # noqa: BLE001 - whatever a part raises must not end the others
                _log.exception("%s crashed", part.name)
                french = f"Erreur imprévue ({type(error).__name__}) : redémarrage en cours, transmettre le journal."
                desk.says("failed", french)
                await desk.report("error", "crashed", french)
            desk.restarted()
            if desk.clock.now().mono - began > _STEADY_S * 1000:
                backoff.reset()
            await asyncio.sleep(backoff.delay())
