"""What a configured server is found to have: `copeau cnc probe --config`."""

from __future__ import annotations

from collections.abc import Sequence

from asyncua import ua
from asyncua.client.client import Client

from cnc_bridge.drivers.opcua.browsing import operation_limits, read_values
from cnc_bridge.drivers.opcua.machines import Mapped, chosen, find_machines, map_machine
from cnc_bridge.drivers.opcua.security import security_name
from cnc_bridge.drivers.opcua.settings import Settings
from cnc_bridge.drivers.opcua.values import raw_value
from cnc_bridge.port import Finding


def server_findings(url: str, endpoints: Sequence[ua.EndpointDescription]) -> list[Finding]:
    """The server and the security that it offers, with the identities that it takes."""
    name = endpoints[0].Server.ApplicationName.Text if endpoints else ""
    return [Finding("server", url, name or "OPC UA server")] + [
        Finding(
            "security",
            security_name(endpoint),
            ", ".join(sorted({token.TokenType.name for token in endpoint.UserIdentityTokens or []})),
        )
        for endpoint in endpoints
    ]


async def machine_findings(client: Client, config: Settings) -> list[Finding]:
    """Its machines, each mapped signal with its present value, its folder of programmes. Raises UaError."""
    limits = await operation_limits(client)
    machines = await find_machines(client, limits) if config.discover else []
    found = [Finding("machine", each.name, f"{each.companion.name}, {each.node_id.to_string()}") for each in machines]
    mine = chosen(machines, config.machine)
    mapped = await map_machine(client, mine[0], limits) if len(mine) == 1 else Mapped()
    sources = dict(mapped.signals) | dict(config.signals)
    nodes = [ua.NodeId.from_string(source.node) for source in sources.values()]
    for (name, source), answer in zip(sources.items(), await read_values(client, nodes, limits), strict=True):
        good = answer.StatusCode is None or answer.StatusCode.is_good()
        said = f"{raw_value(answer)!r:.80}" if good else str(answer.StatusCode.name if answer.StatusCode else "")
        found.append(Finding("signal", name, f"{source.node} = {said}", good))
    if mapped.programmes is not None:
        found.append(Finding("node", "programmes", mapped.programmes.to_string()))
    return found
