"""Commands of the centre: each obeyed once, never after its time, always answered by a fact."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol, TypeAlias

import msgspec

from contracts.control import PART_COMMANDS, PartCommand, Restart, Wipe, part_of
from contracts.facts import AgentAnswered
from edge_agents.outbox import Fact, Outbox, OutboxError
from edge_agents.supervisor import Supervisor

_log = logging.getLogger(__name__)

Command: TypeAlias = Restart | Wipe | PartCommand
COMMANDS: dict[str, type[Command]] = {"restart": Restart, "wipe": Wipe, **PART_COMMANDS}
NAME_OF = {form: name for name, form in COMMANDS.items()}

_ANSWERED = "commands"
_ANSWERS_KEPT = 50


class CommandRefusedError(Exception):
    """The part will not do it. The text is French, for the person who asked."""


class Obedient(Protocol):
    """A part that takes commands."""

    async def obey(self, command: PartCommand) -> str:
        """Do it; what came of it, in French. Raises CommandRefusedError."""
        ...


class Commands:
    """Takes commands as they arrive; those that last (a programme on a slow line) do not hold up the others."""

    def __init__(self, supervisor: Supervisor, outbox: Outbox) -> None:
        self._supervisor = supervisor
        self._outbox = outbox
        self._running: dict[str, asyncio.Task[None]] = {}
        self._writing = asyncio.Lock()
        self.wiping = asyncio.Event()
        """The centre wants everything here gone, and was told so."""

    def take(self, command: Command) -> None:
        if command.id not in self._running:
            task = asyncio.create_task(self._obey(command), name=f"command {command.id}")
            self._running[command.id] = task
            task.add_done_callback(lambda _: self._running.pop(command.id, None))

    async def close(self) -> None:
        """What is under way is broken off: the centre sees no answer, and asks again if it still wants it."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _obey(self, command: Command) -> None:
        if command.id in await self._answered():
            return
        if self._outbox.clock.centre_now() > command.expires:
            done, detail = False, "Commande reçue trop tard : rien n'a été fait."
        else:
            try:
                done, detail = True, await self._do(command)
            except CommandRefusedError as refusal:
                done, detail = False, str(refusal)
            except Exception as error:  # noqa: BLE001 - whatever a part raises, the person who asked gets an answer
                _log.exception("command %s failed", command.id)
                done, detail = False, f"Erreur imprévue ({type(error).__name__}) : transmettre le journal de l'agent."
        answer = AgentAnswered(command=NAME_OF[type(command)], id=command.id, done=done, detail=detail[:2000])
        try:
            async with self._writing:
                kept = [*(await self._answered())[-_ANSWERS_KEPT:], command.id]
                await self._outbox.put([Fact(answer)], {_ANSWERED: kept})
        except OutboxError as error:
            _log.error("answer to command %s not written: %s", command.id, error)
        if done and isinstance(command, Wipe):
            self.wiping.set()

    async def _do(self, command: Command) -> str:
        if isinstance(command, Restart):
            if not await self._supervisor.restart(command.part):
                raise CommandRefusedError(f"Cet agent n'a pas de partie « {command.part} ».")
            return ""
        if isinstance(command, Wipe):
            waiting = (at := await self._outbox.position("facts")).last - at.acked
            if waiting > 0 and not command.force:
                raise CommandRefusedError(f"{waiting} faits attendent encore le centre : rien n'a été effacé.")
            return "L'agent efface sa clé, ses faits et ses images."
        name = part_of(command)
        part = self._supervisor.part(name)
        if part is None:
            raise CommandRefusedError(f"Cet agent n'a ni machine ni rack « {name} ».")
        obey = getattr(part, "obey", None)
        if obey is None:
            raise CommandRefusedError(f"« {name} » n'accepte pas cette commande.")
        said: str = await obey(command)
        return said

    async def _answered(self) -> list[str]:
        saved = await self._outbox.cursor(_ANSWERED)
        return [] if saved is None else msgspec.json.decode(saved, type=list[str])
