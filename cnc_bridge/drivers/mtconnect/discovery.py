"""Is there an MTConnect agent at an address? Its probe document says so, and names its devices."""

from __future__ import annotations

from cnc_bridge.drivers.mtconnect.agent import Agent
from cnc_bridge.drivers.mtconnect.driver import ControllerDriver
from cnc_bridge.drivers.mtconnect.settings import Settings
from cnc_bridge.port import DriverFaultError, Finding
from cnc_bridge.probing import Address, Offer

PORT = 5000
_NOT_THERE = frozenset({"unknown_host", "refused", "no_answer", "unreachable", "not_mtconnect", "tls"})


async def discover(address: Address) -> Offer | None:
    """An offer when an agent answers there (port 5000 when the address names none); one line a device."""
    if not address.host or address.scheme not in ("", "http", "https"):
        return None
    host = f"[{address.host}]" if ":" in address.host else address.host
    before = address.path.rstrip("/").removesuffix("/probe").removesuffix("/current")  # as copied from a browser
    url = f"{address.scheme or 'http'}://{host}:{address.port or PORT}{before}"
    try:
        settings = Settings(kind="mtconnect", url=url, timeout_s=3.0)
        async with Agent(settings) as agent:
            header, devices = await agent.devices()
    except DriverFaultError as fault:
        if fault.code in _NOT_THERE:
            return None
        raise
    labels = [device.label for device in devices]
    lines = ['kind = "mtconnect"', f'url = "{url}"']
    if len(labels) > 1:
        lines.append(f'device = "{labels[0]}"  # or: {", ".join(labels[1:])}')
        found = [Finding("note", "devices", ", ".join(labels))]
    else:
        found = await ControllerDriver(settings).probe()
    return Offer("mtconnect", f"MTConnect agent {header.version}: {', '.join(labels)}", "\n".join(lines) + "\n", found)
