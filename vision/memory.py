"""What a watcher remembers over a restart, as a JSON-able value small enough for an outbox cursor (about 1 MB)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

VERSION = 2
_QUANTUM = 40.0
_PICTURE_PX = 960


class SnapshotError(ValueError):
    """A snapshot that cannot be read."""


@dataclass(frozen=True)
class Kept:
    """What is kept.

    Attributes:
        size: width and height of the camera's picture, px.
        places: `vision.watching.places.Places.dump`, its times on the wall clock.
        reference: the gate's, (h, w, 3) float32.
        pose: `vision.registration.Registration.dump`.
        picture: the taught one, (H, W, 3); kept at most `_PICTURE_PX` wide.
        wish: what a person wished.
        owed: why everything is to be looked at next, when that must survive.
        session: number of the last session.
        moved: the camera stood elsewhere, and nobody has looked yet.
    """

    size: tuple[int, int]
    places: Mapping[str, Any]
    reference: npt.NDArray[np.float32] | None = None
    pose: Mapping[str, Any] | None = None
    picture: npt.NDArray[np.uint8] | None = None
    wish: Literal["counting", "restocking"] = "counting"
    owed: Literal["restocked", "start"] | None = None
    session: int = 0
    moved: bool = False


def jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    """JPEG of a BGR image, quality 80."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def dump(kept: Kept) -> dict[str, Any]:
    """The snapshot."""
    small = None
    if kept.reference is not None:
        small = _text(".png", np.clip(kept.reference * _QUANTUM + 128, 0, 255).astype(np.uint8))
    return {
        "version": VERSION,
        "size": list(kept.size),
        "places": dict(kept.places),
        "reference": small,
        "pose": None if kept.pose is None else dict(kept.pose),
        "picture": None if kept.picture is None else picture_text(kept.picture),
        "wish": kept.wish,
        "owed": kept.owed,
        "session": kept.session,
        "moved": kept.moved,
    }


def load(snapshot: Mapping[str, Any]) -> Kept:
    """Read a `dump` again.

    Raises:
        SnapshotError: of another version (of a watcher before this one, or after), or damaged.
    """
    try:
        if snapshot["version"] != VERSION:
            raise SnapshotError(f"snapshot version {snapshot['version']!r}, expected {VERSION}")
        width, height = (int(v) for v in snapshot["size"])
        picture = snapshot["picture"]
        if picture is not None:
            whole = _image(picture, cv2.IMREAD_COLOR)
            picture = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        reference = snapshot["reference"]
        if reference is not None:
            raw = _image(reference, cv2.IMREAD_COLOR).astype(np.float32)
            reference = ((raw - 128) / np.float32(_QUANTUM)).astype(np.float32)
        return Kept(
            size=(width, height),
            places={str(slot): dict(raw) for slot, raw in snapshot["places"].items()},
            reference=reference,
            pose=snapshot["pose"],
            picture=picture,
            wish="restocking" if snapshot["wish"] == "restocking" else "counting",
            owed=snapshot["owed"] if snapshot["owed"] in ("restocked", "start") else None,
            session=int(snapshot["session"]),
            moved=bool(snapshot["moved"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error, cv2.error) as problem:
        if isinstance(problem, SnapshotError):
            raise
        raise SnapshotError(f"damaged snapshot: {problem!r}") from problem


def picture_text(picture: npt.NDArray[np.uint8]) -> str:
    """The taught picture as it is kept: placing works on no more than `_PICTURE_PX`."""
    scale = min(1.0, _PICTURE_PX / picture.shape[1])
    if scale < 1.0:
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    return _text(".webp", picture, cv2.IMWRITE_WEBP_QUALITY, 75)


def _text(kind: str, image: npt.NDArray[np.uint8], *how: int) -> str:
    return base64.b64encode(cv2.imencode(kind, image, how)[1].tobytes()).decode("ascii")


def _image(text: str, flags: int) -> npt.NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(text, validate=True), np.uint8), flags)
    if image is None:
        raise SnapshotError("an image in it cannot be decoded")
    return np.asarray(image, np.uint8)
