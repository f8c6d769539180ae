"""Counting, restocking or blind: what is so, and when that is news. Pure."""

from __future__ import annotations

from typing import Literal

from vision.watching.said import ModeChange, RackMode

_ORDER = ("lost", "dark", "covered", "frozen", "dirty", "flicker", "closed", "moved")


class Modes:
    """The causes of blindness and what a person wished.

    Attributes:
        wish: "restocking" while a person restocks, cleans or counts.
        seeing: the first absolute look since the last blindness (or the start) is done; until then it is blind.
    """

    def __init__(self) -> None:
        self.wish: Literal["counting", "restocking"] = "counting"
        self.seeing = False
        self._causes: dict[str, str] = {}
        self._said: tuple[RackMode, str] | None = None

    @property
    def code(self) -> str:
        """The first cause of blindness, "ok" without one."""
        return next((cause for cause in _ORDER if cause in self._causes), "ok")

    @property
    def blind(self) -> bool:
        """Whether a cause of blindness is there."""
        return bool(self._causes)

    @property
    def now(self) -> tuple[RackMode, str]:
        """Mode and code, as they are to be said."""
        if self.blind:
            return "blind", self.code
        if not self.seeing and self._said is not None and self._said[0] == "blind":
            return self._said  # until everything has been looked at
        return self.wish, "ok"

    def has(self, cause: str) -> bool:
        return cause in self._causes

    def blinded(self, cause: str, detail: str = "") -> None:
        """A cause is there; looked at again, it is still one."""
        self._causes[cause] = detail
        self.seeing = False

    def cleared(self, *causes: str) -> None:
        """These causes are gone."""
        for cause in causes:
            self._causes.pop(cause, None)

    def news(self, ts: float) -> ModeChange | None:
        """The change that has not been said yet; it counts as said."""
        now = self.now
        if now == self._said or (self._said is None and not self.seeing and not self.blind):
            return None
        self._said = now
        return ModeChange(now[0], now[1], ts, self._causes.get(now[1], ""))
