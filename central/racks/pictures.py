"""The newest picture of each rack, and never more than that: in memory, gone with the process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from central.racks.jpeg import is_jpeg

MAX_PICTURE: Final = 4 * 2**20
"""Bytes of a rack's whole picture."""


class BadPictureError(ValueError):
    """What was brought is no picture. The text is French."""


@dataclass(frozen=True, slots=True)
class RackPicture:
    jpeg: bytes
    at: datetime


class Pictures:
    """``app.state.rack_pictures``."""

    def __init__(self) -> None:
        self._newest: dict[str, RackPicture] = {}

    def bring(self, rack: str, jpeg: bytes, at: datetime) -> None:
        """Raises `BadPictureError`."""
        if not jpeg or len(jpeg) > MAX_PICTURE:
            raise BadPictureError(f"Une image de rack fait {MAX_PICTURE // 2**20} Mo au plus.")
        if not is_jpeg(jpeg):
            raise BadPictureError("Ce n'est pas un JPEG entier.")
        self._newest[rack] = RackPicture(jpeg, at)

    def newest(self, rack: str) -> RackPicture | None:
        return self._newest.get(rack)

    def forget(self, rack: str) -> None:
        self._newest.pop(rack, None)
