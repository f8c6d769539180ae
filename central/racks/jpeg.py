"""What a JPEG says of itself, without decoding it: a small file may unfold to gigabytes in whoever shows it."""

from __future__ import annotations

from typing import Final

_BEGIN: Final = b"\xff\xd8\xff"
_END: Final = b"\xff\xd9"
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers without a length."""
_NO_FRAME: Final = frozenset({0xC4, 0xC8, 0xCC})
"""Of C0 to CF: tables, not frames."""
MOST_PIXELS: Final = 50_000_000
"""More than any camera that looks at a rack gives."""


def is_jpeg(picture: bytes) -> bool:
    """Whether it begins and ends as one, and says no size beyond `MOST_PIXELS`."""
    if not picture.startswith(_BEGIN) or not picture.rstrip(b"\0").endswith(_END):
        return False
    found = size(picture)
    return found is None or found[0] * found[1] <= MOST_PIXELS


def size(picture: bytes) -> tuple[int, int] | None:
    """The largest width and height that any of its frames says; None when there is none to be read."""
    largest: tuple[int, int] | None = None
    at = 2
    while at + 4 <= len(picture):
        if picture[at] != 0xFF:
            return largest
        marker = picture[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _ALONE:
            at += 2
            continue
        length = int.from_bytes(picture[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in _NO_FRAME and at + 9 <= len(picture):
            height = int.from_bytes(picture[at + 5 : at + 7], "big")
            width = int.from_bytes(picture[at + 7 : at + 9], "big")
            if largest is None or width * height > largest[0] * largest[1]:
                largest = width, height
        if marker == 0xDA:
            # Entropy-coded data: the next marker that is neither stuffing nor a restart.
            at = _after_scan(picture, at + 2 + length)
        else:
            at += 2 + max(length, 2)
    return largest


def _after_scan(picture: bytes, begin: int) -> int:
    at = picture.find(b"\xff", begin)
    while at != -1 and at + 1 < len(picture):
        if picture[at + 1] != 0 and not 0xD0 <= picture[at + 1] <= 0xD7:
            return at
        at = picture.find(b"\xff", at + 2)
    return len(picture)
