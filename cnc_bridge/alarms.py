"""Which alarms of a machine are active, from its conditions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from cnc_bridge import model
from cnc_bridge.events import AlarmCleared, AlarmRaised
from cnc_bridge.port import Condition

MAX_ALARMS = 200


class ActiveAlarm(msgspec.Struct, frozen=True):
    """An alarm that was raised and not cleared; `severity` fault or warning."""

    key: str
    code: str
    text: str
    severity: str


class Alarms:
    """The active alarms, by key and code.

    A condition that becomes UNAVAILABLE clears nothing, and nothing of it is known any more: its faults make no state
    until it speaks again.
    """

    def __init__(self, active: Iterable[ActiveAlarm]) -> None:
        self._active = {(alarm.key, alarm.code): alarm for alarm in active}
        self._unknown: set[str] = set()

    @property
    def active(self) -> list[ActiveAlarm]:
        return list(self._active.values())

    @property
    def fault(self) -> ActiveAlarm | None:
        """A fault that is known to be active."""
        return next(
            (one for one in self._active.values() if one.severity == "fault" and one.key not in self._unknown), None
        )

    def hear(self, condition: Condition, at: datetime) -> list[AlarmRaised | AlarmCleared]:
        """What a condition changes; a repetition changes nothing."""
        level, source = condition.level.upper(), condition.source_time
        key, code = condition.key[: model.MAX_SHORT], (condition.code or condition.key)[: model.MAX_SHORT]
        if level == "UNAVAILABLE":
            self._unknown.add(key)
            return []
        self._unknown.discard(key)
        out: list[AlarmRaised | AlarmCleared] = []
        if level == "NORMAL" or condition.sole:
            for alarm in self._over(condition, key, code):
                del self._active[(key, alarm.code)]
                out.append(AlarmCleared(key, alarm.code, alarm.text, alarm.severity, at, source))
        if level in ("FAULT", "WARNING"):
            alarm = ActiveAlarm(key, code, condition.text[:2000], level.lower())
            known = self._active.get((key, code))
            if (known is None and len(self._active) < MAX_ALARMS) or (known and known.severity != alarm.severity):
                self._active[(key, code)] = alarm
                out.append(AlarmRaised(key, code, alarm.text, alarm.severity, at, source))
        return out

    def _over(self, condition: Condition, key: str, code: str) -> list[ActiveAlarm]:
        """The alarms of `key` that end with this condition."""
        of_key = [alarm for alarm in self._active.values() if alarm.key == key]
        if condition.level.upper() == "NORMAL":
            return [alarm for alarm in of_key if condition.sole or condition.code in ("", alarm.code)]
        return [alarm for alarm in of_key if alarm.code not in (code, *condition.beside)]
