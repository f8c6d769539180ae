"""What can go wrong with an S7 controller, in one sentence each, with the next step."""

from __future__ import annotations

import re

from snap7.error import S7Error, S7TimeoutError

from cnc_bridge.drivers.s7.settings import Settings
from cnc_bridge.polling import cannot_connect
from cnc_bridge.port import DriverFaultError
from cnc_bridge.registers import RefusedError

SERVICE, SERVICE_FR = "the S7 controller", "la communication S7 (ISO-on-TCP)"
_RETURN_CODE = re.compile(r"\(0x([0-9a-fA-F]{2})\)")
_OPTIMISED = (
    "ce bloc n'existe pas, est trop court, ou est en « accès optimisé » : vérifier son numéro et décocher "
    "« Accès au bloc optimisé » dans TIA Portal"
)
_ITEMS = {
    0x01: ("device_failure", "hardware error", "la CPU n'a pas pu le lire (erreur matérielle)"),
    0x03: (
        "no_access",
        "access not allowed (PUT/GET?)",
        "la CPU n'autorise pas cette lecture : y activer « Autoriser l'accès via PUT/GET » (Protection et sécurité)",
    ),
    0x05: ("illegal_address", "no such address", _OPTIMISED),
    0x06: ("illegal_value", "data type not supported", "la CPU ne connaît pas ce type de donnée"),
    0x0A: ("illegal_address", "no such block", _OPTIMISED),
}
_NEEDS_PERMISSION = (0x8104, 0xD241)
"""Header errors of a CPU that does not let us read: service not available, protection level not sufficient."""


def refusal(error: S7Error, settings: Settings) -> Exception:
    """An answer that is no value: RefusedError for one span, DriverFaultError for the whole controller."""
    if error.error_code in _NEEDS_PERMISSION:
        return DriverFaultError(
            "put_get_disabled",
            f"{settings.address}: the CPU does not allow reading ({error}); PUT/GET is perhaps disabled",
            "La CPU refuse la lecture : dans TIA Portal, Protection et sécurité, cocher « Autoriser l'accès via "
            "PUT/GET », puis charger la configuration dans la CPU.",
            retry_after_s=10,
        )
    found = _RETURN_CODE.search(str(error))
    if found is not None:
        code = int(found[1], 16)
        return RefusedError(*_ITEMS.get(code, ("device_failure", f"return code {code:#04x}", f"refus (code {code})")))
    return DriverFaultError(
        "protocol",
        f"{settings.address}: unexpected answer: {error}",
        "Réponse inattendue de la CPU Siemens : vérifier que ce port est bien celui d'un automate S7.",
    )


def lost(error: BaseException, settings: Settings, *, connecting: bool) -> DriverFaultError:
    """Why there is no connection (any more)."""
    cause = _operating_system(error)
    if cause is not None:
        return cannot_connect(cause, settings, settings.host, settings.port, SERVICE, SERVICE_FR)
    if isinstance(error, S7TimeoutError | TimeoutError):
        return cannot_connect(TimeoutError(), settings, settings.host, settings.port, SERVICE, SERVICE_FR)
    if connecting:
        return DriverFaultError(
            "not_accepted",
            f"{settings.address}: not accepted with rack {settings.rack}, slot {settings.slot} ({error})",
            f"L'automate n'accepte pas la connexion (rack {settings.rack}, emplacement {settings.slot}) : vérifier "
            "`rack` et `slot` (S7-1200/1500 : 0 et 1 ; S7-300 : 0 et 2), et qu'il lui reste une connexion libre.",
        )
    return DriverFaultError(
        "closed",
        f"{settings.address}: connection lost ({error})",
        "L'automate a fermé la connexion : il redémarre, ou le réseau est coupé. Nouvelle tentative automatique.",
    )


def _operating_system(error: BaseException | None) -> OSError | None:
    """The library keeps the system's own error behind its own."""
    while error is not None:
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            return error
        error = error.__cause__ or error.__context__
    return None
