"""What can go wrong with LinuxCNC and its gateway, in sentences with the next step."""

from __future__ import annotations

from cnc_bridge.port import DriverFaultError

_FRENCH = {
    "not_running": "LinuxCNC ne tourne pas sur cette machine : le démarrer, ou vérifier `command` et `user`.",
    "wrong_user": "LinuxCNC tourne sous un autre compte : indiquer ce compte par `user` dans la configuration.",
    "no_tool_table": "LinuxCNC démarre encore, ou sa table d'outils est illisible : "
    "si cela dure, vérifier `user` et redémarrer LinuxCNC.",
    "no_module": "Ce Python ne connaît pas LinuxCNC : installer le paquet linuxcnc-uspace, "
    "ou indiquer par `python` celui de LinuxCNC.",
    "no_hal": "Impossible de lire les broches HAL : vérifier que LinuxCNC tourne sous le compte indiqué par `user`.",
    "ended": "LinuxCNC s'est arrêté : le redémarrer ; Copeau se reconnecte seul.",
    "stopped": "Le processus de LinuxCNC est figé : le relancer depuis la machine.",
    "mute": "La passerelle vers LinuxCNC ne répond plus : vérifier la machine et son réseau.",
    "no_python": "Commande introuvable pour lire LinuxCNC : vérifier `python`, `command` et `user`.",
    "gateway_ended": "La passerelle vers LinuxCNC s'est arrêtée : vérifier `command`, `user` et le journal de l'agent.",
    "nothing_to_hold": "Aucun programme ne tourne en automatique : rien à mettre en pause.",
    "no_programme": "Ce programme n'est pas dans le dossier de LinuxCNC.",
    "bad_name": "Nom de programme refusé : lettres, chiffres, tirets, et une extension autorisée par `extensions`.",
    "too_large": "Programme trop gros pour être transféré (32 Mio au plus).",
    "no_folder": "LinuxCNC n'a pas de dossier de programmes : régler PROGRAM_PREFIX dans la section [DISPLAY].",
    "not_written": "Le programme n'a pas pu être écrit : vérifier la place et les droits du dossier de LinuxCNC.",
    "not_connected": "Pas de liaison avec LinuxCNC en ce moment : attendre la reconnexion.",
}


def fault(code: str, why: str, address: str) -> DriverFaultError:
    """The fault of this code; `why` is the English reason."""
    text = f"{address}: {why}"
    french = _FRENCH.get(code, "Erreur de la passerelle LinuxCNC : voir le journal de l'agent.")
    return DriverFaultError(code, text, french, retry_after_s=5.0 if code == "wrong_user" else None)
