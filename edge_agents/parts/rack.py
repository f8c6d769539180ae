"""A watched rack: what its eye says becomes facts, in one transaction with the snapshot behind them.

A person's word (a count, a mode, a move) is on disk before it is answered, and goes with every eye until a snapshot
holds it: a killed eye loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from contracts.control import PartCommand
from edge_agents import rack_messages as messages
from edge_agents.commands import CommandRefusedError
from edge_agents.eyes import Channel, Eyes
from edge_agents.outbox import Fact, FactRefusedError, OutboxError
from edge_agents.parts.pictures import PicturesPart
from edge_agents.parts.rack_facts import RackFacts, french_of, status_of
from edge_agents.parts.rack_obey import RackObeys
from edge_agents.rack_models import DETECTOR, JUDGE, Model, Models
from edge_agents.sections import RackSection
from edge_agents.supervisor import Desk, SourceFault

_log = logging.getLogger(__name__)
_HEARD_KEPT: Final = 100


class RackState(msgspec.Struct, frozen=True):
    """What outlives a restart. `snapshot`: the watcher's own, null before the first."""

    snapshot: msgspec.Raw = msgspec.Raw(b"null")
    pending: list[messages.Correction] = []
    persons: dict[str, str | None] = {}
    """Who said what is pending."""
    mode: messages.RackMode | None = None
    code: str = "ok"
    person: str | None = None
    """Who began the restocking."""
    ended_by: str | None = None
    """Who ended it: its list of differences comes later, in one reading."""
    crops: str | None = None
    model: Model | None = None
    former: Model | None = None
    heard: list[str] = []
    """Ids of the newest words of persons: one that is asked for again (its answer got lost) is not applied again."""
    boot: str = ""
    """The outbox's identity when this was written: another one now says that the outbox went back in time since."""


class SnapshotOutdatedError(Exception):
    """The snapshot that an eye began with is older than what the centre knows."""


