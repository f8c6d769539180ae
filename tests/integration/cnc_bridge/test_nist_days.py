"""Eight days of real machines (NIST SMS Test Bed) through the tracker, against the walk of nist_walk.py.

The tracker has to say the same states in the same order, each beginning at the same millisecond (states of no duration
left out), and to raise each fault and warning of conditions.csv once for as long as it lasts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache

import pytest

from cnc_bridge import model
from cnc_bridge.drivers.mtconnect.documents import read_devices
from cnc_bridge.drivers.mtconnect.meaning import meanings
from cnc_bridge.events import AlarmRaised, CycleEnded, Event, PartsCounted, StateChanged
from cnc_bridge.observations import Observed, in_order, read
from cnc_bridge.port import Condition, Heard, Link, Moment, Reading
from cnc_bridge.tracking import Tracker
from tests.integration.cnc_bridge import nist_walk
from tests.integration.cnc_bridge.nist_walk import DAYS, NIST

HEARTBEAT_S = 5.0
"""The agent answers so often also when nothing changes, as it does on the wire."""
MILLISECOND = timedelta(milliseconds=1)

pytestmark = pytest.mark.skipif(not NIST.is_dir(), reason="the NIST recordings are not beside the repository")


def delivered(day: str) -> Iterator[tuple[Moment, Observed]]:
    """Each observation when it can have come: the first state at midnight, then as the file goes on."""
    start = nist_walk.beginning(day)
    for at, seen in in_order(read(NIST / f"{day}.txt")):
        wall = max(at, start)
        yield Moment(wall, (wall - start).total_seconds()), seen


def beats(before: Moment, after: Moment) -> Iterator[Moment]:
    mono = before.mono + HEARTBEAT_S
    while mono < after.mono:
        yield Moment(before.wall + timedelta(seconds=mono - before.mono), mono)
        mono += HEARTBEAT_S


@cache
def tracked(day: str) -> list[Event]:
    """All that the tracker says of a day; the signals are found in the machine's own device model."""
    _, devices = read_devices((NIST / "Devices.xml").read_bytes())
    (device,) = [one for one in devices if one.name == day.split("-", maxsplit=1)[0]]
    signals = {one.item.name: one.signal for one in meanings(device)}
    now = Moment(nist_walk.beginning(day), 0.0)
    tracker = Tracker(2 * HEARTBEAT_S, now)
    events = tracker.feed(Link(True, "replay", now))
    for moment, seen in delivered(day):
        for beat in beats(now, moment):
            events += [*tracker.feed(Heard(beat)), *tracker.tick(beat)]
        now = moment
        if seen.condition is not None:
            code, text = seen.condition.code, seen.condition.text
            events += tracker.feed(Condition(seen.item, seen.value, code, text, seen.time, moment))
        elif seen.item in signals:
            events += tracker.feed(reading(signals[seen.item], seen, moment))
        events += [*tracker.feed(Heard(moment)), *tracker.tick(moment)]
    return events


def reading(signal: str, seen: Observed, received: Moment) -> Reading:
    try:
        value = model.clean(model.signal_named(signal), seen.value)
    except model.BadValueError:
        value = None
    return Reading(signal, value, seen.time, received)


def said(day: str) -> list[tuple[datetime, str]]:
    changes = [(event.at, str(event.state)) for event in tracked(day) if isinstance(event, StateChanged)]
    return nist_walk.lasting(changes)


def from_the_first_word(states: list[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    """A machine of which nothing was heard yet is silent; a tracker begins so without saying it."""
    return states[1:] if states and states[0][1] == "silent" else states


@pytest.mark.parametrize("day", DAYS)
def test_the_states_are_those_of_an_independent_reading(day: str) -> None:
    expected, found = from_the_first_word(nist_walk.states(day)), from_the_first_word(said(day))
    assert [state for _, state in found] == [state for _, state in expected]
    apart = [
        (ours, theirs) for ours, theirs in zip(found, expected, strict=True) if abs(ours[0] - theirs[0]) > MILLISECOND
    ]
    assert apart == []


@pytest.mark.parametrize("day", DAYS)
def test_every_fault_and_warning_is_raised_once(day: str) -> None:
    raised = [(one.key, one.code, one.severity) for one in tracked(day) if isinstance(one, AlarmRaised)]
    assert raised == nist_walk.alarms(day)


def test_what_the_days_say_in_all() -> None:
    """The figures of the eight days, so that a change of the rules is seen here."""
    states, others = Counter[str](), Counter[str]()
    for day in DAYS:
        states.update(state for _, state in said(day))
        others.update(type(event).__name__ for event in tracked(day) if isinstance(event, CycleEnded | PartsCounted))
        others["AlarmRaised"] += len(nist_walk.alarms(day))
        others["told"] += nist_walk.told(day)
    assert states == {"running": 139, "ready": 140, "setup": 129, "stopped": 41, "alarm": 35, "silent": 94, "off": 75}
    assert others == {"CycleEnded": 59, "told": 128, "AlarmRaised": 126}
