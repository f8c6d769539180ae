"""Numbers as a person types them."""

from __future__ import annotations

import math


def number_in(text: str) -> float | None:
    """``1 250,5`` or ``1250.5``; None when nothing was typed. Raises ValueError in French."""
    tidy = "".join(text.split()).replace(",", ".").replace("\N{MINUS SIGN}", "-")
    if not tidy:
        return None
    try:
        value = float(tidy)
    except ValueError as error:
        raise ValueError(f"« {text.strip()} » n'est pas un nombre.") from error
    if not math.isfinite(value):
        raise ValueError(f"« {text.strip()} » n'est pas un nombre.")
    return value


def whole_in(text: str) -> int | None:
    """The same without decimals."""
    value = number_in(text)
    if value is not None and value != int(value):
        raise ValueError(f"« {text.strip()} » doit être un nombre entier.")
    return None if value is None else int(value)


def required(text: str, what: str) -> float:
    """`number_in` where something must be typed."""
    value = number_in(text)
    if value is None:
        raise ValueError(f"Donnez {what}.")
    return value
