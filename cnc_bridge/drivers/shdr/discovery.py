"""Is there an SHDR adapter at an address? It speaks first, or answers a PING."""

from __future__ import annotations

from cnc_bridge.drivers.shdr.driver import ControllerDriver
from cnc_bridge.drivers.shdr.settings import Settings
from cnc_bridge.port import DriverFaultError
from cnc_bridge.probing import Address, Offer

PORT = 7878


async def discover(address: Address) -> Offer | None:
    """An offer when an adapter speaks there (port 7878 when the address names none)."""
    if not address.host or address.scheme not in ("", "shdr"):
        return None
    port = address.port or PORT
    settings = Settings(kind="shdr", host=address.host, port=port, connect_timeout_s=3.0)
    try:
        findings = await ControllerDriver(settings).probe()
    except DriverFaultError:
        return None
    if not any(
        finding.kind in ("heartbeat", "key") or (finding.kind == "signal" and finding.ok) for finding in findings
    ):
        return None
    lines = ['kind = "shdr"', f'host = "{address.host}"', f"port = {port}"]
    missing = [finding.name for finding in findings if finding.kind == "signal" and not finding.ok]
    if missing:
        lines.append("[driver.signals]")
        lines += [f'{name} = ""  # not seen: the key of this adapter, see the keys below' for name in missing]
    return Offer("shdr", f"SHDR adapter at {address.host}:{port}", "\n".join(lines) + "\n", findings)
