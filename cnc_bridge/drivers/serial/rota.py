"""Which Haas question comes next, and whose answer is heard. Pure; times in seconds of a clock that never jumps.

One question at a time, on a line where another client's answers are heard too (Haas: what one asks is answered to
all). An answer that names what it is about is good whoever asked. What does not name it (a macro's value on some
generations, "unknown") is taken for ours only while nothing shows that another client is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from cnc_bridge.drivers.serial.haas import Answer

AGAIN_AFTER_S = 60.0
"""How long a command is left alone that the controller does not know, or never answers while it answers others."""
WATCH_S = 5.0
FOREIGN_S = 30.0
"""How long, after connecting and after a sign of another client, nothing nameless is taken for ours."""
DOUBLED_S = 0.05
"""Pause after a nameless value: some controls say it twice, and the second must not pass for the next variable."""
MISSES = 3
_NAMELESS = "Q600"


class Rota:
    """Questions by command with their periods. `asked` is the one that waits for its answer."""

    def __init__(self, periods: Mapping[str, float], now: float) -> None:
        self._periods = dict(periods)
        self._due = dict.fromkeys(periods, now)
        self._missed: Counter[str] = Counter()
        self._foreign_until, self._quiet_until = now + WATCH_S, now
        self._last = ""
        self.asked: str | None = None
        self.unanswered = 0
        """Questions in a row that brought nothing."""
        self.withheld = 0
        """Values that came without their variable's number while another client may have asked for them."""

    def next(self, now: float) -> tuple[str | None, float]:
        """The command to ask now, if one is due, and else the seconds until one is."""
        command = min(self._due, key=self._due.__getitem__)
        wait = max(self._due[command], self._quiet_until) - now
        if wait > 0:
            return None, wait
        self.asked = command
        return command, 0.0

    def hear(self, item: Answer, now: float) -> str | None:
        """The command whose values `item` brings, be it ours or another client's; None when it is not to be used."""
        if item.command == "Q600" and item.variable is None:
            return self._nameless(now)
        command = item.command if item.variable is None else f"Q600 {item.variable}"
        self._missed[command] = 0
        if command == self.asked or item.values.get("status") == "BUSY":
            self._settle(now)
        elif command != self._last:
            self._foreign_until = now + FOREIGN_S
        self._last = command
        return command

    def _nameless(self, now: float) -> str | None:
        asked, before, self._last = self.asked, self._last, _NAMELESS
        if asked is None or not asked.startswith("Q600"):
            self._last = ""
            if before != _NAMELESS:  # not our last one said twice
                self._foreign_until = now + FOREIGN_S
            return None
        self._settle(now)
        self._quiet_until = now + DOUBLED_S
        if now >= self._foreign_until:
            return asked
        self.withheld += 1
        return None

    def refused(self, now: float) -> str | None:
        """The controller said that it does not know. The command that was asked, when it is given up for a minute."""
        self.unanswered = 0
        return None if now < self._foreign_until else self._miss(now)

    def timed_out(self, now: float) -> str | None:
        """Nobody answered. The command that was asked, when it is given up for a minute."""
        self.unanswered += 1
        return self._miss(now)

    def _miss(self, now: float) -> str | None:
        command, self.asked = self.asked, None
        if command is None:
            return None
        self._missed[command] += 1
        given_up = self._missed[command] >= MISSES and self.unanswered < MISSES
        self._due[command] = now + (AGAIN_AFTER_S if given_up else self._periods[command])
        return command if given_up else None

    def _settle(self, now: float) -> None:
        if self.asked is not None:
            self._due[self.asked] = now + self._periods[self.asked]
            self._missed[self.asked] = 0
        self.asked = None
        self.unanswered = 0
