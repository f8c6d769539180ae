"""The two decoding libraries behind one shape: image in, claims out."""

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import zxingcpp

from vision.codes.types import LINEAR, MATRIX, Gray, Points

log = logging.getLogger(__name__)

Claim = tuple[str, str, Points]
"""Text, format, corners (4 x 2, in pixels of the decoded image)."""

_ZXING_NAMES = {
    "QRCodeModel1": "QRCode",
    "QRCodeModel2": "QRCode",
    "AztecCode": "Aztec",
    "CompactPDF417": "PDF417",
    "Code39Std": "Code39",
    "ITF14": "ITF",
    "ISBN": "EAN13",
    "AztecRune": "Aztec",
}
_ZBAR_NAMES = {
    "EAN13": "EAN13",
    "EAN8": "EAN8",
    "UPCE": "UPCE",
    "I25": "ITF",
    "CODE39": "Code39",
    "CODE93": "Code93",
    "CODE128": "Code128",
    "CODABAR": "Codabar",
}


def _normal(text: str, name: str) -> tuple[str, str]:
    """A UPC-A is an EAN-13 that begins with 0: both libraries' habits become 12 digits.

    UPC-E is given as the 12 digits that it stands for.
    """
    if name == "EAN13" and len(text) == 13 and text[0] == "0":
        return text[1:], "UPCA"
    if name == "UPCA" and len(text) == 13:
        return text[1:], "UPCA"
    if name == "UPCE":
        return (text[1:] if len(text) == 13 else _expanded(text)), "UPCE"
    return text, name


def _expanded(short: str) -> str:
    """The 12 digits of a UPC-A that 8 digits of UPC-E stand for (GS1 General Specifications, 5.2.2.4.2)."""
    if len(short) != 8:
        return short
    system, digits, check = short[0], short[1:7], short[7]
    last = digits[5]
    if last in "012":
        body = digits[:2] + last + "0000" + digits[2:5]
    elif last == "3":
        body = digits[:3] + "00000" + digits[3:5]
    elif last == "4":
        body = digits[:4] + "00000" + digits[4]
    else:
        body = digits[:5] + "0000" + last
    return system + body + check


def zxing(image: Gray, formats: Iterable[str], *, rotate: bool = True, fast: bool = False) -> list[Claim]:
    """Every code that zxing-cpp finds; `fast` leaves out its downscaled and inverted passes."""
    # plain Code 39 only: as Code 32 (Italian pharmacy) or extended, the library would rewrite the text
    names = ("Code39Std" if name == "Code39" else name for name in formats)
    wanted = zxingcpp.BarcodeFormats([getattr(zxingcpp.BarcodeFormat, name) for name in names])
    claims: list[Claim] = []
    for found in zxingcpp.read_barcodes(
        np.ascontiguousarray(image),
        formats=wanted,
        try_rotate=rotate,
        try_downscale=not fast,
        try_invert=not fast,
        text_mode=zxingcpp.TextMode.Plain,
        ean_add_on_symbol=zxingcpp.EanAddOnSymbol.Ignore,
    ):
        position = found.position
        corners = [position.top_left, position.top_right, position.bottom_right, position.bottom_left]
        name = found.format.name
        text, name = _normal(found.text, _ZXING_NAMES.get(name, name))
        if name not in LINEAR + MATRIX:
            log.warning("zxing-cpp gave the format %s, which was not asked for", name)
            continue
        claims.append((text, name, np.array([(p.x, p.y) for p in corners], np.float32)))
    return claims


@functools.cache
def _zbar() -> tuple[Callable[..., list[Any]], Any] | None:
    """The entry points of pyzbar, or None: the reader works without the system library, only with fewer witnesses."""
    try:
        from pyzbar.pyzbar import ZBarSymbol, decode
    except (ImportError, OSError) as error:
        log.warning("pyzbar is not usable (%s): install libzbar0 for a second reading library", error)
        return None
    return decode, ZBarSymbol


def zbar(image: Gray, formats: Iterable[str]) -> list[Claim]:
    """Every linear code that zbar finds; empty when libzbar0 is missing."""
    entry = _zbar()
    if entry is None:
        return []
    decode, symbols = entry
    wanted = set(formats)
    if "UPCA" in wanted:
        wanted.add("EAN13")
    chosen = [getattr(symbols, theirs) for theirs, ours in _ZBAR_NAMES.items() if ours in wanted]
    claims: list[Claim] = []
    for found in decode(np.ascontiguousarray(image), symbols=chosen) if chosen else []:
        left, top, width, height = found.rect
        right, bottom = left + max(width, 1), top + max(height, 1)
        box = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
        text, name = _normal(_decoded(found.data), _ZBAR_NAMES[found.type])
        claims.append((text, name, box))
    return claims


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def split(formats: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The linear and the matrix formats among `formats`; ValueError names an unknown one."""
    chosen = tuple(formats)
    unknown = [name for name in chosen if name not in LINEAR + MATRIX]
    if unknown:
        raise ValueError(f"unknown code format {unknown[0]!r}; known: {', '.join(LINEAR + MATRIX)}")
    return tuple(n for n in chosen if n in LINEAR), tuple(n for n in chosen if n in MATRIX)
