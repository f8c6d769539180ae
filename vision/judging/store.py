"""A place's memory as a JSON-able value: small pictures as JPEG and WebP, so that 96 places take about a megabyte."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt

from vision.appearance import Look
from vision.judging.port import MemoryProblemError, SlotMemory, SlotView
from vision.slots import Slot

_QUALITY = 92
_STATES: dict[str, SlotView] = {state: state for state in get_args(SlotView)}


def dump_memory(memory: SlotMemory) -> dict[str, Any]:
    """The memory of one place; a taught look that is the settled one is written once."""
    looks = {
        str(count): "look" if look is memory.look else _dump_look(look) for count, look in sorted(memory.looks.items())
    }
    return {
        "count": memory.count,
        "confidence": round(float(memory.confidence), 4),
        "declared": memory.declared,
        "state": memory.state,
        "masked_since": memory.masked_since,
        "look": _dump_look(memory.look),
        "looks": looks,
        "picture": _image(memory.picture),
    }


def load_memory(slot: Slot, raw: Mapping[str, Any]) -> SlotMemory:
    """Read `dump_memory`'s value; raises `MemoryProblemError` naming the place."""
    try:
        look = _load_look(raw["look"])
        looks = {int(count): look if stored == "look" else _load_look(stored) for count, stored in raw["looks"].items()}
        since = raw["masked_since"]
        return SlotMemory(
            count=None if raw["count"] is None else int(raw["count"]),
            confidence=float(raw["confidence"]),
            look=look,
            picture=_pixels(raw["picture"]),
            looks=looks,
            declared=bool(raw["declared"]),
            state=_STATES[raw["state"]],
            masked_since=None if since is None else float(since),
        )
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error, cv2.error) as problem:
        raise MemoryProblemError(f"slot {slot.id}: damaged memory: {problem!r}") from problem


def _dump_look(look: Look) -> dict[str, Any]:
    ys, xs = np.nonzero(look.mask)
    outline, _ = cv2.findContours(look.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    largest = max(outline, key=len)[:, 0].tolist() if len(xs) and len(ys) else []
    return {
        "pixels": _exact(look.pixels),
        "mask": largest,
        "level": round(float(look.level), 2),
        "noise": round(float(look.noise), 3),
    }


def _load_look(raw: Mapping[str, Any]) -> Look:
    pixels = _pixels(raw["pixels"])
    mask = np.zeros(pixels.shape[:2], np.uint8)
    if raw["mask"]:
        cv2.fillPoly(mask, [np.array(raw["mask"], np.int32)], 1)
    return Look(pixels, mask.astype(bool), float(raw["level"]), float(raw["noise"]))


def _image(image: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])[1].tobytes()).decode()


def _exact(image: npt.NDArray[np.uint8]) -> str:
    """JPEG with all of its colour: WebP halves the colour's resolution, and a look read back compared as changed."""
    how = [
        cv2.IMWRITE_JPEG_QUALITY,
        90,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return base64.b64encode(cv2.imencode(".jpg", image, how)[1].tobytes()).decode()


def _pixels(text: str) -> npt.NDArray[np.uint8]:
    data = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if image is None:
        raise ValueError("an image in it cannot be decoded")
    return np.asarray(image, np.uint8)
