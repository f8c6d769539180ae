"""From the wire's values to ours."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_BAD = 0x8000_0000


def node_number(number: int, namespace: int = 0) -> ua.NodeId:
    """The node with this number: what the specifications call `ns=<namespace>;i=<number>`."""
    return ua.NodeId(ua.Int32(number), ua.Int16(namespace))


def plain(node_id: ua.NodeId) -> ua.NodeId:
    """Without the server index and namespace URI of an expanded one: as all requests name it."""
    return ua.NodeId(node_id.Identifier, node_id.NamespaceIndex, node_id.NodeIdType)


def raw_value(answer: ua.DataValue) -> object:
    """The value as the configuration's `words` and the model know it; None where the quality is bad."""
    if answer.Value is None or (answer.StatusCode is not None and answer.StatusCode.value >= _BAD):
        return None
    value: object = answer.Value.Value
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, ua.QualifiedName):
        return value.Name
    if isinstance(value, ua.NodeId):
        return value.to_string()
    return value


def same(one: object, other: object) -> bool:
    """Whether two raw values say the same; "not a number" is the same as itself."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one == other


def unknown(status: ua.StatusCode | None) -> bool:
    """Whether this status says that there is no such node."""
    return status is not None and status.value in (StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid)


def utc(time: datetime | None) -> datetime | None:
    """Aware UTC; the years before 2000 are a controller that does not know."""
    if time is None:
        return None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    elif time.tzinfo is not UTC:
        time = time.astimezone(UTC)
    return time if time > _EARLIEST else None