class RackPart:
    """Runs the rack's eye in another process. Whatever ends it, the next one compares with the last saved snapshot."""

    kind = "rack"

    def __init__(self, config: RackSection, eyes: Eyes, pictures: PicturesPart, models: Models) -> None:
        self.name = config.name
        self.about: Mapping[str, str] = {"rack": config.name}
        self.config = config
        self.models = models
        self.state = RackState()
        self._eyes = eyes
        self._pictures = pictures
        self._writing = asyncio.Lock()
        self._desk: Desk | None = None
        self._eye: Channel | None = None
        self._answers: dict[str, asyncio.Future[messages.Answer]] = {}
        self._awake = False
        self._is_caught_up = self._is_doubted = False
        self._obeys = RackObeys(self, pictures.centre)

    async def run(self, desk: Desk) -> None:
        async with self._writing:
            self.state = _state(await desk.cursor())
            self._desk = desk
        restating = asyncio.create_task(self._restate_forever(desk), name=f"{self.name} mode")
        try:
            while True:
                try:
                    await self._watch(desk)
                    return
                except SnapshotOutdatedError:
                    _log.warning("%s: the outbox went back in time: the rack is only read out", self.name)
        finally:
            restating.cancel()
            await asyncio.wait([restating])

    async def _watch(self, desk: Desk) -> None:
        """One eye, until its source ends. Raises SnapshotOutdatedError."""
        async with self._writing:  # a person's word comes before the order, or goes to the eye
            self._is_caught_up, self._is_doubted = False, self.state.boot not in ("", desk.outbox.boot)
            eye = self._eye = await self._eyes.open(self._order())
        try:
            while True:
                if await self._take(await eye.receive(), desk):
                    return
        finally:
            self._eye = None
            self._obeys.eye_ended()
            for waiting in self._answers.values():
                waiting.cancel()
            await eye.close()

    def _order(self) -> messages.Order:
        config, state = self.config, self.state
        model, judge = self.files_of(state.model)
        return messages.Order(
            source=config.source,
            rack=str(config.rack),
            fps=config.fps,
            loop=config.loop,
            detector=config.detector,
            model=model,
            judge=judge,
            snapshot=None if bytes(state.snapshot) == b"null" else bytes(state.snapshot),
            trusted=not self._is_doubted,
            pending=state.pending,
            idle_fps=config.idle_fps,
        )

    def files_of(self, model: Model | None) -> tuple[str | None, str | None]:
        """Detector and judge of a version; where it has none (and without one) the configured, or the program's own."""
        configured = None if self.config.model is None else str(self.config.model)
        if model is None:
            return configured, None
        detector, judge = model.file(DETECTOR), model.file(JUDGE)
        if detector is None and judge is None:
            _log.error("%s: the model in %s is gone, the configured one is used", self.name, model.path)
        return detector or configured, judge

    # What the eye says

    async def _take(self, said: messages.Said, desk: Desk) -> bool:
        """Record one message; True when it was the last."""
        match said:
            case messages.Settled():
                await self._record(said, desk)
            case messages.Watching():
                if status_of(self.state.code) in ("ok", "lost"):
                    await desk.works()
                if self._awake:
                    self.tell(messages.Wake(awake=True))
            case messages.Answer():
                waiting = self._answers.pop(said.id, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(said)
                else:
                    self._obeys.said_later(said)
            case messages.Picture():
                self._obeys.picture(said)
            case messages.Gone():
                desk.says("waiting", french_of("lost", self.name))
                await self._record(_blind("lost", said.message, desk), desk)
                await desk.report("lost", "camera_gone", french_of("lost", self.name))
            case messages.Unusable():
                await self._unusable(said, desk)
            case messages.Ended():
                return True
        return False

    async def _record(self, said: messages.Settled, desk: Desk) -> None:
        """Words, snapshot and the corrections that it holds, in one transaction; the pictures are on disk before."""
        facts = RackFacts(self.name, self.config.place or self.name, desk.clock.run)
        bodies: list[Fact] = []
        kept: list[str] = []
        async with self._writing:
            state = self.state
            if state.boot not in ("", desk.outbox.boot) and not (self._is_caught_up or self._is_doubted):
                raise SnapshotOutdatedError
            by = next((state.persons[one] for one in reversed(said.applied) if state.persons.get(one)), None)
            modes: list[messages.ModeIs] = []
            for word in said.words:
                match word:
                    case messages.Change():
                        crops = await self._keep(word, kept, automatic=word.mode == "auto")
                        bodies.append(Fact(facts.change(word, crops), desk.clock.at(word.at)))
                    case messages.Ask():
                        crops = await self._keep(word, kept, automatic=False)
                        bodies.append(Fact(facts.ask(word, crops), desk.clock.at(word.at)))
                    case messages.Read():
                        person = state.ended_by if word.why == "restocked" else by
                        bodies += [Fact(body, desk.clock.at(word.at)) for body in facts.read(word, person)]
                    case messages.ModeIs() if (word.mode, word.code) != (state.mode, state.code):
                        crops = await self._keep(word, kept, automatic=False)
                        person = _who(word.mode, by, state)
                        bodies.append(Fact(facts.mode(word.mode, word.code, person, crops), desk.clock.at(word.at)))
                        state = msgspec.structs.replace(
                            state, mode=word.mode, code=word.code, crops=crops,
                            person=None if word.mode == "counting" else person or state.person,
                        )  # fmt: skip
                        modes.append(word)
                    case messages.ModeIs():
                        modes.append(word)  # no news, but this run has not shown it yet
            state = msgspec.structs.replace(
                state,
                snapshot=msgspec.Raw(said.snapshot) if said.snapshot else state.snapshot,
                pending=[one for one in state.pending if one.id not in said.applied],
                persons={one: who for one, who in state.persons.items() if one not in said.applied},
                boot=desk.outbox.boot if said.snapshot else state.boot,
            )
            try:
                await desk.put(bodies, state)
            except (OutboxError, FactRefusedError):  # nothing was written; when cancelled it may have been
                for crops in kept:
                    await self._pictures.drop(crops)
                raise
            self.state = state
            self._is_caught_up = self._is_caught_up or any(not isinstance(w, messages.ModeIs) for w in said.words)
        if kept:
            self._pictures.bring()
        for word in modes:
            await self._show(word, desk)

    async def _keep(
        self, word: messages.Change | messages.Ask | messages.ModeIs, kept: list[str], *, automatic: bool
    ) -> str | None:
        wanted = self.config.pictures
        if wanted == "none" or (wanted == "doubtful" and automatic):
            return None
        crops = await self._pictures.keep(word.before, word.after, word.at, automatic=automatic)
        if crops is not None:
            kept.append(crops)
        return crops

    async def _show(self, word: messages.ModeIs, desk: Desk) -> None:
        """The camera's trouble as the source's, beside the mode."""
        french = french_of(word.code, self.name)
        trouble = status_of(word.code)
        if trouble == "ok":
            desk.says("running", "" if word.mode == "counting" else french if word.mode == "blind" else "Rangement.")
            await desk.report("ok", "ok", french_of("ok", self.name))
        elif word.code != "lost":  # the camera's own word says that
            desk.says("waiting", french)
            await desk.report(trouble, word.code, french)

    async def _unusable(self, said: messages.Unusable, desk: Desk) -> None:
        if said.code == "detector" and self.state.model is not None:
            _log.error("%s: its model %s cannot be loaded, back to the one before", self.name, self.state.model.path)
            former = None if self.state.former == self.state.model else self.state.former
            await self.remember(model=former, former=None)
        await self._record(_blind("lost", said.message, desk), desk)
        raise SourceFault(said.code, said.message, said.french, "error")

    async def _restate_forever(self, desk: Desk) -> None:
        """State again how the rack is watched, whenever the centre came back."""
        while True:
            await desk.present.wait()
            desk.present.clear()
            state = self.state
            if state.mode is None:
                continue
            facts = RackFacts(self.name, self.config.place or self.name, desk.clock.run)
            body = facts.mode(state.mode, state.code, state.person, state.crops, repeated=True)
            try:
                await desk.put([Fact(body)])
                await desk.restate()
            except OutboxError as error:
                _log.warning("%s: its mode could not be stated again: %s", self.name, error)

    # What a person says

    async def obey(self, command: PartCommand) -> str:
        """Raises CommandRefusedError."""
        return await self._obeys.obey(command)

    def wake(self, *, awake: bool) -> None:
        """A beam or a door at this rack opened or closed."""
        self._awake = awake
        self.tell(messages.Wake(awake))

    async def remember(self, **changes: Any) -> None:
        """Write the part's state. Raises OutboxError, CommandRefusedError before the first start."""
        if self._desk is None:
            raise CommandRefusedError(f"« {self.name} » démarre : recommencer dans un instant.")
        async with self._writing:
            state = msgspec.structs.replace(self.state, **changes)
            await self._desk.put([], state)
            self.state = state

    async def correct(self, correction: messages.Correction, person: str | None) -> bool:
        """Keep a person's word, and tell the eye; whether there is one."""
        if self._desk is None:
            raise CommandRefusedError(f"« {self.name} » démarre : recommencer dans un instant.")
        async with self._writing:
            if correction.id in self.state.heard:
                return self._eye is not None
            ends = isinstance(correction, messages.BeMode) and correction.mode == "counting"
            state = msgspec.structs.replace(
                self.state,
                ended_by=person if ends else self.state.ended_by,
                pending=[*self.state.pending, correction],
                persons=self.state.persons | {correction.id: person},
                heard=[*self.state.heard[1 - _HEARD_KEPT :], correction.id],
            )
            await self._desk.put([], state)
            self.state = state
            return self.tell(correction)

    def tell(self, message: messages.Told) -> bool:
        """Send it to the eye; false when there is none now."""
        return self._eye is not None and self._eye.send(message)

    async def ask(self, message: messages.BeTaught | messages.UseModel, patience: float) -> messages.Answer | None:
        """What the eye answers; None: there is none, it died of it, or it was silent for too long."""
        waiting: asyncio.Future[messages.Answer] = asyncio.get_running_loop().create_future()
        self._answers[message.id] = waiting
        try:
            if not self.tell(message):
                return None
            done, _ = await asyncio.wait([waiting], timeout=patience)
            return waiting.result() if done and not waiting.cancelled() else None
        finally:
            self._answers.pop(message.id, None)


def _who(mode: messages.RackMode, by: str | None, state: RackState) -> str | None:
    """Whose word the mode follows: nobody makes a rack blind."""
    if mode == "restocking":
        return by or state.person
    return state.ended_by if mode == "counting" and state.mode == "restocking" else None


def _blind(code: str, detail: str, desk: Desk) -> messages.Settled:
    return messages.Settled([messages.ModeIs("blind", code, detail, desk.clock.now().wall)], b"")


def _state(saved: bytes | None) -> RackState:
    if saved is None:
        return RackState()
    try:
        state = msgspec.json.decode(saved, type=RackState)
    except msgspec.MsgspecError as error:
        _log.error("the saved state of a rack cannot be read, it is learnt anew: %s", error)
        return RackState()
    return state
