"""What can go wrong with a Heidenhain controller, in one sentence each, with the next step."""

from __future__ import annotations

from cnc_bridge.drivers.lsv2.line import DeniedError, ProgrammeError
from cnc_bridge.drivers.lsv2.settings import Settings
from cnc_bridge.polling import cannot_connect
from cnc_bridge.port import DriverFaultError

_SERVICE, _SERVICE_FR = "the LSV/2 server", "l'accès externe LSV/2 (port 19000 d'usine)"


def explain(error: Exception, settings: Settings) -> DriverFaultError:
    """`error`, raised by pyLSV2 or by the system below it, as a fault for log and page."""
    where = settings.address
    if isinstance(error, OSError):
        return cannot_connect(error, settings, settings.host, settings.port, _SERVICE, _SERVICE_FR)
    if isinstance(error, DeniedError):
        return DriverFaultError(
            "login_denied",
            f"{where}: the controller denies the login {error.login} ({error.why})",
            f"La commande refuse l'accès « {error.login} » : y autoriser l'accès externe (touche MOD)"
            + (" et l'option DNC, si cette commande la demande." if error.login == "DNC" else "."),
            retry_after_s=30,
        )
    return DriverFaultError(
        "garbage",
        f"{where}: unexpected answer ({type(error).__name__}: {str(error)[:200]})",
        "La machine répond, mais pas comme une commande Heidenhain : vérifier que ce port est bien celui de LSV/2.",
    )


_PROGRAMME = {
    "no_programme": "Ce programme n'existe pas sur la commande : vérifier son nom et `folder`.",
    "no_folder": "Ce dossier n'existe pas sur la commande : corriger `folder`.",
    "bad_name": "Nom de programme refusé : lettres, chiffres, - et _ seulement, avec son extension (.H ou .I).",
    "in_use": "Programme sélectionné, en exécution ou protégé sur la commande : le fermer, puis recommencer.",
    "not_renamed": "Programme transmis sous le nom COPEAU_ mais non renommé : le renommer sur la commande.",
}


def explain_programme(error: ProgrammeError, settings: Settings) -> DriverFaultError:
    """Why a programme did not go through."""
    sentence = _PROGRAMME.get(error.code, "Le transfert a échoué : l'ancien programme est toujours là ; recommencer.")
    return DriverFaultError(error.code, f"{settings.address}: {error}", sentence)
