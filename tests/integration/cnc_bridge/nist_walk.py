"""An independent reading of the NIST days: a plain walk over each file, that shares no code with cnc_bridge.

It keeps the newest execution, mode, emergency stop and availability and the active faults, and gives the state that
the table of docs/glossary.md says for them. A line's time is its own; a line that comes late by at most 5 s counts when
it happened, but never before the one before it; one that is later than that (another clock, or the agent's first state)
counts when the file had come so far.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

NIST = Path(__file__).parents[4] / "shared" / "data" / "telemetry" / "nist-smstestbed"
DAYS = (
    "GFAgie01-20161025-20161026",
    "Hurco01-20170518-20170519",
    "Hurco04-20170124-20170125",
    "Mazak01-20161013-20161014",
    "Mazak01-20190612-20190613",
    "Mazak03-20160502-20160503",
    "Mazak03-20181004-20181005",
    "Mazak03-20181011-20181012",
)
LATE = timedelta(seconds=5)
EXECUTION, MODE, STOP, AVAILABLE = ("execution", "Program_Status"), ("mode",), ("estop", "EStop_State"), ("avail",)


@dataclass
class Walk:
    """The newest of each, and the alarms that are active or not known."""

    execution: str = "UNAVAILABLE"
    mode: str = "UNAVAILABLE"
    stop: str = "UNAVAILABLE"
    available: str = "not told"
    active: dict[tuple[str, str], str] = field(default_factory=dict)
    """(item, code) → Fault or Warning"""
    unknown: set[str] = field(default_factory=set)

    def read(self, fields: list[str]) -> bool:
        """One line; whether it is about the state."""
        item, value = fields[1], fields[2]
        if len(fields) == 7:
            self.condition(item, value, fields[3])
        elif item in EXECUTION:
            self.execution = value
        elif item in MODE:
            self.mode = value
        elif item in STOP:
            self.stop = value
        elif item in AVAILABLE:
            self.available = value
        else:
            return False
        return True

    def condition(self, item: str, level: str, code: str) -> None:
        self.unknown.discard(item)
        if level == "Unavailable":
            self.unknown.add(item)
        elif level == "Normal":
            self.active = {(i, c): s for (i, c), s in self.active.items() if i != item or code not in ("", c)}
        else:
            self.active[(item, code)] = level

    def state(self) -> str:
        if self.available == "UNAVAILABLE":
            return "off"
        if self.stop == "TRIGGERED":
            return "alarm"
        by_hand = self.mode in ("MANUAL", "MANUAL_DATA_INPUT")
        if self.execution == "ACTIVE":
            return "setup" if by_hand else "running"
        if any(level == "Fault" and item not in self.unknown for (item, _), level in self.active.items()):
            return "alarm"
        if self.execution == "UNAVAILABLE":
            return "silent"
        if by_hand:
            return "setup"
        return "stopped" if self.execution in ("STOPPED", "INTERRUPTED") else "ready"


def lines(day: str) -> Iterator[list[str]]:
    for line in (NIST / f"{day}.txt").read_text(encoding="utf-8").splitlines():
        yield line.split("|")


def beginning(day: str) -> datetime:
    """Midnight of the day, UTC: the agent's first state in the file is older."""
    return datetime.strptime(day.split("-")[1], "%Y%m%d").replace(tzinfo=UTC)


def time_of(stamp: str) -> datetime:
    head, _, decimals = stamp.rstrip("Z").partition(".")
    return datetime.fromisoformat(head).replace(microsecond=int((decimals + "000000")[:6]), tzinfo=UTC)


def states(day: str) -> list[tuple[datetime, str]]:
    """When each state begins."""
    walk, found = Walk(), list[tuple[datetime, str]]()
    newest = last = beginning(day)
    for fields in lines(day):
        own = time_of(fields[0])
        newest = max(newest, own)
        if walk.read(fields):
            last = max(last, own if own >= newest - LATE else newest)
            found.append((last, walk.state()))
    return lasting(found)


def lasting(found: list[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    """Without states of no duration, and without a state that follows itself."""
    kept = [one for one, after in itertools.pairwise(found) if after[0] > one[0]] + found[-1:]
    return [*kept[:1], *(after for one, after in itertools.pairwise(kept) if after[1] != one[1])]


def alarms(day: str) -> list[tuple[str, str, str]]:
    """(item, code, level) of each line of conditions.csv that tells an alarm which was not active already."""
    with (NIST / "conditions.csv").open(encoding="utf-8", newline="") as file:
        told = [row for row in csv.reader(file) if row[0] == day]
    found, active = list[tuple[str, str, str]](), set[tuple[str, str]]()
    waiting = iter(told)
    row = next(waiting, None)
    for fields in lines(day):
        if row is not None and [fields[0], *fields[1:4]] == [row[1], *row[2:5]]:
            if (row[2], row[4]) not in active:
                found.append((row[2], row[4], row[3].lower()))
            active.add((row[2], row[4]))
            row = next(waiting, None)
        elif len(fields) == 7 and fields[2] == "Normal":
            active = {(item, code) for item, code in active if item != fields[1] or fields[3] not in ("", code)}
    assert row is None, f"a line of conditions.csv is not in the file: {row}"
    return found


def told(day: str) -> int:
    """The lines of conditions.csv about this day."""
    with (NIST / "conditions.csv").open(encoding="utf-8", newline="") as file:
        return sum(row[0] == day for row in csv.reader(file))
