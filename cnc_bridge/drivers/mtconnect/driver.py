"""The MTConnect client: finds the signals in the device's model, then follows the agent's stream without a gap."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from cnc_bridge import model
from cnc_bridge.drivers.mtconnect import faults, meaning
from cnc_bridge.drivers.mtconnect.agent import Agent
from cnc_bridge.drivers.mtconnect.documents import AgentError, Device, Header, Observation, Streams
from cnc_bridge.drivers.mtconnect.settings import ItemSource, Settings
from cnc_bridge.port import Clock, Condition, Driver, Finding, Moment, Position

_log = logging.getLogger(__name__)


@dataclass
class _Cursor:
    """Where we are in the agent's numbering: everything before `next` of this `instance` has been handed on."""

    instance: int
    next: int


class ControllerDriver(Driver):
    """One device of an MTConnect agent.

    After a loss of the connection it goes on from the next sequence number: what the agent kept meanwhile comes first,
    then the present state of what did not change. An agent that restarted, or whose buffer was too small for the
    outage, is read from its present state; the second is said (`lost_range`).
    """

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        self._cursor: _Cursor | None = None
        self._by_item: dict[str, list[tuple[str, ItemSource]]] = {}
        self._condition_names: dict[str, str] = {}
        self._newest: dict[str, int] = {}
        """The sequence number of the newest observation handed on, by data item."""
        self.observations = 0
        """Observations handed on by the stream or from the buffer, mapped or not, since the driver was made."""

    def resume(self, position: str) -> None:
        instance, _, after = position.partition(":")
        if instance.isdigit() and after.isdigit():
            self._cursor = _Cursor(int(instance), int(after))

    async def _session(self) -> None:
        async with self._agent() as agent:
            header, device = await agent.device()
            self._learn(device)
            label = f"MTConnect agent {header.version}, device {device.label}"
            await self._begin(agent, header, f"{label} (robot)" if meaning.is_robot(device) else label)
            async with asyncio.TaskGroup() as together:
                together.create_task(self._compare_forever(agent), name="mtconnect check")
                together.create_task(self._follow(agent), name="mtconnect stream")

    @contextlib.asynccontextmanager
    async def _agent(self) -> AsyncIterator[Agent]:
        try:
            async with Agent(self.config) as agent:
                yield agent
        except ExceptionGroup as group:  # of the two tasks of a session; one of them is why it ends
            first = group.exceptions[0]
            raise faults.explain(first, self.config) if isinstance(first, AgentError) else first from None
        except AgentError as error:
            raise faults.explain(error, self.config) from error

    def _learn(self, device: Device) -> None:
        """Which data item is which signal, from the model and the settings."""
        by_name = {item.name: item.id for item in reversed(device.items) if item.name}
        by_name |= {item.id: item.id for item in device.items}
        sources = self._sources(device)
        self._by_item = defaultdict(list)
        for signal, source in sources.items():
            item = by_name.get(source.item)
            if item is None:
                self._problem(
                    "missing_signal",
                    signal,
                    f"{signal}: the device has no data item {source.item!r}",
                    f"La machine n'a pas de donnée « {source.item} » : corriger `{signal}` dans la configuration "
                    "(`copeau cnc probe` liste les données).",
                )
            else:
                self._solved("missing_signal", signal)
                self._by_item[item].append((signal, source))
        self._condition_names = {item.id: item.name or item.id for item in meaning.conditions(device)}

    def _sources(self, device: Device) -> dict[str, ItemSource]:
        found = {
            one.signal: ItemSource(item=one.item.id, scale=one.scale)
            for one in meaning.meanings(device, self.config.path)
            if one.signal not in self.config.left_out
        }
        return found | self.config.signals

    async def _begin(self, agent: Agent, header: Header, label: str) -> None:
        """What happened while we were away, where the agent still knows it, then the present state."""
        if self._cursor is not None and self._cursor.instance != header.instance:
            _log.info("%s: the agent has restarted (instance %s)", self.config.url, header.instance)
            self._cursor = None
        self._link_up(label)
        if self._cursor is not None:
            await self._catch_up(agent, self._cursor)
        present = await agent.current()
        self._solved("lost_range", "sequence")
        if self._cursor is not None and self._cursor.instance != present.header.instance:
            self._cursor = None
        self._restate(present)
        if self._cursor is None:
            self._cursor = _Cursor(present.header.instance, present.header.next)
            self._newest = {}
        for one in present.observations:
            if one.sequence < self._cursor.next:
                self._newest[one.item] = max(one.sequence, self._newest.get(one.item, 0))
        self._mark()

    async def _catch_up(self, agent: Agent, cursor: _Cursor) -> None:
        """Hand on what the agent kept since the cursor; no cursor is left when it has forgotten some of it."""
        while True:
            try:
                document = await agent.past(cursor.next)
            except AgentError as error:
                if error.code != "OUT_OF_RANGE":
                    raise
                self._lost_range(cursor, str(error))
                return
            header = document.header
            if header.instance != cursor.instance:
                self._cursor = None
                return
            if header.first > cursor.next:  # it went out of the buffer between two requests
                self._lost_range(cursor, f"it begins at {header.first}")
                return
            before = cursor.next
            self._take(document, kept=True)
            if cursor.next <= before or header.next > header.last:
                return

    def _lost_range(self, cursor: _Cursor, said: str) -> None:
        self._cursor = None
        self._problem(
            "lost_range",
            "sequence",
            f"{self.config.url}: the agent no longer has sequence {cursor.next} ({said}); its present state is taken",
            "L'agent MTConnect a oublié une partie de l'absence : ce qui s'y est passé manque (les pièces restent "
            "comptées). Agrandir son tampon (`BufferSize`).",
        )

    def _restate(self, present: Streams) -> None:
        """The present state: all of it at first, else only what is not new, and no sample a second time."""
        cursor, received = self._cursor, self.clock.now()
        alarms: dict[str, list[Observation]] = defaultdict(list)
        for one in present.observations:
            if one.item in self._condition_names:
                alarms[one.item].append(one)
            elif cursor is None:
                self._observed(one, received)
            elif one.sequence < cursor.next:
                self._observed(one, received, samples=False)
        for item, active in alarms.items():
            if cursor is None or all(one.sequence < cursor.next for one in active):
                self._alarms_now(item, active, received)

    async def _follow(self, agent: Agent) -> None:
        assert self._cursor is not None
        async with contextlib.aclosing(agent.stream(self._cursor.next)) as documents:
            async for document in documents:
                if document.header.instance != self._cursor.instance:
                    raise faults.restarted(self.config)
                self._take(document)

    async def _compare_forever(self, agent: Agent) -> None:
        """A stream that only heartbeats looks alive: ask now and then what the present state is."""
        assert self._cursor is not None
        while True:
            await asyncio.sleep(self.config.check_s)
            present = await agent.current()
            if present.header.instance != self._cursor.instance:
                raise faults.restarted(self.config)
            await asyncio.sleep(2 * self.config.interval_ms / 1000 + min(self.config.heartbeat_s, 1.0))
            for one in present.observations:
                if one.sequence < present.header.next and one.sequence > self._newest.get(one.item, -1):
                    raise faults.deaf_stream(self.config, one.item)

    def _take(self, document: Streams, *, kept: bool = False) -> None:
        """Hand on what is new in a document of the stream, and move the cursor behind it."""
        assert self._cursor is not None
        received = self.clock.now()
        for one in document.observations:
            if one.sequence < self._cursor.next:
                continue
            self.observations += 1
            self._newest[one.item] = one.sequence
            if one.item in self._condition_names:
                self._condition(one, received, kept=kept)
            else:
                self._observed(one, received, kept=kept)
        self._cursor.next = max(self._cursor.next, document.header.next)
        self._mark()

    def _mark(self) -> None:
        """Everything handed on so far is behind this position; a sign of life, too."""
        assert self._cursor is not None
        self._heard()
        self._stream.put(Position(f"{self._cursor.instance}:{self._cursor.next}", self.clock.now()))

    def _observed(self, one: Observation, received: Moment, *, samples: bool = True, kept: bool = False) -> None:
        for signal, source in self._by_item.get(one.item, ()):
            if not samples and model.signal_named(signal).kind == "sample":
                continue
            if one.series and one.value.upper() != "UNAVAILABLE":
                self._series(signal, source, one, received, kept=kept)
            elif source.entry is None:
                self._value(signal, source, one.value, one.time, received, kept=kept)
            elif one.entries is None or source.entry in one.entries:
                value = (one.entries or {}).get(source.entry)
                self._value(signal, source, value, one.time, received, kept=kept)

    def _series(self, signal: str, source: ItemSource, one: Observation, received: Moment, *, kept: bool) -> None:
        values = one.value.split()
        if one.rate is None or one.time is None:
            values = values[-1:]
        for back, value in zip(range(len(values) - 1, -1, -1), values, strict=True):
            time = one.time - timedelta(seconds=back / one.rate) if one.rate and one.time else one.time
            self._value(signal, source, value, time, received, kept=kept)

    def _condition(self, one: Observation, received: Moment, *, kept: bool) -> None:
        key = self._condition_names[one.item]
        self._stream.put(Condition(key, one.level, one.code, one.text[:2000], one.time, received, kept=kept))

    def _alarms_now(self, item: str, active: list[Observation], received: Moment) -> None:
        """All that is active under one condition: whatever else was is over."""
        key = self._condition_names[item]
        codes = tuple(one.code or key for one in active)
        for one in active:
            known = one.level != "UNAVAILABLE"  # not known is not over
            self._stream.put(
                Condition(key, one.level, one.code, one.text[:2000], one.time, received, sole=known, beside=codes)
            )

    async def probe(self) -> list[Finding]:
        """The agent, its device, the signals found in the model with their values, and what is left over."""
        async with self._agent() as agent:
            header, device = await agent.device()
            present = await agent.current()
        return findings(self.config, header, device, present, self._sources(device))


