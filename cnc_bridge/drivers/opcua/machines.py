"""The machine behind a server, found by its type, and its nodes as signals: nothing is mapped by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.object_ids import ObjectIds

from cnc_bridge.drivers.opcua import companions
from cnc_bridge.drivers.opcua.browsing import Found, Limits, children, read_values, tree, with_subtypes
from cnc_bridge.drivers.opcua.companions import COMPANIONS, Candidate, Companion
from cnc_bridge.drivers.opcua.settings import NodeSource
from cnc_bridge.drivers.opcua.values import node_number, plain, raw_value
from cnc_bridge.model import SIGNALS, BadValueError, clean

_SERVER_OBJECT = node_number(ObjectIds.Server)
_OBJECTS = node_number(ObjectIds.ObjectsFolder)
_MACHINE_DEPTH, _MACHINE_NODES = 9, 4000
_SEARCH_DEPTH, _SEARCH_NODES = 4, 5000


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance of a standard type on this server."""

    name: str
    node_id: ua.NodeId
    companion: Companion


@dataclass(frozen=True, slots=True)
class Mapped:
    """What was found below a machine. `notifiers`: nodes whose events are its alarms, best first."""

    signals: Mapping[str, NodeSource] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    notifiers: tuple[ua.NodeId, ...] = ()
    programmes: ua.NodeId | None = None


async def find_machines(client: Client, limits: Limits) -> list[Machine]:
    """Machines of the types we know: first in Objects/Machines (OPC 40001-1), else in the tree, to a bounded depth."""
    namespaces = await client.get_namespace_array()
    kinds: dict[ua.NodeId, Companion] = {}
    for companion in COMPANIONS:
        if companion.namespace in namespaces:
            number = node_number(companion.type_number, namespaces.index(companion.namespace))
            kinds |= dict.fromkeys(await with_subtypes(client, number, limits), companion)
    if not kinds:
        return []
    if companions.MACHINERY in namespaces:
        folder = node_number(companions.MACHINES_FOLDER, namespaces.index(companions.MACHINERY))
        (listed,) = await children(client, [folder], limits)
        if found := [
            Machine(each.BrowseName.Name, plain(each.NodeId), kinds[plain(each.TypeDefinition)])
            for each in listed
            if plain(each.TypeDefinition) in kinds
        ]:
            return found
    everywhere = await tree(client, _OBJECTS, limits, depth=_SEARCH_DEPTH, most=_SEARCH_NODES, skip=(_SERVER_OBJECT,))
    return [
        Machine(each.path[-1], each.node_id, kinds[each.type_definition])
        for each in everywhere
        if each.type_definition in kinds
    ]


def chosen(machines: Sequence[Machine], wanted: str | None) -> list[Machine]:
    """Those that `wanted` names (browse name or node id); all when nothing is wanted."""
    if wanted is None:
        return list(machines)
    return [machine for machine in machines if wanted in (machine.name, machine.node_id.to_string())]


async def map_machine(client: Client, machine: Machine, limits: Limits, *, alone: bool = True) -> Mapped:
    """The signals of `machine`: of each one's candidates the first whose present value makes sense.

    `alone` on its server: then its alarms come from the Server object, which also says where a refresh begins and ends.
    """
    below = await tree(client, machine.node_id, limits, depth=_MACHINE_DEPTH, most=_MACHINE_NODES)
    variables = sorted((each for each in below if each.node_class == ua.NodeClass.Variable), key=lambda each: each.path)
    offered = [
        (signal, candidate, each)
        for signal, candidates in machine.companion.signals.items()
        for candidate in candidates
        for each in variables
        if candidate.fits(each.path)
    ]
    answers = await read_values(client, [each.node_id for _, _, each in offered], limits)
    best: dict[str, tuple[bool, Candidate, Found]] = {}
    for (signal, candidate, each), answer in zip(offered, answers, strict=True):
        usable = _makes_sense(signal, candidate, answer)
        if signal not in best or (usable and not best[signal][0]):
            best[signal] = (usable, candidate, each)
    objects = {"/".join(each.path): each.node_id for each in below if each.node_class == ua.NodeClass.Object}
    return Mapped(
        {
            signal: NodeSource(node=each.node_id.to_string(), words=dict(candidate.words))
            for signal, (_, candidate, each) in best.items()
        },
        {signal: "/".join(each.path) for signal, (_, _, each) in best.items()},
        _notifiers(objects.get(machine.companion.messages), alone=alone),
        _first_directory(below, machine.companion),
    )


def _notifiers(messages: ua.NodeId | None, *, alone: bool) -> tuple[ua.NodeId, ...]:
    if messages is None:
        return (_SERVER_OBJECT,) if alone else ()
    return (_SERVER_OBJECT, messages) if alone else (messages,)


def _makes_sense(signal: str, candidate: Candidate, answer: ua.DataValue) -> bool:
    raw = raw_value(answer)
    if raw is None:
        return False
    if candidate.words:
        return (str(raw).lower() if isinstance(raw, bool) else str(raw)) in candidate.words
    try:
        return clean(SIGNALS[signal], raw) is not None
    except BadValueError:
        return False


def _first_directory(below: Sequence[Found], companion: Companion) -> ua.NodeId | None:
    for path in companion.programmes:
        for each in below:
            if each.node_class == ua.NodeClass.Object and Candidate(path).fits(each.path):
                return each.node_id
    return None
