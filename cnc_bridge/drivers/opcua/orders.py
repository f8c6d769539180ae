"""What a machine that opted in is told: hold the feed, by a method or a written node, made ready beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.ua_utils import data_type_to_variant_type
from asyncua.ua import uaerrors
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from cnc_bridge.drivers.opcua.browsing import Limits, children
from cnc_bridge.drivers.opcua.settings import HoldBy
from cnc_bridge.port import DriverFaultError

_REFUSED = (uaerrors.BadUserAccessDenied, uaerrors.BadNotExecutable, uaerrors.BadNotWritable)


@dataclass(frozen=True, slots=True)
class Hold:
    """One request, whole: at the time that counts it only has to be sent."""

    call: ua.CallMethodRequest | None = None
    write: ua.WriteParameters | None = None

    async def send(self, client: Client) -> None:
        """Returns when the controller has taken it. Raises UaError when it refuses."""
        if self.call is not None:
            (result,) = await client.uaclient.session.call([self.call])
            result.StatusCode.check()
        if self.write is not None:
            (status,) = await client.uaclient.session.write(self.write)
            status.check()


async def prepare_hold(client: Client, by: HoldBy, limits: Limits) -> Hold:
    """The request that `by` stands for, its values typed as the server wants them. Raises UaError."""
    if by.method is not None and by.object is not None:
        method = ua.NodeId.from_string(by.method)
        types = await _argument_types(client, method, limits)
        if len(types) != len(by.args):
            raise ValueError(f"{by.method} takes {len(types)} arguments, `args` has {len(by.args)}")
        arguments = [ua.Variant(value, kind) for value, kind in zip(by.args, types, strict=True)]
        call = ua.CallMethodRequest(
            ObjectId=ua.NodeId.from_string(by.object), MethodId=method, InputArguments=arguments
        )
        return Hold(call=call)
    assert by.node is not None
    node = client.get_node(by.node)
    kind = await data_type_to_variant_type(client.get_node(await node.read_data_type()))
    value = ua.WriteValue(
        NodeId=node.nodeid,
        AttributeId=ua.IntegerId(int(AttributeIds.Value)),
        Value=ua.DataValue(ua.Variant(by.value, kind)),
    )
    return Hold(write=ua.WriteParameters(NodesToWrite=[value]))


async def _argument_types(client: Client, method: ua.NodeId, limits: Limits) -> list[ua.VariantType]:
    (properties,) = await children(client, [method], limits)
    for each in properties:
        if each.BrowseName.Name == "InputArguments":
            arguments = await client.get_node(each.NodeId).read_value()
            return [await data_type_to_variant_type(client.get_node(argument.DataType)) for argument in arguments or []]
    return []


def refused(error: UaError | ValueError, endpoint: str, what: str, what_fr: str) -> DriverFaultError:
    """An order that did not go through, as a fault for log and page."""
    if isinstance(error, _REFUSED):
        return DriverFaultError(
            "not_permitted",
            f"{endpoint}: our user may not {what} ({type(error).__name__})",
            f"La machine refuse à notre utilisateur de {what_fr} : lui en donner le droit dans le serveur OPC UA.",
        )
    return DriverFaultError(
        "order_refused",
        f"{endpoint}: the server refuses to {what} ({type(error).__name__}: {error})".split("\n", 1)[0][:300],
        f"La machine refuse de {what_fr} ({type(error).__name__}) : vérifier sa configuration et son état.",
    )
