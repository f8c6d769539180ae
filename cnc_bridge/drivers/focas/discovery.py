"""Is it a Fanuc controller? A session is opened, its series is asked, and the session is given back."""

from __future__ import annotations

from cnc_bridge.drivers.focas.driver import ControllerDriver
from cnc_bridge.drivers.focas.settings import Settings
from cnc_bridge.port import DriverFaultError
from cnc_bridge.probing import Address, Offer

PORT = 8193


async def discover(address: Address) -> Offer | None:
    """An offer with what the usual places say."""
    if not address.host or address.scheme not in ("", "focas"):
        return None
    port = address.port or PORT
    settings = Settings(kind="focas", host=address.host, port=port, timeout_s=3.0)
    try:
        findings = await ControllerDriver(settings).probe()
    except DriverFaultError as fault:
        if fault.code == "too_many_sessions":
            raise
        return None
    refused = [finding.name for finding in findings if not finding.ok]
    lines = ['kind = "focas"', f'host = "{address.host}"', *([f"port = {port}"] if port != PORT else [])]
    if refused:
        lines += ["", "[driver.signals]", "# not given by this controller:", *(f'{name} = ""' for name in refused)]
    return Offer("focas", f"Fanuc FOCAS ({findings[0].value})", "\n".join(lines) + "\n", findings)
