"""How racks under a camera are worded on pages: icons and forms for the words of `central.racks.rules`."""

from __future__ import annotations

from typing import Final

from central.racks.rules import CODE_LABELS, KIND_LABELS, MODE_LABELS, STATE_LABELS, slot_of
from central.ui.formats import percent, plural
from central.ui.words import Word

_MODE: Final = {
    "counting": ("camera", "normal"),
    "restocking": ("setup", "action"),
    "blind": ("silent", "attention"),
    "unknown": ("silent", ""),
}
_ADVICE: Final[dict[str, str]] = {
    "covered": "Dégagez la caméra : elle se rattrape seule et dit ce qui a changé.",
    "dark": "Rallumez l'éclairage du rayonnage.",
    "frozen": "La caméra ne donne plus d'image neuve : débranchez-la, puis rebranchez-la.",
    "dirty": "Essuyez l'objectif avec un chiffon doux.",
    "moved": "Sur la page du rayonnage, regardez avant et après, puis acceptez ou refusez.",
    "closed": "Ouvrez le tiroir à fond : il n'est jugé qu'ainsi.",
    "lost": "Vérifiez le câble de la caméra, puis la carte (page Agents).",
    "flicker": "Un tube ou une LED clignote : changez-le.",
}
_STATE: Final = {
    "seen": ("check", "normal"),
    "masked": ("attention", "attention"),
    "foreign": ("attention", "attention"),
    "stacked": ("attention", "attention"),
    "hidden": ("silent", ""),
    "unlike": ("stopped", "attention"),
    "unreadable": ("silent", "attention"),
    "unknown": ("silent", ""),
}
_KIND: Final = {"countable": "scale", "presence": "check", "hidden": "silent"}
_COMMAND: Final[dict[str, str]] = {
    "rack-mode": "Mode rangement",
    "rack-count": "Nombre dit à la caméra",
    "rack-teach": "Cases données à la caméra",
    "rack-picture": "Image demandée",
    "rack-moved": "Réponse sur la caméra déplacée",
    "rack-model": "Modèle",
}
_ANSWER: Final[dict[str, Word]] = {
    "asked": Word("La carte n'a pas encore répondu", "clock", "action"),
    "done": Word("Fait par la carte", "check", "normal"),
    "refused": Word("Refusé par la carte", "cross", "attention"),
    "expired": Word("Sans réponse à temps", "clock", "attention"),
}


def mode(name: str, code: str = "ok") -> Word:
    """What a rack is doing; when it is blind, why."""
    text = CODE_LABELS.get(code, "") if name == "blind" else ""
    icon, form = _MODE.get(name, ("info", ""))
    return Word(text[:1].upper() + text[1:] or MODE_LABELS.get(name, name), icon, form)


def advice(code: str) -> str:
    """What the person in front of it can do."""
    return _ADVICE.get(code, "")


def state(name: str) -> Word:
    icon, form = _STATE.get(name, ("info", ""))
    text = STATE_LABELS.get(name, name)
    return Word(text[:1].upper() + text[1:], icon, form)


def kind(name: str) -> Word:
    text = KIND_LABELS.get(name, name or "pas apprise")
    return Word(text[:1].upper() + text[1:], _KIND.get(name, "info"))


def trust(automatic: bool) -> Word:
    return Word("Automatique", "check", "normal") if automatic else Word("À blanc", "verify", "action")


def command(name: str) -> str:
    return _COMMAND.get(name, name)


def answer(name: str) -> Word:
    return _ANSWER.get(name, Word(name, "info"))


def moved(qty: int) -> str:
    """``1 pris``, ``2 rendus``; `qty` in thousandths, signed."""
    pieces = abs(qty) // 1000
    return plural(pieces, "pris", "pris") if qty < 0 else plural(pieces, "rendu")


def believed(qty: int, place: str, to_place: str | None) -> str:
    """``1 pris``, or ``1 déplacé vers A3``."""
    if to_place is None:
        return moved(qty)
    pieces = plural(abs(qty) // 1000, "déplacé")
    return f"{pieces} vers {slot_of(to_place if qty < 0 else place)}"


def sure(confidence: float) -> str:
    """How sure, in a word and a figure."""
    word = "sûre" if confidence >= 0.9 else "assez sûre" if confidence >= 0.7 else "peu sûre"
    return f"{word} à {percent(confidence)}"


_BELIEF: Final[dict[str, Word]] = {
    "automatic": Word("Débité", "check", "normal"),
    "doubt": Word("À confirmer", "verify", "attention"),
    "ask": Word("Combien ?", "stopped", "attention"),
    "contested": Word("« Pas ça » : à corriger", "cross", "attention"),
    "confirmed": Word("Confirmé", "check", "normal"),
    "corrected": Word("Corrigé", "manual", "action"),
    "refused": Word("Refusé", "cross", "action"),
    "settled": Word("Réglé par la suite", "check"),
}


def belief(state: str, qty: int = -1, to_place: str | None = None) -> Word:
    """What became of what a camera believed; `qty` tells a pick from a return, `to_place` a transfer from both."""
    if state == "automatic" and to_place is not None:
        return Word("Déplacé", "check", "normal")
    if state == "automatic" and qty > 0:
        return Word("Remis en stock", "check", "normal")
    return _BELIEF.get(state, Word(state, "info"))
