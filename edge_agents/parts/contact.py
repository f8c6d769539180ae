"""A beam or a door contact at a rack: it wakes the camera, and asks where no camera can count."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import msgspec
from gpiozero import DigitalInputDevice
from gpiozero.exc import BadPinFactory, GPIOZeroError

from cnc_bridge.drivers.gpio.driver import opened
from cnc_bridge.drivers.gpio.lamps import Contact
from contracts.facts import StockAsked
from edge_agents.outbox import Fact
from edge_agents.sections import ContactSection
from edge_agents.supervisor import Desk, SourceFault

_TICK_S: Final = 0.02


class Wakes(Protocol):
    """A rack whose camera may rest while it is closed."""

    def wake(self, *, awake: bool) -> None: ...


class ContactPart:
    """Reads one contact; each closing ends a session of its own."""

    kind = "contact"

    def __init__(self, config: ContactSection, rack: Wakes | None) -> None:
        self.name = config.name
        self.about: Mapping[str, str] = {} if config.rack is None else {"rack": config.rack}
        self._config = config
        self._rack = rack
        self._number = 0

    async def run(self, desk: Desk) -> None:
        config = self._config
        contact = Contact[None](config.input.debounce_ms / 1000)
        with self._open() as wire:
            await desk.works()
            saved = await desk.cursor()
            was = None if saved is None else msgspec.json.decode(saved, type=bool)
            seen = False
            while True:
                now = desk.clock.now().mono / 1000
                for level, _, _ in contact.see(self._level(wire) != config.input.inverted, now, None):
                    is_open = level == (config.open_when == "active")
                    await self._changed(was, is_open, desk, absent=not seen)
                    was, seen = is_open, True
                await asyncio.sleep(_TICK_S)

    async def _changed(self, was: bool | None, is_open: bool, desk: Desk, *, absent: bool) -> None:
        """`was`: open when last written, None: never; `absent`: the change happened while nobody watched."""
        if self._rack is not None:
            self._rack.wake(awake=is_open)
        desk.says("running", "Ouvert." if is_open else "")
        if is_open and not was:
            self._number += 1
        config = self._config
        if is_open or not was or config.place is None:
            if is_open != was:
                await desk.put([], is_open)
            return  # found closed at the first start is no end of a session
        body = StockAsked(
            place=config.place,
            reason="hidden",
            item=config.item,
            code=None if config.item else config.place,
            session=f"{self.name}-{desk.clock.run}-{self._number}"[:120],
            model="contact",
            why="opened and closed",
            during_absence=absent,
        )
        await desk.put([Fact(body)], False)

    def _level(self, wire: DigitalInputDevice) -> bool:
        try:
            return bool(wire.value)
        except (GPIOZeroError, OSError) as error:
            french = "Le contact ne répond plus : vérifier la carte d'entrées et son câble."
            raise SourceFault("pins_lost", f"{self.name}: {error}", french) from error

    @contextlib.contextmanager
    def _open(self) -> Iterator[DigitalInputDevice]:
        pin = self._config.input.pin
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library tells each back-end that it tried and did not find
                wire = opened(self._config.input)
        except BadPinFactory as error:
            french = "Pas de broches GPIO sur cet ordinateur : utiliser un Raspberry Pi avec la bibliothèque « lgpio »."
            raise SourceFault("no_gpio", f"no GPIO on this computer: {error}", french, "error") from error
        except PermissionError as error:
            french = "L'agent n'a pas le droit d'ouvrir les broches : l'ajouter au groupe « gpio », puis le redémarrer."
            raise SourceFault("denied", f"pin {pin}: {error}", french, "error") from error
        except (GPIOZeroError, OSError) as error:
            french = f"Broche {pin} inutilisable : corriger `pin`, et vérifier qu'aucun autre programme ne l'utilise."
            raise SourceFault("no_pin", f"pin {pin}: {error}", french, "error") from error
        try:
            yield wire
        finally:
            wire.close()
