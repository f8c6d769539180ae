"""Is it OPC UA, what security does it offer, and is there a machine of a standard type behind it?"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlparse

from asyncua import ua
from asyncua.ua.uaerrors import UaError

from cnc_bridge.drivers.opcua.browsing import operation_limits
from cnc_bridge.drivers.opcua.faults import explain
from cnc_bridge.drivers.opcua.machines import Machine, Mapped, find_machines, map_machine
from cnc_bridge.drivers.opcua.probing import server_findings
from cnc_bridge.drivers.opcua.security import POLICIES, connected, endpoints_of, security_name
from cnc_bridge.drivers.opcua.settings import Settings
from cnc_bridge.port import DriverFaultError, Finding
from cnc_bridge.probing import Address, Offer

PORT = 4840
_TIMEOUT_S = 3.0
_BEST = ("Aes256Sha256RsaPss", "Aes128Sha256RsaOaep", "Basic256Sha256", "None")
_URIS = {policy.URI: name for name, policy in POLICIES.items()}


async def discover(address: Address) -> Offer | None:
    """An offer with the best security there; its machine is looked at only where anybody may read. Only reads."""
    if not address.host or address.scheme not in ("", "opc.tcp"):
        return None
    here = f"opc.tcp://{address.host}:{address.port or PORT}"
    plain = Settings(kind="opcua", endpoint=here + address.path, timeout_s=_TIMEOUT_S, signals={})
    try:
        endpoints = await endpoints_of(plain.endpoint, _TIMEOUT_S)
    except (UaError, OSError, TimeoutError) as error:
        if not address.scheme:
            return None
        raise explain(error, plain) from error
    best = best_endpoint(endpoints)
    url = here + (address.path or urlparse(endpoints[0].EndpointUrl).path if endpoints else "")
    findings = server_findings(url, endpoints)
    machines, mapped = await _machines(url, endpoints, findings)
    title = f"OPC UA, {machines[0].companion.name} {machines[0].name}" if machines else "OPC UA"
    return Offer("opcua", title, _settings_text(url, best, machines, mapped), findings)


def best_endpoint(endpoints: Sequence[ua.EndpointDescription]) -> ua.EndpointDescription | None:
    """The strongest of those that we can speak; SignAndEncrypt before Sign."""
    known = [each for each in endpoints if each.SecurityPolicyUri in _URIS]
    known.sort(key=lambda each: (_BEST.index(_URIS[each.SecurityPolicyUri]), -int(each.SecurityMode)))
    return known[0] if known else None


async def _machines(
    url: str, endpoints: Sequence[ua.EndpointDescription], findings: list[Finding]
) -> tuple[list[Machine], Mapped]:
    """What is there for anybody to see; a server that wants a user or a certificate is not pressed."""
    if not any(_URIS.get(each.SecurityPolicyUri) == "None" and _takes_anybody(each) for each in endpoints):
        findings.append(Finding("note", "machine", "to be seen only with a user or an approved certificate"))
        return [], Mapped()
    config = Settings(kind="opcua", endpoint=url, timeout_s=_TIMEOUT_S, signals={})
    try:
        async with connected(config, lambda *_: None) as client:
            limits = await operation_limits(client)
            machines = await find_machines(client, limits)
            mapped = await map_machine(client, machines[0], limits) if machines else Mapped()
    except (UaError, OSError, TimeoutError, DriverFaultError) as error:
        findings.append(Finding("note", "machine", f"not seen: {error}".split("\n", 1)[0][:120], ok=False))
        return [], Mapped()
    findings += [
        Finding("machine", each.name, f"{each.companion.name}, {each.node_id.to_string()}") for each in machines
    ]
    findings += [
        Finding("signal", name, f"{mapped.paths[name]} ({source.node})") for name, source in mapped.signals.items()
    ]
    return machines, mapped


def _takes_anybody(endpoint: ua.EndpointDescription) -> bool:
    return any(token.TokenType == ua.UserTokenType.Anonymous for token in endpoint.UserIdentityTokens or [])


def _settings_text(url: str, best: ua.EndpointDescription | None, machines: Sequence[Machine], mapped: Mapped) -> str:
    lines = ['kind = "opcua"', f'endpoint = "{url}"']
    security, _, mode = security_name(best).partition(" ") if best is not None else ("None", "", "")
    if security != "None":
        lines += [f'security = "{security}"', f'mode = "{mode}"', "# the machine must approve our certificate once"]
    if best is not None and not _takes_anybody(best):
        lines += ['user = "copeau"', 'password_file = "opcua-password"']
    if len(machines) > 1:
        lines += [f'machine = "{machines[0].name}"  # or {", ".join(each.name for each in machines[1:])}']
    if mapped.signals:
        lines += ["# found by its type, nothing to map:"]
        lines += [f"#   {name:18} {mapped.paths[name]}" for name in mapped.signals]
    if mapped.programmes is not None:
        lines += ['# its programmes can be read and written: allow = ["programme"]']
    lines += ["", "# no standard names these: take the nodes from the machine's manual or a browser such as UaExpert"]
    missing = [name for name in ("execution", "part_count") if name not in mapped.signals]
    lines += ["# [driver.signals]", *(f'# {name} = "ns=2;s=…"' for name in (*missing, "tool", "spindle_load", "feed"))]
    return "\n".join(lines) + "\n"
