"""The shop's words for the statuses of programmes, what was asked of machines, and differences."""

from __future__ import annotations

from typing import Final

from central.core.access import PAGE
from central.ui.formats import NO_BREAK, number
from central.ui.words import Word

_STATUS: Final[dict[str, Word]] = {
    "draft": Word("Brouillon", "manual"),
    "to_validate": Word("À valider", "clock", "attention"),
    "validated": Word("Validé", "check", "normal"),
    "obsolete": Word("Obsolète", "off", "hatched"),
}
_ACT: Final[dict[str, Word]] = {
    "submit": Word("Soumettre à validation", "arrow", "primary"),
    "validate": Word("Valider", "check", "primary"),
    "send_back": Word("Renvoyer au brouillon", "undo"),
    "withdraw": Word("Rendre obsolète", "off", "quiet"),
}
_TRANSFER: Final[dict[str, Word]] = {
    "asked": Word("Demandé, la machine n’a pas encore répondu", "clock", "action"),
    "done": Word("Envoyé et relu identique", "check", "normal"),
    "unread": Word("Envoyé, pas relu", "attention", "attention"),
    "refused": Word("Refusé", "cross", "attention"),
    "broken": Word("Incomplet dans la machine : ne pas lancer", "alarm", "fault"),
    "expired": Word("Expiré", "clock", "attention"),
}
_CAME: Final[dict[str, Word]] = {
    "read": Word("Lu dans la machine", "return", "normal"),
    "changed": Word("Changé à la machine", "attention", "attention"),
}
_CHANGE: Final[dict[str, str]] = {
    "changed": "changée",
    "added": "ajoutée",
    "removed": "retirée",
    "renumbered": "numéro seul",
    "same": "",
}


def status(name: str) -> Word:
    return _STATUS.get(name, Word(name, "info"))


def act(name: str) -> Word:
    return _ACT.get(name, Word(name, "info"))


def transfer(kind: str, state: str) -> Word:
    return _CAME[kind] if state == "done" and kind in _CAME else _TRANSFER.get(state, Word(state, "info"))


def change(name: str) -> str:
    return _CHANGE.get(name, name)


def size(count: int) -> str:
    """``812 octets``, ``14,2 ko``, ``23,5 Mo``."""
    if count < 1000:
        return f"{count}{NO_BREAK}octets"
    return f"{number(count / 1000, 1)}{NO_BREAK}ko" if count < 1_000_000 else f"{number(count / 1e6, 1)}{NO_BREAK}Mo"


def person(who: str, names: dict[str, str]) -> str:
    """A name, or what spoke of itself: an agent, a machine, a page without log-in."""
    if who == PAGE:
        return "depuis une page"
    return "par la machine" if who.startswith(("agent:", "machine:")) else f"par {names.get(who, who)}"


def origin(name: str) -> str:
    return "revenu de la machine" if name == "machine" else "déposé"
