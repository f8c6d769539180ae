"""What wires say over time: contacts that bounce, lamps that blink, pulses that count. Pure: times are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from cnc_bridge.drivers.gpio.settings import Look, Rule

_At = TypeVar("_At")
_BLINKS = 3
"""Changes, each soon after the one before, that make a blinking lamp."""


class Contact(Generic[_At]):
    """A wire without its bounces. `mono` in seconds; `at` is whatever the caller keeps beside it.

    A level counts once it has held for `debounce_s`; it is then dated by its beginning.
    """

    def __init__(self, debounce_s: float) -> None:
        self._debounce_s = debounce_s
        self._raw: tuple[bool, float, _At] | None = None
        self.level: bool | None = None
        """Not known until it has held once."""

    def see(self, level: bool, mono: float, at: _At) -> list[tuple[bool, float, _At]]:
        """The changes that are now certain: (level, since when, what the caller kept), oldest first."""
        changes = []
        if self._raw is not None and mono - self._raw[1] >= self._debounce_s and self.level != self._raw[0]:
            self.level = self._raw[0]
            changes.append(self._raw)
        if self._raw is None or self._raw[0] != level:
            self._raw = (level, mono, at)
            if self._debounce_s == 0 and self.level != level:
                self.level = level
                changes.append(self._raw)
        return changes


class Lamp(Generic[_At]):
    """A lamp that is on, off or blinking. A new look is known only after `blink_s`: until then the last one holds."""

    def __init__(self, blink_s: float) -> None:
        self._blink_s = blink_s
        self._changes: list[tuple[bool, float, _At]] = []
        self.look: Look | None = None
        self.since: _At | None = None
        """When the present look began."""

    def change(self, level: bool, mono: float, at: _At) -> None:
        """A certain change of its wire."""
        if self._changes and mono - self._changes[-1][1] > self._blink_s:
            self._changes.clear()
        self._changes = [*self._changes[-_BLINKS:], (level, mono, at)]

    def judge(self, mono: float) -> None:
        """What it does at `mono`, from its changes so far."""
        if not self._changes:
            return
        level, last, at = self._changes[-1]
        if mono - last > self._blink_s:
            self._become("on" if level else "off", at)
        elif len(self._changes) >= _BLINKS and self.look != "blink":
            self._become("blink", self._changes[0][2])

    def _become(self, look: Look, since: _At) -> None:
        if look != self.look:
            self.look, self.since = look, since


def fitting(rules: Iterable[Rule], looks: Mapping[str, Look]) -> Rule | None:
    """The first rule of which all conditions hold. A wire whose look is not known fits nothing."""
    return next((rule for rule in rules if all(_fits(looks.get(name), want) for name, want in rule.when.items())), None)


def _fits(look: Look | None, want: Look) -> bool:
    return look in ("on", "blink") if want == "lit" else look == want
