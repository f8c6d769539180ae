"""What a watcher remembers over a restart, as a JSON-able value small enough for an outbox cursor (≤ 1 MB)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vision.appearance import Look
from vision.judging.rules import SlotState
from vision.slots import Rack, Slot

VERSION = 1
_QUANTUM = 40.0


class SnapshotError(ValueError):
    """A snapshot that cannot be read."""


def jpeg(image: npt.NDArray[np.uint8]) -> bytes:
    """JPEG of a BGR image, quality 80."""
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def dump(
    states: Mapping[str, SlotState], rack: Rack, reference: npt.NDArray[np.float32] | None, offset: tuple[float, float]
) -> dict[str, Any]:
    """The snapshot of a watcher."""
    slots = {slot.id: _dump_state(states[slot.id], slot) for slot in rack.slots if slot.id in states}
    small = None if reference is None else _png(np.clip(reference * _QUANTUM + 128, 0, 255).astype(np.uint8))
    return {"version": VERSION, "offset": [round(float(v), 2) for v in offset], "reference": small, "slots": slots}


def load(
    snapshot: Mapping[str, Any], rack: Rack
) -> tuple[dict[str, SlotState], npt.NDArray[np.float32] | None, tuple[float, float]]:
    """States by slot (only places whose polygon is unchanged), gate reference, camera offset.

    Raises:
        SnapshotError: not a snapshot of this version, or damaged.
    """
    try:
        if snapshot["version"] != VERSION:
            raise SnapshotError(f"snapshot version {snapshot['version']!r}, expected {VERSION}")
        states = {}
        for slot in rack.slots:
            raw = snapshot["slots"].get(slot.id)
            if raw is not None and raw["polygon"] == _corners(slot):
                states[slot.id] = _load_state(raw, slot)
        reference = None
        if snapshot["reference"] is not None:
            reference = (
                (_unpng(snapshot["reference"], cv2.IMREAD_COLOR).astype(np.float32) - 128) / np.float32(_QUANTUM)
            ).astype(np.float32)
        dx, dy = snapshot["offset"]
    except (KeyError, TypeError, AttributeError, ValueError, binascii.Error, cv2.error) as problem:
        raise SnapshotError(f"damaged snapshot: {problem}") from problem
    return states, reference, (float(dx), float(dy))


def _corners(slot: Slot) -> list[list[float]]:
    return [[round(float(x), 1), round(float(y), 1)] for x, y in slot.polygon]


def _dump_state(state: SlotState, slot: Slot) -> dict[str, Any]:
    return {
        "count": state.count,
        "declared": state.declared,
        "confidence": round(float(state.confidence), 3),
        "polygon": _corners(slot),
        "look": _dump_look(state.look),
        "full": None if state.full is None else _dump_look(state.full),
        "empty": None if state.empty is None else _dump_look(state.empty),
    }


def _load_state(raw: Mapping[str, Any], slot: Slot) -> SlotState:
    looks = {name: None if raw[name] is None else _load_look(raw[name]) for name in ("look", "full", "empty")}
    if looks["look"] is None:
        raise SnapshotError(f"slot {slot.id} has no look")
    return SlotState(
        int(raw["count"]), looks["look"], bool(raw["declared"]), looks["full"], looks["empty"], float(raw["confidence"])
    )


def _dump_look(look: Look) -> dict[str, Any]:
    mask = _png(look.mask.astype(np.uint8) * 255)
    return {
        "pixels": _png(look.pixels),
        "mask": mask,
        "level": round(float(look.level), 2),
        "noise": round(float(look.noise), 3),
    }


def _load_look(raw: Mapping[str, Any]) -> Look:
    pixels = _unpng(raw["pixels"], cv2.IMREAD_COLOR)
    return Look(pixels, _unpng(raw["mask"]) > 127, float(raw["level"]), float(raw["noise"]))


def _png(image: npt.NDArray[np.uint8]) -> str:
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode("ascii")


def _unpng(text: str, flags: int = cv2.IMREAD_GRAYSCALE) -> npt.NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(text, validate=True), np.uint8), flags)
    if image is None:
        raise SnapshotError("an image in it cannot be decoded")
    return np.asarray(image, np.uint8)
