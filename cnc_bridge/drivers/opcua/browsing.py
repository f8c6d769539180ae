"""Reading a server's address space: what is below a node, breadth first, many nodes a request, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from cnc_bridge.drivers.opcua.values import node_number, plain

_T = TypeVar("_T")
_PER_CALL = 500
HIERARCHICAL = node_number(ObjectIds.HierarchicalReferences)
HAS_SUBTYPE = node_number(ObjectIds.HasSubtype)


@dataclass(frozen=True, slots=True)
class Found:
    """A node below another: `path` of browse names from there, without namespaces."""

    path: tuple[str, ...]
    node_id: ua.NodeId
    node_class: ua.NodeClass
    type_definition: ua.NodeId


@dataclass(frozen=True, slots=True)
class Limits:
    """How many nodes the server takes in one request (its OperationLimits)."""

    read: int = _PER_CALL
    browse: int = _PER_CALL
    monitor: int = _PER_CALL


async def operation_limits(client: Client) -> Limits:
    """What the server says of itself; 500 where it says nothing, or nothing believable."""
    asked = (
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
        ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    )
    answers = await client.uaclient.session.read_attributes(
        [node_number(number) for number in asked], AttributeIds.Value
    )
    said = [answer.Value.Value if answer.Value is not None else 0 for answer in answers]
    return Limits(*(min(_PER_CALL, value) if isinstance(value, int) and value > 0 else _PER_CALL for value in said))


def chunks(values: Sequence[_T], size: int) -> Iterator[list[_T]]:
    """`values` in lists of at most `size`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


async def read_values(client: Client, nodes: Sequence[ua.NodeId], limits: Limits) -> list[ua.DataValue]:
    """The Value attribute of each node, in order; a node that is not there has a bad status."""
    answers: list[ua.DataValue] = []
    for chunk in chunks(nodes, limits.read):
        answers += await client.uaclient.session.read_attributes(chunk, AttributeIds.Value)
    return answers


async def children(
    client: Client,
    parents: Sequence[ua.NodeId],
    limits: Limits,
    reference: ua.NodeId = HIERARCHICAL,
    classes: ua.NodeClass = ua.NodeClass.Unspecified,
) -> list[list[ua.ReferenceDescription]]:
    """The references of each parent, forward, with those of its subtypes; a node that is not there has none."""
    found: list[list[ua.ReferenceDescription]] = []
    session = client.uaclient.session
    for chunk in chunks(parents, limits.browse):
        asked = [
            ua.BrowseDescription(
                NodeId=parent,
                BrowseDirection=ua.BrowseDirection.Forward,
                ReferenceTypeId=reference,
                IncludeSubtypes=True,
                NodeClassMask=ua.UInt32(int(classes)),
                ResultMask=ua.UInt32(int(ua.BrowseResultMask.All)),
            )
            for parent in chunk
        ]
        for answer in await session.browse(ua.BrowseParameters(NodesToBrowse=asked)):
            references = list(answer.References or [])
            point = answer.ContinuationPoint
            while point:
                more = await session.browse_next(
                    ua.BrowseNextParameters(ReleaseContinuationPoints=False, ContinuationPoints=[point])
                )
                references += more[0].References or []
                point = more[0].ContinuationPoint
            found.append(references)
    return found


async def tree(
    client: Client, root: ua.NodeId, limits: Limits, *, depth: int, most: int, skip: Iterable[ua.NodeId] = ()
) -> list[Found]:
    """Everything below `root` down to `depth`, at most about `most` nodes, each once, nearest first."""
    seen = {root, *skip}
    level: list[Found] = [Found((), root, ua.NodeClass.Object, ua.NodeId())]
    found: list[Found] = []
    for _ in range(depth):
        below: list[Found] = []
        for parent, references in zip(
            level, await children(client, [each.node_id for each in level], limits), strict=True
        ):
            for reference in references:
                node_id = plain(reference.NodeId)
                if node_id in seen or reference.NodeClass not in _FOLLOWED:
                    continue
                seen.add(node_id)
                path = (*parent.path, reference.BrowseName.Name)
                below.append(Found(path, node_id, reference.NodeClass, plain(reference.TypeDefinition)))
        found += below
        level = [each for each in below if each.node_class != ua.NodeClass.Method]
        if not level or len(found) >= most:
            break
    return found


async def with_subtypes(client: Client, kind: ua.NodeId, limits: Limits) -> set[ua.NodeId]:
    """A type and all that derive from it."""
    known, level = {kind}, [kind]
    while level:
        answers = await children(client, level, limits, HAS_SUBTYPE)
        level = [node for each in answers for node in (plain(r.NodeId) for r in each) if node not in known]
        known.update(level)
    return known


_FOLLOWED = (ua.NodeClass.Object, ua.NodeClass.Variable, ua.NodeClass.Method)
