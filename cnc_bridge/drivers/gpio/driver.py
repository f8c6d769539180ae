"""Contacts and lamps: the pins call when they change, and are read twice a second besides, so that no edge is lost.

Parts are pulses, counted from 0 since the driver was made; whoever tracks them takes the fall to 0 for a reset.
What happens while the agent is off is not counted: a contact has no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator

from gpiozero import Device, DigitalInputDevice
from gpiozero.exc import BadPinFactory, GPIOZeroError

from cnc_bridge.drivers.gpio.lamps import Contact, Lamp, fitting
from cnc_bridge.drivers.gpio.settings import COUNTER, LAMPS, POWER, Input, Look, Rule, Settings
from cnc_bridge.port import Clock, Condition, Driver, DriverFaultError, Finding, Moment
from cnc_bridge.settings import Source

_PLAIN = Source()
_TICK_S = 0.05
_READ_S = 0.5
_NEVER = object()
_PULLS = {"up": True, "down": False, "none": None}


class ControllerDriver(Driver):
    """A machine known by its lamps and contacts."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        self._parts = 0
        self._edges: list[tuple[str, bool, Moment]] = []
        self._lock = threading.Lock()
        self._last: dict[str, object] = {}

    async def _session(self) -> None:
        with self._wires() as wires:
            view = _View(self.config)
            self._last.clear()
            self._link_up(f"{len(wires)} inputs on {type(Device.pin_factory).__name__}")
            if COUNTER in wires:
                self._count(self.clock.now())
            read_at = 0.0
            while not self._closing.is_set():
                now = self.clock.now()
                if now.mono - read_at >= _READ_S:
                    read_at = now.mono
                    self._look_at(wires, now)
                    self._heard()
                self._digest(view, now)
                self._say(view, now)
                await asyncio.sleep(_TICK_S)

    def _look_at(self, wires: dict[str, DigitalInputDevice], now: Moment) -> None:
        """Every wire as it is now: an edge that the kernel dropped is made up for."""
        try:
            seen = [(name, bool(wire.value), now) for name, wire in wires.items()]
        except (GPIOZeroError, OSError) as error:
            raise _lost(error) from error
        with self._lock:
            self._edges += seen

    def _caller(self, name: str, *, active: bool) -> Callable[[], None]:
        def edge() -> None:  # called by the pin library, in its own thread
            with self._lock:
                self._edges.append((name, active, self.clock.now()))

        return edge

    def _digest(self, view: _View, now: Moment) -> None:
        with self._lock:
            edges, self._edges = self._edges, []
        for name, active, at in edges:
            if view.see(name, active != self.config.inputs[name].inverted, at) and name == COUNTER:
                self._parts += 1
                self._count(at)
        for _ in range(view.settle(now)):
            self._parts += 1
            self._count(now)

    def _count(self, at: Moment) -> None:
        self._value("part_count", _PLAIN, self._parts, None, at)

    def _say(self, view: _View, now: Moment) -> None:
        """The state as it is now, where it changed."""
        looks = view.looks(now)
        if POWER in self.config.inputs and (power := looks.get(POWER)) is not None:
            self._tell("availability", "AVAILABLE" if power == "on" else "UNAVAILABLE", view.since(POWER) or now)
        if len(looks) < len(view.read):
            return  # just begun: not every wire is known yet
        rule, word = self._judged(looks)
        at = max((view.since(name) or now for name in looks), key=lambda moment: moment.mono)
        # an alarm before its stop, and its end after the new state: no "stopped for no reason" in between
        alarm = rule.alarm if rule is not None else ""
        if alarm:
            self._alarm_is(alarm, at)
        if self._tell("execution", word, at):
            self._explain(word, looks)
        if not alarm:
            self._alarm_is("", at)

    def _judged(self, looks: dict[str, Look]) -> tuple[Rule | None, str | None]:
        rule = fitting(self.config.effective_rules, looks)
        return rule, rule.execution if rule is not None else self.config.otherwise

    def _tell(self, signal: str, word: str | None, at: Moment) -> bool:
        if self._last.get(signal, _NEVER) == word:
            return False
        self._last[signal] = word
        self._value(signal, _PLAIN, word, None, at)
        return True

    def _alarm_is(self, text: str, at: Moment) -> None:
        if self._last.get("lamps", _NEVER) == text:
            return
        self._last["lamps"] = text
        level = "FAULT" if text else "NORMAL"
        self._stream.put(Condition("lamps", level, text, text, None, at, sole=True))

    def _explain(self, word: str | None, looks: dict[str, Look]) -> None:
        if word is not None or looks.get(POWER) == "off":
            self._solved("no_rule", "execution")
            return
        seen = ", ".join(f"{name} {look}" for name, look in sorted(looks.items()))
        self._problem(
            "no_rule",
            "execution",
            f"no rule says what this means: {seen}",
            f"Aucune règle pour cette combinaison ({seen}) : ajouter une règle, ou `otherwise` dans la configuration.",
        )

    @contextlib.contextmanager
    def _wires(self) -> Iterator[dict[str, DigitalInputDevice]]:
        """The pins, open; one that is not there is reported, and the others go on."""
        with contextlib.ExitStack() as stack:
            wires = {}
            self._edges = []
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the library tells each back-end that it tried and did not find
                for name, entry in self.config.inputs.items():
                    with self._reported_pin(name, entry):
                        wires[name] = stack.enter_context(opened(entry))
            if not wires:
                raise _lost(GPIOZeroError("none of the pins can be opened"))
            for name, wire in wires.items():
                wire.when_activated = self._caller(name, active=True)
                wire.when_deactivated = self._caller(name, active=False)
            yield wires

    @contextlib.contextmanager
    def _reported_pin(self, name: str, entry: Input) -> Iterator[None]:
        try:
            yield
        except BadPinFactory as error:
            raise DriverFaultError(
                "no_gpio",
                f"no GPIO on this computer: {error}",
                "Pas de broches GPIO sur cet ordinateur : utiliser un Raspberry Pi et y installer la bibliothèque "
                "« lgpio » (paquet python3-lgpio).",
                retry_after_s=60,
            ) from error
        except PermissionError as error:
            raise DriverFaultError(
                "no_permission",
                f"the pins may not be opened: {error}",
                "L'agent n'a pas le droit d'ouvrir les broches : l'ajouter au groupe « gpio », puis le redémarrer.",
                retry_after_s=30,
            ) from error
        except (GPIOZeroError, OSError) as error:
            signal = "part_count" if name == COUNTER else name
            self._problem(
                "no_pin",
                signal,
                f"{name} at pin {entry.pin} cannot be opened: {error}; the other inputs go on",
                f"Broche {entry.pin} (« {name} ») inutilisable : corriger `inputs.{name}`, "
                "et vérifier qu'aucun autre programme ne l'utilise. Les autres entrées continuent.",
            )

    async def probe(self) -> list[Finding]:
        """Each wire as it is after long enough to tell blinking from burning, and the state that follows."""
        with self._wires() as wires:
            view = _View(self.config)
            for _ in range(int(3.5 * self.config.blink_s / _TICK_S) + 3):
                now = self.clock.now()
                self._look_at(wires, now)
                self._digest(view, now)
                await asyncio.sleep(_TICK_S)
            looks = view.looks(self.clock.now())
        _, word = self._judged(looks)
        found = [
            Finding("server", "GPIO", type(Device.pin_factory).__name__),
            Finding("signal", "execution", word or "no rule fits", word is not None),
        ]
        for name, entry in self.config.inputs.items():
            kind, shown = ("signal", "part_count") if name == COUNTER else ("key", name)
            said = looks.get(name, "off" if name in wires else "cannot be opened")
            found.append(Finding(kind, shown, f"pin {entry.pin}: {said}", name in wires))
        return found


