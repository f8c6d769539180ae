"""The newest picture of each rack, and never more than that: in memory, for an hour, gone with the process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from central.racks.jpeg import is_jpeg

MAX_PICTURE: Final = 4 * 2**20
"""Bytes of a rack's whole picture."""
KEPT_FOR: Final = timedelta(hours=1)


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

    def newest(self, rack: str, now: datetime) -> RackPicture | None:
        for old in [code for code, picture in self._newest.items() if now - picture.at > KEPT_FOR]:
            del self._newest[old]
        return self._newest.get(rack)

    def forget(self) -> None:
        self._newest.clear()
