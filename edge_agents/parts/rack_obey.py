"""What a rack does at a person's word: counts, modes, a new description, its picture, another model."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts import racks
from contracts.control import (
    PartCommand,
    SetRackMode,
    SetRackModel,
    SetSlotCount,
    SettleMove,
    ShowRack,
    TeachRack,
)
from edge_agents import rack_messages as messages
from edge_agents.centre_http import CentreHttp, CentreUnavailableError
from edge_agents.commands import CommandRefusedError
from edge_agents.files import write_durably
from edge_agents.rack_models import Model, ModelRefusedError

if TYPE_CHECKING:
    from edge_agents.parts.rack import RackPart

_log = logging.getLogger(__name__)

MAX_DESCRIPTION: Final = 1024 * 1024
_MOST_COUNT: Final = 1000
_TEACH_S: Final = 10.0
_TRIAL_S: Final = 60.0
_PICTURE_S: Final = 15.0
_WATCHED_AT_MOST_S: Final = 600.0
_VAIN_PICTURES: Final = 3


class RackObeys:
    """The commands of one rack."""

    def __init__(self, part: RackPart, centre: CentreHttp) -> None:
        self._part = part
        self._centre = centre
        self._turn = asyncio.Lock()
        self._shows: dict[str, _Showing] = {}

    async def obey(self, command: PartCommand) -> str:
        """Do it; what came of it, in French. Raises CommandRefusedError, OutboxError."""
        match command:
            case SetSlotCount():
                return await self._count(command)
            case SetRackMode():
                told = await self._part.correct(messages.BeMode(command.id, command.mode), command.person)
                what = "Rangement commencé" if command.mode == "restocking" else "Comptage repris"
                return _when(f"{what}.", told)
            case SettleMove():
                told = await self._part.correct(messages.HaveMoved(command.id, command.accept), command.person)
                what = (
                    "Nouvelle position acceptée." if command.accept else "Refusé : remettre la caméra ou réapprendre."
                )
                return _when(what, told)
            case TeachRack():
                async with self._turn:
                    return await self._teach(command)
            case SetRackModel():
                async with self._turn:
                    return await self._model(command)
            case ShowRack():
                return await self._show(command)
        raise CommandRefusedError(f"« {self._part.name} » n'accepte pas cette commande.")

    async def _count(self, command: SetSlotCount) -> str:
        place = self._part.config.place or self._part.name
        slot = command.slot.removeprefix(f"{place}/")
        known = await asyncio.to_thread(_slots_of, self._part.config.rack)
        if slot not in known:
            raise CommandRefusedError(f"Le rack « {self._part.name} » n'a pas de place « {slot} ».")
        if not 0 <= command.count <= _MOST_COUNT:
            raise CommandRefusedError(f"{command.count} pièces : entre 0 et {_MOST_COUNT}.")
        told = await self._part.correct(messages.HaveCount(command.id, slot, command.count), command.person)
        return _when(f"{slot} : {command.count}.", told)

    # Teaching

    async def _teach(self, command: TeachRack) -> str:
        if not 0 < command.size <= MAX_DESCRIPTION:
            raise CommandRefusedError(f"La description fait {command.size} octets : {MAX_DESCRIPTION} au plus.")
        try:
            content = await self._centre.fetch(command.path, command.sha256, command.size)
            description = racks.parse(content)
        except CentreUnavailableError as error:
            raise CommandRefusedError(f"Description pas reçue, l'ancienne reste. {error}") from error
        except racks.RackDescriptionError as error:
            raise CommandRefusedError(f"Description refusée, l'ancienne reste : {error}.") from error
        small = [
            slot.id
            for slot in description.slots
            if slot.kind is racks.SlotKind.COUNTABLE
            and slot.px_per_item is not None
            and slot.px_per_item < racks.MIN_PX_PER_ITEM
        ]
        if small:
            raise CommandRefusedError(
                f"Trop petits pour compter (moins de {racks.MIN_PX_PER_ITEM:.0f} px par pièce) : {', '.join(small)}. "
                "Rapprocher la caméra, ou choisir « présence seule »."
            )
        answer = await self._part.ask(messages.BeTaught(command.id, description), _TEACH_S)
        if answer is not None and not answer.done:
            raise CommandRefusedError(f"{answer.french} L'ancienne description reste.")
        try:
            await asyncio.to_thread(_replace, self._part.config.rack, content)
        except OSError as error:
            await self._teach_back(command)
            raise CommandRefusedError(f"La description ne peut pas être enregistrée sur l'agent : {error}") from error
        if answer is None:
            return f"{len(description.slots)} places enregistrées : apprises quand la caméra répond."
        return f"Rack appris. {answer.french}"

    async def _teach_back(self, command: TeachRack) -> None:
        """The eye goes on with what is on the disk."""
        try:
            former = racks.parse(await asyncio.to_thread(self._part.config.rack.read_bytes))
        except (OSError, racks.RackDescriptionError) as error:
            _log.error("%s: the former description cannot be read: %s", self._part.name, error)
        else:
            self._part.tell(messages.BeTaught(f"{command.id} undone", former))

    # Models

    async def _model(self, command: SetRackModel) -> str:
        part, state = self._part, self._part.state
        if not command.path:
            if state.model is None:
                raise CommandRefusedError("Pas de modèle d'avant : celui du programme est en service.")
            return await self._take_model(command, state.former, None, "Retour au modèle d'avant")
        try:
            model = await part.models.fetch(command)
        except ModelRefusedError as error:
            raise CommandRefusedError(str(error)) from error
        return await self._take_model(command, model, state.model, f"Modèle {command.version or model.sha256[:8]}")

    async def _take_model(self, command: SetRackModel, model: Model | None, former: Model | None, what: str) -> str:
        answer = await self._part.ask(messages.UseModel(command.id, *self._part.files_of(model)), _TRIAL_S)
        if answer is None:
            raise CommandRefusedError(
                "L'essai du modèle n'a pas abouti (caméra arrêtée, ou l'œil n'y a pas survécu) : l'ancien reste."
            )
        if not answer.done:
            raise CommandRefusedError(f"{answer.french} L'ancien reste.")
        await self._part.remember(model=model, former=former)
        await asyncio.to_thread(self._part.models.forget_all_but, [model, former])
        return f"{what} : en service."

    # Pictures

    async def _show(self, command: ShowRack) -> str:
        seconds = min(max(command.seconds, 0.0), _WATCHED_AT_MOST_S)
        showing = _Showing(self._centre, command.path)
        self._shows[command.id] = showing
        try:
            if self._part.tell(messages.Show(command.id, seconds)):
                refusal = await showing.first(_PICTURE_S)
            else:
                refusal = f"La caméra de « {self._part.name} » est arrêtée : pas d'image."
        except BaseException:
            self._drop(command.id)
            raise
        if refusal or not seconds:
            self._drop(command.id)
        if refusal:
            raise CommandRefusedError(refusal)
        if not seconds:
            return "Image envoyée."
        asyncio.get_running_loop().call_later(seconds, self._drop, command.id)
        return f"Images envoyées pendant {seconds:.0f} s."

    def picture(self, said: messages.Picture) -> None:
        for asked in said.ids:
            showing = self._shows.get(asked)
            if showing is not None:
                showing.bring(said.jpeg)
                if showing.is_in_vain():
                    self._drop(asked)

    def said_later(self, said: messages.Answer) -> None:
        """An answer that nobody waits for by name: of a show that has no picture."""
        showing = self._shows.get(said.id)
        if showing is not None:
            showing.refuse(said.french)

    def eye_ended(self) -> None:
        for asked in list(self._shows):
            self._shows[asked].refuse("La caméra s'est arrêtée : recommencer dans un instant.")
            self._drop(asked)

    def _drop(self, asked: str) -> None:
        showing = self._shows.pop(asked, None)
        if showing is not None:
            showing.close()


class _Showing:
    """Somebody looks at the rack: the newest picture is brought, one at a time; nothing is kept."""

    def __init__(self, centre: CentreHttp, path: str) -> None:
        self._centre = centre
        self._path = path
        self._vain = 0
        self._newest: bytes | None = None
        self._bringing: asyncio.Task[None] | None = None
        self._first: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def first(self, patience: float) -> str:
        """What kept the first picture from the centre, French; empty: it has it."""
        done, _ = await asyncio.wait([self._first], timeout=patience)
        return self._first.result() if done else "La caméra ne donne pas d'image : vérifier son câble."

    def bring(self, jpeg: bytes) -> None:
        self._newest = jpeg
        if self._bringing is None or self._bringing.done():
            self._bringing = asyncio.create_task(self._bring_newest())

    def refuse(self, french: str) -> None:
        if not self._first.done():
            self._first.set_result(french)

    def is_in_vain(self) -> bool:
        return self._vain >= _VAIN_PICTURES

    def close(self) -> None:
        if self._bringing is not None and self._first.done():
            self._bringing.cancel()

    async def _bring_newest(self) -> None:
        while self._newest is not None:
            jpeg, self._newest = self._newest, None
            try:
                await self._centre.put(self._path, jpeg, "image/jpeg")
            except CentreUnavailableError as error:
                self._vain += 1
                self.refuse(str(error))
                return
            self._vain = 0
            self.refuse("")


def _when(what: str, told: bool) -> str:
    return what if told else f"{what} Pris en compte dès que la caméra répond."


def _slots_of(path: Path) -> set[str]:
    try:
        return {slot.id for slot in racks.parse(path.read_bytes()).slots}
    except (OSError, racks.RackDescriptionError) as error:
        raise CommandRefusedError(f"La description du rack est illisible sur l'agent : {error}") from error


def _replace(path: Path, content: bytes) -> None:
    """The new description in the place of the former, which is kept beside it."""
    with contextlib.suppress(FileNotFoundError):
        write_durably(path.with_name(path.name + ".previous"), path.read_bytes())
    write_durably(path, content)
