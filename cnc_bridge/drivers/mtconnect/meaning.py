"""Which data item of a device's model is which signal: by type, subtype and component, as the standard names them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cnc_bridge.drivers.mtconnect.documents import DataItem, Device

_SCALES = {
    "MILLIMETER/SECOND": 60.0,  # shown as mm/min
    "REVOLUTION/SECOND": 60.0,
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """A signal, the data item that gives it, and what its numbers are multiplied by."""

    signal: str
    item: DataItem
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class _Rule:
    """`signal` is the first item of one of `types` whose subtype is among `sub_types`, the earlier the better."""

    signal: str
    types: tuple[str, ...]
    sub_types: tuple[str, ...] = ("",)
    of_path: bool = False
    """Whether each channel of the machine has its own."""
    fits: Callable[[DataItem], bool] = lambda _: True


def _says_spindle(item: DataItem) -> bool:
    """Mazak tells the load of the C axis and of the spindle in one component: ``Cload`` and ``Sload``."""
    return re.match(r"S\d*_?(load)?", item.name, re.IGNORECASE) is not None


_RULES = (
    _Rule("availability", ("AVAILABILITY",)),
    _Rule("emergency_stop", ("EMERGENCY_STOP",)),
    _Rule("functional_mode", ("FUNCTIONAL_MODE",)),
    _Rule("execution", ("EXECUTION",), of_path=True),
    _Rule("mode", ("CONTROLLER_MODE",), of_path=True),
    _Rule("programme", ("PROGRAM",), ("", "MAIN", "ACTIVE"), of_path=True),
    _Rule("tool", ("TOOL_NUMBER", "TOOL_ID", "TOOL_ASSET_ID"), of_path=True),
    _Rule("part_count", ("PART_COUNT",), ("", "ALL", "COMPLETE", "GOOD"), of_path=True),
    _Rule("feed", ("PATH_FEEDRATE",), ("ACTUAL", ""), of_path=True, fits=lambda item: item.units != "PERCENT"),
    _Rule("feed_override", ("PATH_FEEDRATE_OVERRIDE",), ("PROGRAMMED", "", "OVERRIDE"), of_path=True),
    _Rule(
        "feed_override", ("PATH_FEEDRATE",), ("OVERRIDE", ""), of_path=True, fits=lambda item: item.units == "PERCENT"
    ),
    _Rule("rapid_override", ("PATH_FEEDRATE_OVERRIDE",), ("RAPID",), of_path=True),
)
_SPINDLE_RULES = (
    _Rule("speed", ("ROTARY_VELOCITY", "SPINDLE_SPEED"), ("ACTUAL", ""), fits=lambda item: item.units != "PERCENT"),
    _Rule("override", ("ROTARY_VELOCITY_OVERRIDE",), ("PROGRAMMED", "", "OVERRIDE")),
    _Rule("override", ("ROTARY_VELOCITY", "SPINDLE_SPEED"), ("OVERRIDE",)),
    _Rule("load", ("LOAD",), ("ACTUAL", ""), fits=_says_spindle),
    _Rule("load", ("LOAD",), ("ACTUAL", "")),
    _Rule("temperature", ("TEMPERATURE",), ("ACTUAL", "")),
)


def meanings(device: Device, path: str | None = None) -> list[Meaning]:
    """The signals of `device`; of a machine with several channels, those of the channel named `path`, else the first.

    Spindles are the rotary components that turn (ROTARY_VELOCITY) or say that they are one; the first with a load is
    `spindle_…`, others `spindle2_…` and on. Every other load and temperature is named after its component.
    """
    items = [item for item in device.items if item.category != "CONDITION" and _single(item)]
    found: dict[str, Meaning] = {}
    for rule in _RULES:
        _apply(rule, rule.signal, _of_channel(items, path) if rule.of_path else items, found)
    spindles = _spindles(items)
    for number, spindle in enumerate(spindles, 1):
        own = [item for item in items if item.parents[-1].id == spindle]
        for rule in _SPINDLE_RULES:
            _apply(rule, f"spindle{number if number > 1 else ''}_{rule.signal}", own, found)
    if "spindle_override" not in found:  # some models put it on the channel
        _apply(_SPINDLE_RULES[1], "spindle_override", _of_channel(items, path), found)
    _name_the_rest(items, found)
    return list(found.values())


def conditions(device: Device) -> list[DataItem]:
    """The conditions of `device`: its alarms."""
    return [item for item in device.items if item.category == "CONDITION"]


def channels(device: Device) -> list[str]:
    """The names of the machine's channels, where execution is told for each."""
    of = [item.parents[-1] for item in device.items if item.type == "EXECUTION" and item.category == "EVENT"]
    return [component.name or component.id for component in of]


