"""Modbus exception codes as sentences (Modbus Application Protocol V1.1b3, section 7)."""

from __future__ import annotations

from cnc_bridge.drivers.modbus.settings import Settings
from cnc_bridge.port import DriverFaultError
from cnc_bridge.registers import RefusedError

SERVICE, SERVICE_FR = "the Modbus server", "le serveur Modbus"

BUSY = (5, 6)
"""Exception codes of a device that asks to be asked again."""

_REFUSED = {
    1: ("illegal_function", "this table cannot be read here", "l'appareil n'a pas cette table (code 1)"),
    2: ("illegal_address", "no such register", "ce registre n'existe pas dans l'appareil (code 2)"),
    3: ("illegal_value", "the request is too long for it", "demande refusée, trop longue ? (code 3)"),
    4: ("device_failure", "the device failed to read it", "l'appareil n'a pas pu le lire (code 4)"),
    8: ("device_failure", "parity error of its memory", "mémoire de l'appareil en défaut (code 8)"),
}


def refusal(code: int, settings: Settings) -> Exception:
    """The exception answer `code`: of one span, or of the whole device."""
    where, unit = settings.address, settings.device_id
    if code in (10, 11):
        return DriverFaultError(
            "wrong_unit",
            f"{where}: the gateway reaches no unit {unit} (exception {code})",
            f"La passerelle ne trouve pas l'appareil n° {unit} : vérifier `device_id` et le câblage derrière elle.",
        )
    if code in BUSY:
        return DriverFaultError(
            "busy",
            f"{where}: the device is busy (exception {code})",
            "L'appareil est occupé ; nouvelle tentative automatique. Si cela dure, allonger `period_s`.",
        )
    said = _REFUSED.get(code, ("device_failure", f"exception {code}", f"refus de l'appareil (code {code})"))
    return RefusedError(*said)
