"""What an MTConnect agent remembers: a numbered ring of observations, and the present state of each data item."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree import ElementTree as ET  # nosec B405  # a file of the test's own

from cnc_bridge.drivers.shdr.lines import ConditionLine, Observation, Parser
from cnc_bridge.replay import stamp_of

_TO_UNITS = {("MILLIMETER/MINUTE", "MILLIMETER/SECOND"): 1 / 60}


@dataclass(frozen=True)
class Item:
    """A data item of the model, with the names that its observations need."""

    id: str
    name: str
    category: str
    type: str
    device: str
    component: str
    component_id: str
    factor: float

    @property
    def element(self) -> str:
        """`PATH_FEEDRATE` is written `PathFeedrate`."""
        return "".join(word.capitalize() for word in self.type.rpartition(":")[2].split("_"))


@dataclass(frozen=True)
class Seen:
    """One observation in the buffer."""

    sequence: int
    item: Item
    stamp: str
    value: str
    level: str = ""
    code: str = ""


@dataclass
class Store:
    """The agent's memory: a numbered ring, and each item's present state."""

    items: list[Item]
    size: int
    instance: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    next: int = 1
    ring: deque[Seen] = field(default_factory=deque)
    present: dict[str, dict[str, Seen]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        stamp = stamp_of(datetime.now(UTC)).decode()
        self._by_key = {key: item for item in self.items for key in (item.id, item.name) if key}
        self._parser = Parser([item.name or item.id for item in self.items if item.category == "CONDITION"])
        for item in self.items:
            self._keep(item, stamp, "UNAVAILABLE")

    @property
    def first(self) -> int:
        return self.ring[0].sequence if self.ring else self.next

    def take(self, line: bytes) -> None:
        """What one SHDR line says of the items of the model."""
        stamp = line.partition(b"|")[0].decode()
        for said in self._parser.parse(line):
            item = self._by_key.get(said.key) if isinstance(said, Observation | ConditionLine) else None
            if isinstance(said, Observation) and item is not None:
                self._keep(item, stamp, _converted(said.value, item.factor))
            elif isinstance(said, ConditionLine) and item is not None:
                self._keep(item, stamp, said.text, said.level, said.code)

    def since(self, first: int, count: int) -> list[Seen]:
        start = max(0, first - self.first)
        return [self.ring[at] for at in range(start, min(len(self.ring), start + count))]

    def now(self) -> list[Seen]:
        return [seen for states in self.present.values() for seen in states.values()]

    def _keep(self, item: Item, stamp: str, value: str, level: str = "", code: str = "") -> None:
        if item.category == "CONDITION" and not level:
            value, level = "", "UNAVAILABLE"
        before = self.present.setdefault(item.id, {})
        if item.category != "CONDITION" and item.type != "MESSAGE":
            if any(seen.value == value for seen in before.values()):
                return  # an agent numbers changes, not repetitions
            before.clear()
        seen = Seen(self.next, item, stamp, value, level, code)
        if level in ("NORMAL", "UNAVAILABLE") and code in before and code:
            del before[code]
            if not before:
                before[""] = seen
        elif level in ("NORMAL", "UNAVAILABLE", ""):
            before.clear()
            before[""] = seen
        else:
            before.pop("", None)
            before[code] = seen
        self.next += 1
        self.ring.append(seen)
        while len(self.ring) > self.size:
            self.ring.popleft()


def items_of(root: ET.Element) -> Iterator[Item]:
    """The data items of a device model, depth first."""

    def below(element: ET.Element, device: str) -> Iterator[Item]:
        for child in element:
            tag = child.tag.rpartition("}")[2]
            if tag == "DataItems":
                for one in child:
                    units = (one.attrib.get("nativeUnits", ""), one.attrib.get("units", ""))
                    yield Item(
                        one.attrib["id"],
                        one.attrib.get("name", ""),
                        one.attrib["category"],
                        one.attrib["type"],
                        device,
                        element.tag.rpartition("}")[2],
                        element.attrib.get("id", ""),
                        _TO_UNITS.get(units, 1.0),
                    )
            else:
                yield from below(child, child.attrib.get("name", "") if tag == "Device" else device)

    yield from below(root, "")


def _converted(value: str, factor: float) -> str:
    if factor == 1.0:
        return value
    try:
        return f"{float(value) * factor:.9g}"
    except ValueError:
        return value
