"""French sentences of the stock."""

from __future__ import annotations

from collections.abc import Sequence

from central.stock.schemas import SourceView

_SOURCES = {
    "camera": "caméra",
    "scan": "scan",
    "operation": "validation d'opération",
    "manual": "saisie",
    "scale": "balance",
    "import": "import",
}


_REASONS = {
    "hidden": "Le contenu ne se voit pas.",
    "stacked": "Des pièces sont empilées.",
    "masked": "Quelque chose masque l'emplacement.",
    "foreign": "Un objet étranger est dans l'emplacement.",
    "many": "Il y en a trop pour les distinguer.",
    "swapped": "Autant de pièces prises que remises.",
    "unlike": "L'emplacement ne ressemble plus à son article.",
}


def quantity(milli: int, unit: str, *, signed: bool = False) -> str:
    """``-1500, "m"`` → ``−1,5 m``."""
    whole, rest = divmod(abs(milli), 1000)
    digits = f"{whole},{rest:03}".rstrip("0") if rest else str(whole)
    sign = "−" if milli < 0 else "+" if signed and milli > 0 else ""
    return f"{sign}{digits} {unit}"


def question(kind: str, qty: int, unit: str, sources: Sequence[SourceView], owner: str = "un autre article") -> str:
    """What a person is asked, in one line. `owner`: the item that is read in the place now."""
    amount = quantity(qty, unit, signed=True)
    names = " et ".join(_SOURCES.get(s.source, s.source) for s in sources)
    if kind == "doubt" and any(s.misplaced for s in sources):
        return f"Posé au mauvais endroit ? La caméra a vu {amount} à la place d'un autre article."
    other = next((s.transfer for s in sources if s.transfer), None)
    if kind == "doubt" and other is not None:
        way = "partir vers" if qty < 0 else "arriver de"
        return f"La caméra croit avoir vu {quantity(abs(qty), unit)} {way} {other} : exact ?"
    if kind == "doubt":
        return f"La caméra croit avoir vu {amount} : exact ?"
    if kind == "ask":
        why = next((_REASONS.get(s.reason or "", "") for s in sources if s.reason), "")
        return f"Combien ? {why or 'La caméra a vu une main et ne peut pas compter.'}"
    if kind == "read":
        return f"La caméra voit {amount} par rapport au stock enregistré. Accepter ce qu'elle voit ?"
    if kind == "former":
        held = quantity(-qty, unit)
        return f"Le stock compte encore {held} ici, mais l'emplacement est maintenant à {owner}. N'y en a-t-il plus ?"
    if kind == "unplaced":
        return f"{names[:1].upper()}{names[1:]} de {amount} sans emplacement connu. Accepter ?"
    if kind == "pairing":
        return f"{names[:1].upper()}{names[1:]} : même {'prise' if qty < 0 else 'remise'} ({amount}) ?"
    return f"Comptage ({names}) : écart de {amount} avec le stock enregistré. Accepter ?"
