"""What follows from a class of item, and how a label's text is compared."""

from __future__ import annotations

from typing import Final

from contracts.codes import BadCheck, parse_code

CLASSES: Final = ("insert", "drill", "endmill", "tool", "holder", "instrument", "ppe", "material", "other")
CONSUMED: Final = frozenset({"insert", "ppe", "material", "other"})


def handling_of(item_class: str) -> str:
    """``consume`` or ``lend``, unless the item says otherwise."""
    return "consume" if item_class in CONSUMED else "lend"


def normal(text: str) -> str:
    """Two readings of one label compare equal: no blanks around, no case, no GS1 group separators."""
    return text.strip().replace("\x1d", "").upper()


def candidates(text: str) -> tuple[str, ...]:
    """The texts under which a scan may be known, best first. Raises `BadCheck` for a misread code of our own."""
    whole = normal(text)
    own = parse_code(whole)
    if own is not None:
        return (whole, own.id)
    if whole.isdigit() and len(whole) in {12, 13}:
        # A UPC-A is an EAN-13 whose first digit is 0; readers give one or the other.
        return (whole, whole.removeprefix("0") if len(whole) == 13 else "0" + whole)
    return (whole,)


def is_other_business(text: str) -> bool:
    """An operation, badge or machine code of ours: another feature acts on it."""
    try:
        own = parse_code(normal(text))
    except BadCheck:
        return False
    return own is not None and own.type in {"OP", "PE", "MA"}