def findings(
    settings: Settings, header: Header, device: Device, present: Streams, sources: dict[str, ItemSource]
) -> list[Finding]:
    """What a probe tells of one device."""
    values = {one.item: one.level or one.value for one in present.observations}
    items = {item.name: item for item in reversed(device.items) if item.name}
    items |= {item.id: item for item in device.items}
    kind = "robot" if meaning.is_robot(device) else "machine"
    found = [
        Finding("server", settings.url, f"MTConnect agent {header.version}, buffer of {header.buffer_size}"),
        Finding("note", kind, f"{device.label} {device.description}"[:200].strip()),
    ]
    read: set[str] = set()
    for signal, source in sources.items():
        item = items.get(source.item)
        if item is None:
            found.append(Finding("signal", signal, f"{source.item} = not seen", ok=False))
            continue
        read.add(item.id)
        found.append(Finding("signal", signal, f"{item.name or item.id} = {values.get(item.id, '')[:80]}"))
    channels = meaning.channels(device)
    if len(channels) > 1:
        found.append(Finding("note", "channels", f"{', '.join(channels)}: `path` chooses the one that is read"))
    for item in device.items:
        if item.category == "CONDITION":
            found.append(Finding("key", item.name or item.id, f"condition {values.get(item.id, '')}"))
        elif item.id not in read:
            found.append(Finding("key", item.name or item.id, values.get(item.id, "")[:80]))
    return found
