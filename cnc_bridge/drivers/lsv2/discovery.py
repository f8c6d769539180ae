"""Is it a Heidenhain controller? It is asked for its name, as every LSV/2 client does, and left."""

from __future__ import annotations

from cnc_bridge.drivers.lsv2.driver import ControllerDriver
from cnc_bridge.drivers.lsv2.settings import Settings
from cnc_bridge.port import DriverFaultError
from cnc_bridge.probing import Address, Offer

PORT = 19000


async def discover(address: Address) -> Offer | None:
    """An offer with what the usual places say."""
    if not address.host or address.scheme not in ("", "lsv2"):
        return None
    port = address.port or PORT
    settings = Settings(kind="lsv2", host=address.host, port=port, timeout_s=3.0)
    try:
        findings = await ControllerDriver(settings).probe()
    except DriverFaultError as fault:
        if fault.code == "login_denied":
            raise
        return None
    refused = [finding.name for finding in findings if not finding.ok]
    lines = ['kind = "lsv2"', f'host = "{address.host}"', *([f"port = {port}"] if port != PORT else [])]
    if refused:
        lines += ["", "[driver.signals]", "# not given by this controller:", *(f'{name} = ""' for name in refused)]
    return Offer("lsv2", f"Heidenhain ({findings[0].value})", "\n".join(lines) + "\n", findings)
