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


def quantity(milli: int, unit: str, *, signed: bool = False) -> str:
    """``-1500, "m"`` → ``−1,5 m``."""
    whole, rest = divmod(abs(milli), 1000)
    digits = f"{whole},{rest:03}".rstrip("0") if rest else str(whole)
    sign = "−" if milli < 0 else "+" if signed and milli > 0 else ""
    return f"{sign}{digits} {unit}"


def question(kind: str, qty: int, unit: str, sources: Sequence[SourceView]) -> str:
    """What a person is asked, in one line."""
    amount = quantity(qty, unit, signed=True)
    names = " et ".join(_SOURCES.get(s.source, s.source) for s in sources)
    if kind == "doubt":
        return f"La caméra croit avoir vu {amount} : exact ?"
    if kind == "unplaced":
        return f"{names[:1].upper()}{names[1:]} de {amount} sans emplacement connu. Accepter ?"
    if kind == "pairing":
        return f"{names[:1].upper()}{names[1:]} : même {'prise' if qty < 0 else 'remise'} ({amount}) ?"
    return f"Comptage ({names}) : écart de {amount} avec le stock enregistré. Accepter ?"
