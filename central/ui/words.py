"""The shop's words for what the services say in the trade's English, each with its icon and its form."""

from __future__ import annotations

from typing import Final, NamedTuple


class Word(NamedTuple):
    text: str
    icon: str
    form: str = ""
    """``normal``, ``attention``, ``fault``, ``action`` or empty (neutral)."""


MACHINE: Final[dict[str, Word]] = {
    "running": Word("En production", "running"),
    "setup": Word("Réglage", "setup"),
    "ready": Word("Attente", "ready"),
    "stopped": Word("Arrêt non expliqué", "stopped"),
    "alarm": Word("Alarme", "alarm"),
    "off": Word("Éteinte", "off"),
    "silent": Word("Sans nouvelles", "silent"),
    "unconnected": Word("Non raccordée", "off"),
}
"""The states of `machine.state`, and ``unconnected`` for a machine that has never said anything."""
SOURCE: Final[dict[str, Word]] = {
    "camera": Word("Caméra", "camera"),
    "scan": Word("Scan", "scan"),
    "operation": Word("Opération", "operation"),
    "manual": Word("Saisie", "manual"),
    "scale": Word("Balance", "scale"),
    "import": Word("Import", "import"),
}
MOVEMENT: Final[dict[str, Word]] = {
    "pick": Word("Pris", "take"),
    "return": Word("Rendu", "return", "normal"),
    "receipt": Word("Reçu", "import", "normal"),
    "adjust": Word("Recompté", "scale", "action"),
    "compensate": Word("Corrigé", "undo", "action"),
}
PROPOSAL: Final[dict[str, Word]] = {
    "doubt": Word("La source doute", "stopped", "attention"),
    "pairing": Word("Un ou deux mouvements ?", "link", "attention"),
    "ecart": Word("Écart constaté", "scale", "attention"),
    "unplaced": Word("Sans emplacement", "stopped", "attention"),
    "ask": Word("Combien ?", "stopped", "attention"),
    "read": Word("Vu autrement", "eye", "attention"),
    "former": Word("Ancien article", "stopped", "attention"),
    "contest": Word("« Pas ça »", "cross", "attention"),
}
DECISION: Final[dict[str, str]] = {
    "confirmed": "Confirmé",
    "corrected": "Corrigé",
    "refused": "Refusé",
    "settled": "Réglé par la suite",
}
LEVEL: Final[dict[str, Word]] = {
    "critical": Word("Critique", "alarm", "fault"),
    "high": Word("Haute", "attention", "attention"),
    "medium": Word("Moyenne", "attention", "attention"),
    "info": Word("Information", "info", "action"),
}
ITEM_CLASS: Final[dict[str, str]] = {
    "insert": "Plaquette",
    "drill": "Foret",
    "endmill": "Fraise",
    "tool": "Outil",
    "holder": "Porte-outil",
    "instrument": "Instrument",
    "ppe": "EPI",
    "material": "Matière",
    "other": "Divers",
}
PHASE: Final[dict[str, Word]] = {
    "setup": Word("Réglage", "setup", "action"),
    "run": Word("Série", "running", "normal"),
    "pause": Word("Suspendu", "pause", "attention"),
}


def machine(state: str) -> Word:
    return MACHINE.get(state, Word(state, "info"))


def source(name: str) -> Word:
    return SOURCE.get(name, Word(name, "info"))


def movement(kind: str) -> Word:
    return MOVEMENT.get(kind, Word(kind, "info"))


def proposal(kind: str) -> Word:
    return PROPOSAL.get(kind, Word(kind, "stopped", "attention"))


def phase(name: str) -> Word:
    return PHASE.get(name, Word(name, "info"))


def level(name: str) -> Word:
    return LEVEL.get(name, Word(name, "info", "action"))


def item_class(name: str) -> str:
    return ITEM_CLASS.get(name, name)


SIGNAL: Final[dict[str, str]] = {
    "spindle_load": "Charge broche",
    "spindle_speed": "Vitesse broche",
    "feed": "Avance",
    "feed_override": "Correction d’avance",
    "temperature": "Température",
    "vibration": "Vibration",
    "spindle_override": "Correction de broche",
    "spindle_temperature": "Température de broche",
    "pressure": "Pression",
    "following_error": "Erreur de poursuite",
    "clock_offset": "Décalage d’horloge",
}
UNIT: Final[dict[str, str]] = {"percent": "%", "rpm": "tr/min", "mm/min": "mm/min", "celsius": "°C"}


def signal(name: str) -> str:
    return SIGNAL.get(name, name)


def unit(name: str) -> str:
    return UNIT.get(name, name)


TROUBLE: Final[dict[str, Word]] = {
    "lost": Word("Perdue", "silent", "fault"),
    "error": Word("En erreur", "alarm", "fault"),
    "full": Word("Pleine", "alarm", "fault"),
    "covered": Word("Masquée", "attention", "attention"),
    "moved": Word("Déplacée", "attention", "attention"),
    "ok": Word("En ordre", "check", "normal"),
}
PART: Final[dict[str, Word]] = {
    "running": Word("en marche", "check", "normal"),
    "starting": Word("démarre", "sync", "action"),
    "waiting": Word("attend", "clock", "attention"),
    "failed": Word("en panne", "alarm", "fault"),
    "stopped": Word("arrêtée", "off"),
}


GUARD: Final[dict[str, Word]] = {
    "unknown": Word("Pas de garde connue", "off"),
    "watching": Word("Veille", "shield", "normal"),
    "shadow": Word("Mode ombre", "info", "action"),
    "alert": Word("Alerte seule", "shield", "normal"),
    "hold": Word("Prête à arrêter", "shield", "normal"),
    "tripped": Word("À réarmer", "alarm", "fault"),
    "blind": Word("Aveugle", "silent", "attention"),
}
"""What the collision guard is doing."""
GUARD_SAYS: Final[dict[str, str]] = {
    "unknown": "Aucun verdict reçu. La garde se déclare dans la configuration de la carte ([machine.guard]).",
    "watching": "Elle voit la machine et n'a encore rien signalé.",
    "shadow": "Elle regarde et juge, mais n'arrête rien : on compare d'abord ses verdicts à la réalité.",
    "alert": "Elle prévient ; cette machine ne l'autorise pas à arrêter l'avance.",
    "hold": "Elle peut arrêter l'avance. C'est une aide, jamais une fonction de sécurité.",
}
VERDICT: Final[dict[str, Word]] = {
    "watch": Word("Surveillance", "info", "action"),
    "alert": Word("Alerte", "attention", "attention"),
    "hold": Word("Arrêt d’avance", "alarm", "fault"),
}
OUTCOME: Final[dict[str, Word]] = {
    "none": Word("Rien n’a été demandé", "info"),
    "shadow": Word("Mode ombre : rien n’a été arrêté", "info", "action"),
    "held": Word("Maintenu : vitesse nulle vue", "check", "normal"),
    "deferred": Word("Différé : vitesse nulle pas vue à temps", "clock", "attention"),
    "refused": Word("Non autorisé sur cette machine", "cross", "attention"),
    "failed": Word("Échec : la commande n’est pas arrivée", "alarm", "fault"),
}


def verdict(level: str) -> Word:
    return VERDICT.get(level, Word(level, "info"))


def outcome(name: str) -> Word:
    return OUTCOME.get(name, Word(name, "info"))


def trouble(status: str) -> Word:
    return TROUBLE.get(status, Word(status, "attention", "attention"))


def part(status: str) -> Word:
    return PART.get(status, Word(status, "info"))
