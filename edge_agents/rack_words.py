"""What a watcher says, as the words that go to the agent: its frames' seconds become times."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

import cv2
import numpy as np

from edge_agents import rack_messages as messages
from vision.slots import Rack
from vision.watching.said import ModeChange, Reading, Said, SlotAsk, SlotChange

MAX_JPEG: Final = 256 * 1024
"""Bytes of one picture of a pair."""


def word_of(said: Said, rack: Rack) -> messages.Word:
    """Its message, dated on this machine's wall clock."""
    at = wall(said.at)
    match said:
        case SlotChange():
            return messages.Change(
                said.slot, _item(rack, said.slot), said.delta, said.before_count, said.after_count,
                _share(said.confidence), said.mode, at, said.session, small(said.before_jpeg), small(said.after_jpeg),
                said.model, said.why, said.during_absence, said.transfer or "",
            )  # fmt: skip
        case SlotAsk():
            return messages.Ask(
                said.slot, _item(rack, said.slot), said.reason, at, said.guess, said.count_before,
                _share(said.confidence), said.session, small(said.before_jpeg), small(said.after_jpeg), said.model,
                said.why, said.during_absence,
            )  # fmt: skip
        case Reading():
            seen = [
                messages.Seen(
                    place.slot, _item(rack, place.slot), place.count, place.present, place.state,
                    None if place.since is None else wall(place.since), _share(place.confidence),
                )
                for place in said.places
            ]  # fmt: skip
            return messages.Read(said.why, at, said.session, seen, said.model)
        case ModeChange():
            before, after = small(said.before_jpeg), small(said.after_jpeg)
            return messages.ModeIs(said.mode, said.code, said.detail, at, before, after)


def wall(seconds: float) -> datetime:
    """The time at which the frames' clock showed `seconds`: never in the future."""
    return datetime.now(UTC) - timedelta(seconds=max(0.0, time.monotonic() - seconds))


def small(jpeg: bytes) -> bytes:
    """The picture in at most `MAX_JPEG` bytes; empty when it cannot be read."""
    while len(jpeg) > MAX_JPEG:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            return b""
        image = cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
        jpeg = bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
    return jpeg


def _item(rack: Rack, slot: str) -> str:
    return next((one.item for one in rack.slots if one.id == slot), "")


def _share(value: float) -> float:
    return min(max(float(value), 0.0), 1.0)