class _View:
    """All wires of one session."""

    def __init__(self, config: Settings) -> None:
        inputs = config.inputs
        self._contacts = {name: Contact[Moment](entry.debounce_ms / 1000) for name, entry in inputs.items()}
        self._lamps = {name: Lamp[Moment](config.blink_s) for name in inputs if name in LAMPS}
        self._since: dict[str, Moment] = {}
        self._raw: dict[str, bool] = {}
        self._known = False
        self.read: set[str] = set()
        """The inputs that decide of the state, and have been read at least once."""

    def see(self, name: str, active: bool, at: Moment) -> bool:
        """Take in a wire's level; true when this closes the contact for certain."""
        if name != COUNTER:
            self.read.add(name)
        self._raw[name] = active
        return self._changes(name, active, at) > 0

    def settle(self, now: Moment) -> int:
        """Levels that have held long enough by now; the part pulses among them."""
        pulses = 0
        for name, active in self._raw.items():
            closed = self._changes(name, active, now)
            pulses += closed if name == COUNTER else 0
        return pulses

    def _changes(self, name: str, active: bool, at: Moment) -> int:
        contact = self._contacts[name]
        was_known = contact.level is not None
        closed = 0
        for level, mono, since in contact.see(active, at.mono, at):
            if name in self._lamps:
                self._lamps[name].change(level, mono, since)
            else:
                self._since[name] = since
            closed += int(level and was_known)  # a contact found closed at the start is no pulse
            was_known = True
        return closed

    def looks(self, now: Moment) -> dict[str, Look]:
        """What each lamp and contact does, where it is known; the counter decides of nothing."""
        found: dict[str, Look] = {}
        for name, contact in self._contacts.items():
            if name in self._lamps:
                self._lamps[name].judge(now.mono)
                if (look := self._lamps[name].look) is not None:
                    found[name] = look
            elif name != COUNTER and contact.level is not None:
                found[name] = "on" if contact.level else "off"
        return found

    def since(self, name: str) -> Moment | None:
        """When the present look of that input began."""
        return self._lamps[name].since if name in self._lamps else self._since.get(name)


def opened(entry: Input) -> DigitalInputDevice:
    """The wire of that pin, open. Raises GPIOZeroError, OSError."""
    pull = entry.pull or ("up" if entry.active_low else "down")
    if pull == "none":
        return DigitalInputDevice(entry.pin, pull_up=None, active_state=not entry.active_low)
    return DigitalInputDevice(entry.pin, pull_up=_PULLS[pull])


def _lost(error: Exception) -> DriverFaultError:
    return DriverFaultError(
        "pins_lost",
        f"the pins cannot be read: {error}",
        "Les broches ne répondent plus : vérifier la carte d'entrées, son câble, et qu'aucun autre programme "
        "ne les utilise.",
    )