def is_robot(device: Device) -> bool:
    """Whether the model, or its maker's description, says that this is a robot."""
    if any("robot" in component.kind.lower() for item in device.items for component in item.parents):
        return True
    return "robot" in device.description.lower() or "robot" in device.name.lower()


def _apply(rule: _Rule, signal: str, items: Iterable[DataItem], found: dict[str, Meaning]) -> None:
    if signal in found:
        return
    candidates = [
        (rule.types.index(item.type), rule.sub_types.index(item.sub_type), at, item)
        for at, item in enumerate(items)
        if item.type in rule.types and item.sub_type in rule.sub_types and rule.fits(item)
    ]
    if candidates:
        item = min(candidates, key=lambda candidate: candidate[:3])[3]
        found[signal] = Meaning(signal, item, _scale(item))


def _scale(item: DataItem) -> float:
    return _SCALES.get(item.units, 1.0) if item.category == "SAMPLE" else 1.0


def _single(item: DataItem) -> bool:
    return item.representation in ("VALUE", "DISCRETE", "TIME_SERIES", "")


def _of_channel(items: list[DataItem], path: str | None) -> list[DataItem]:
    """The items of one channel, then those above and beside all channels.

    The channel is the component with the EXECUTION: the one named `path`, or the first. What belongs to another
    channel is left out.
    """
    with_execution = [item.parents[-1] for item in items if item.type == "EXECUTION"]
    if not with_execution:
        return items
    chosen = next((one for one in with_execution if path in (one.name, one.id)), with_execution[0])
    others = {one.id for one in with_execution} - {chosen.id}
    inside = [item for item in items if any(parent.id == chosen.id for parent in item.parents)]
    rest = [item for item in items if item not in inside and not any(parent.id in others for parent in item.parents)]
    return inside + rest


def _spindles(items: list[DataItem]) -> list[str]:
    """Ids of the components that are spindles, the main one first: the first whose load is told."""
    ids: list[str] = []
    for item in items:
        component = item.parents[-1]
        turns = item.type in ("ROTARY_VELOCITY", "SPINDLE_SPEED") and item.category == "SAMPLE"
        declared = item.type == "ROTARY_MODE" and item.constraint.upper() == "SPINDLE"
        if (turns or declared or component.kind == "Spindle") and component.id not in ids:
            ids.append(component.id)
    loaded = {item.parents[-1].id for item in items if item.type == "LOAD"}
    return sorted(ids, key=lambda one: one not in loaded)


def _name_the_rest(items: list[DataItem], found: dict[str, Meaning]) -> None:
    """Loads and temperatures without a signal yet, by the name of their component: `x_load`, `coolant_temperature`."""
    taken = {meaning.item.id for meaning in found.values()}
    for item in items:
        kind = {"LOAD": "load", "TEMPERATURE": "temperature"}.get(item.type)
        if kind is None or item.category != "SAMPLE" or item.id in taken or item.sub_type not in ("", "ACTUAL"):
            continue
        component = item.parents[-1]
        signal = next(
            (name for name in _names(component.name or component.kind, item.name, kind) if name not in found), None
        )
        if signal is not None:
            found[signal] = Meaning(signal, item)


def _names(component: str, item: str, kind: str) -> Iterator[str]:
    slug = _slug(component)
    if slug:
        yield f"{slug}_{kind}"
    own = _slug(item)
    if own and own != slug:
        yield own if own.endswith(kind) else f"{own}_{kind}"
    yield from (f"{slug or 'other'}{number}_{kind}" for number in range(2, 20))


def _slug(name: str) -> str:
    """A name as signals have it: `^[a-z][a-z0-9_]*$`, short; empty when nothing of it can be kept."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("0123456789_")[:40]
