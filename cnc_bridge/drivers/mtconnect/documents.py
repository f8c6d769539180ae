"""An agent's XML documents: devices, streams, errors. Bytes to values; no input or output.

Namespaces and versions (1.2 to 2.x) are passed over: names are what counts. A document type is refused, so that no
entity can be declared (billion laughs, external files), and depth is bounded; size is the reader's to bound.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree as ET  # nosec B405  # only its element type; expat refuses every DOCTYPE
from xml.parsers import expat

import msgspec

from cnc_bridge.drivers.shdr.lines import parse_time

MAX_DEPTH = 64


class BadDocumentError(ValueError):
    """Not a document that an agent may send; the text is for the log."""


class AgentError(Exception):
    """The agent answered with an MTConnectError document."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Header(msgspec.Struct, frozen=True):
    """Of every document. `first`, `last`, `next`: sequence numbers, in streams; `instance` changes when it restarts."""

    instance: int
    version: str
    buffer_size: int = 0
    first: int = 0
    last: int = 0
    next: int = 0


class Component(msgspec.Struct, frozen=True):
    """A part of a device, as its model names it: `kind` Linear, Path, Controller, Robot…"""

    kind: str
    id: str
    name: str


class DataItem(msgspec.Struct, frozen=True):
    """One data item of a device's model. `type` and `sub_type` in the standard's capitals, vendor prefix kept."""

    id: str
    name: str
    category: str
    """SAMPLE, EVENT or CONDITION"""
    type: str
    sub_type: str
    units: str
    representation: str
    parents: tuple[Component, ...]
    """From the device down to the component that it belongs to."""
    constraint: str = ""


class Device(msgspec.Struct, frozen=True):
    """A device and its data items, in the model's order."""

    name: str
    uuid: str
    description: str
    items: list[DataItem]

    @property
    def label(self) -> str:
        return self.name or self.uuid


class Observation(msgspec.Struct, frozen=True):
    """One value of one data item. Of a condition, `level` is NORMAL, WARNING, FAULT or UNAVAILABLE."""

    item: str
    sequence: int
    time: datetime | None
    value: str
    level: str = ""
    code: str = ""
    text: str = ""
    rate: float | None = None
    """Of a time series: values per second; the last has the observation's time."""
    series: bool = False
    entries: dict[str, str | None] | None = None
    """Of a data set: what changed in it; None for an entry that was removed."""


class Streams(msgspec.Struct, frozen=True):
    header: Header
    observations: list[Observation]


def read_devices(data: bytes) -> tuple[Header, list[Device]]:
    """A probe's answer; the agent's own pseudo-device is left out. Raises BadDocumentError, AgentError."""
    root = _root(data, "MTConnectDevices")
    devices = [_device(element) for parent in _named(root, "Devices") for element in _named(parent, "Device")]
    return _header(root), devices


def read_streams(data: bytes) -> Streams:
    """The answer of current or sample, by sequence. Raises BadDocumentError, AgentError."""
    root = _root(data, "MTConnectStreams")
    found = [
        _observation(element, kind)
        for group in root.iter()
        if (kind := _local(group)) in ("Samples", "Events", "Condition") and "dataItemId" not in group.attrib
        for element in group
        if "dataItemId" in element.attrib
    ]
    return Streams(_header(root), sorted(found, key=lambda one: one.sequence))


def _root(data: bytes, expected: str) -> ET.Element:
    root = _parse(data)
    kind = _local(root)
    if kind == "MTConnectError":
        for element in root.iter():
            if "errorCode" in element.attrib:
                raise AgentError(element.attrib["errorCode"][:80], "".join(element.itertext()).strip()[:300])
        raise AgentError("UNKNOWN", "an error without a code")
    if kind != expected:
        raise BadDocumentError(f"a document {kind[:40]!r} where {expected} was expected")
    return root


def _parse(data: bytes) -> ET.Element:
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator=" ")
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise BadDocumentError(f"elements nested deeper than {MAX_DEPTH}")
        builder.start(name, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(name)

    def refuse(name: str, *_: object) -> None:
        raise BadDocumentError(f"a document type ({name[:40]!r}), which no agent needs")

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(data, True)
        return builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        if isinstance(error, BadDocumentError):
            raise
        raise BadDocumentError(f"unreadable XML: {error}") from error


def _local(element: ET.Element) -> str:
    return element.tag.rpartition(" ")[2]


def _named(parent: ET.Element, name: str) -> Iterator[ET.Element]:
    return (child for child in parent if _local(child) == name)


def _header(root: ET.Element) -> Header:
    for element in _named(root, "Header"):
        said = element.attrib
        try:
            return Header(
                int(said["instanceId"]),
                said.get("version", ""),
                int(said.get("bufferSize", 0)),
                int(said.get("firstSequence", 0)),
                int(said.get("lastSequence", 0)),
                int(said.get("nextSequence", 0)),
            )
        except (KeyError, ValueError) as error:
            raise BadDocumentError(f"a header without usable {error}") from error
    raise BadDocumentError("no header")


def _device(element: ET.Element) -> Device:
    said = element.attrib
    described = next(_named(element, "Description"), None)
    words = [] if described is None else [*described.attrib.values(), described.text or ""]
    items: list[DataItem] = []
    _collect(element, (Component("Device", said.get("id", ""), said.get("name", "")),), items)
    description = " ".join(" ".join(words).split())
    return Device(said.get("name", ""), said.get("uuid", ""), description, items)


def _collect(element: ET.Element, parents: tuple[Component, ...], items: list[DataItem]) -> None:
    for group in _named(element, "DataItems"):
        items += [made for item in _named(group, "DataItem") if (made := _data_item(item, parents)) is not None]
    for group in _named(element, "Components"):
        for child in group:
            said = child.attrib
            component = Component(_local(child), said.get("id", ""), said.get("name") or said.get("nativeName") or "")
            _collect(child, (*parents, component), items)


def _data_item(element: ET.Element, parents: tuple[Component, ...]) -> DataItem | None:
    said = element.attrib
    category = said.get("category", "").upper()
    if not said.get("id") or category not in {"SAMPLE", "EVENT", "CONDITION"}:
        return None
    constraint = " ".join((value.text or "").strip() for group in _named(element, "Constraints") for value in group)
    return DataItem(
        said["id"],
        said.get("name", ""),
        category,
        said.get("type", "").upper(),
        said.get("subType", "").upper(),
        said.get("units", "").upper(),
        said.get("representation", "VALUE").upper(),
        parents,
        constraint,
    )


def _observation(element: ET.Element, group: str) -> Observation:
    said = element.attrib
    try:
        sequence = int(said["sequence"])
        time = parse_time(said.get("timestamp", ""))
    except (KeyError, ValueError) as error:
        raise BadDocumentError(f"an observation without usable {error}") from error
    text, item = (element.text or "").strip(), said["dataItemId"]
    if group == "Condition":
        code = said.get("nativeCode") or said.get("conditionId") or ""
        words = text or said.get("qualifier", "")
        return Observation(item, sequence, time, text, _local(element).upper(), code, words)
    entries = {
        entry.attrib.get("key", ""): None if entry.attrib.get("removed") == "true" else (entry.text or "").strip()
        for entry in _named(element, "Entry")
    }
    rate = None
    if "sampleCount" in said:
        try:
            rate = float(said.get("sampleRate", 0)) or None
        except ValueError:
            rate = None
    return Observation(item, sequence, time, text, rate=rate, series="sampleCount" in said, entries=entries or None)
