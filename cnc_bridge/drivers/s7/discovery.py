"""Is it an S7 controller? A connection and its handshake on the slots that are usual; nothing is read but its name."""

from __future__ import annotations

from cnc_bridge.drivers.s7.driver import ControllerDriver
from cnc_bridge.drivers.s7.settings import AddressSource, Settings
from cnc_bridge.port import DriverFaultError, Finding
from cnc_bridge.probing import Address, Offer

PORT = 102
_SLOTS = (1, 2, 0, 3)
_ASK_S = 2.0


async def discover(address: Address) -> Offer | None:
    """An offer without addresses: the controller does not say what they mean."""
    if not address.host or address.scheme not in ("", "s7"):
        return None
    port = address.port or PORT
    for slot in _SLOTS:
        settings = Settings(
            kind="s7",
            host=address.host,
            port=port,
            slot=slot,
            timeout_s=_ASK_S,
            signals={"execution": AddressSource(at="MW0")},
        )
        try:
            name = await ControllerDriver(settings).greet()
        except DriverFaultError as fault:
            if fault.code in ("not_accepted", "closed"):
                continue  # another slot perhaps
            return None
        return _offer(settings, name)
    return None


def _offer(settings: Settings, name: str) -> Offer:
    lines = [
        'kind = "s7"',
        f'host = "{settings.host}"',
        *([f"port = {settings.port}"] if settings.port != PORT else []),
        f"slot = {settings.slot}",
        "",
        "[driver.signals]",
        "# from the controller's own symbol table:",
        'execution = { at = "DB10.DBW0", words = { 0 = "READY", 1 = "ACTIVE" } }',
    ]
    findings = [
        Finding("server", settings.address, name),
        Finding("note", "slot", f"rack 0, slot {settings.slot}"),
        Finding("note", "addresses", "a PLC does not name them: take them from its programme", ok=False),
    ]
    return Offer("s7", f"Siemens S7 ({name})", "\n".join(lines) + "\n", findings)
