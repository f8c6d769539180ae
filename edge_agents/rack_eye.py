"""The process that watches one rack: frames in, settled changes out, over its standard input and output.

It is started by :mod:`edge_agents.parts.rack`, which records what it says. It keeps nothing: what it knows is the
snapshot that comes with each change and is saved with it, so that it may be killed at any moment.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

import cv2
import msgspec
import numpy as np

from contracts.facts import Mode
from vision.detectors import DetectorError, make_detector
from vision.memory import SnapshotError
from vision.pipeline import RackWatcher, SlotChange
from vision.sessions import State
from vision.slots import RackError, load_rack
from vision.sources import CameraGoneError, FrameSource, SourceError, open_source

_log = logging.getLogger(__name__)

MAX_CROP: Final = 20 * 1024
"""Bytes of a crop's JPEG; two of them fit in one fact."""


class Order(msgspec.Struct, frozen=True):
    """What to watch. `snapshot`: JSON of the last one saved, None on the first start."""

    source: str
    rack: str
    fps: float
    loop: bool
    detector: str
    model: str | None
    snapshot: bytes | None


class Change(msgspec.Struct, frozen=True):
    """A place whose count changed; `at` is aware UTC of this machine's wall clock."""

    slot: str
    item: str
    delta: int
    before_count: int
    after_count: int
    confidence: float
    mode: Mode
    at: datetime
    session: int
    before: bytes
    after: bytes
    model: str
    during_absence: bool


class Watching(msgspec.Struct, frozen=True, tag="watching"):
    """Frames come."""


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """A clear rack again: what changed, and the snapshot to save with it."""

    changes: list[Change]
    snapshot: bytes


class Gone(msgspec.Struct, frozen=True, tag="gone"):
    """The camera does not answer; it is tried again."""

    message: str


class Unusable(msgspec.Struct, frozen=True, tag="unusable"):
    """It cannot go on like this: `code`, what, and what to do in French."""

    code: str
    message: str
    french: str


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The recording is over."""


Said: TypeAlias = Watching | Settled | Gone | Unusable | Ended


def watch(order: Order, say: Callable[[Said], None], sleep: Callable[[float], None] = time.sleep) -> None:
    """Watch until the source ends."""
    try:
        rack = load_rack(Path(order.rack))
        detector = make_detector(order.detector, None if order.model is None else Path(order.model))
        source = open_source(order.source, fps=order.fps, loop=order.loop, realtime=True, sleep=sleep)
    except RackError as error:
        say(Unusable("rack_file", str(error), f"Description du rack inutilisable : corriger {Path(order.rack).name}."))
        return
    except DetectorError as error:
        say(Unusable("detector", str(error), "Détecteur inutilisable : vérifier `model` et l'installation de l'agent."))
        return
    except SourceError as error:
        say(Unusable("source", str(error), f"Source d'images introuvable ({order.source}) : corriger `source`."))
        return
    items = {slot.id: slot.item for slot in rack.slots}
    snapshot = order.snapshot
    while True:
        watcher = RackWatcher(rack, detector)
        if snapshot is not None:
            watcher.restore(msgspec.json.decode(snapshot))
        try:
            for settled in _settlements(watcher, source, items, say):
                snapshot = settled.snapshot
                say(settled)
            say(Ended())
            return
        except CameraGoneError as error:
            say(Gone(str(error)))
        except SnapshotError as error:
            _log.error("the saved snapshot cannot be used, the rack is learnt anew: %s", error)
            snapshot = None
        except SourceError as error:
            say(Unusable("source", str(error), f"Images illisibles ({order.source}) : vérifier la source."))
            return
        except ValueError as error:
            french = "La caméra a changé de format d'image : remettre l'ancien réglage ou redessiner le rack."
            say(Unusable("picture", str(error), french))
            return


def _settlements(
    watcher: RackWatcher, source: FrameSource, items: dict[str, str], say: Callable[[Said], None]
) -> Iterator[Settled]:
    first = True
    for frame in source:
        if first:
            first = False
            say(Watching())
        before = watcher.state
        changes = watcher.feed(frame.image, frame.ts)
        if changes or (before is not State.CLEAR and watcher.state is State.CLEAR):
            said = [_change(change, items[change.slot]) for change in changes]
            yield Settled(said, json.dumps(watcher.snapshot()).encode())


def _change(change: SlotChange, item: str) -> Change:
    at = datetime.now(UTC) - timedelta(seconds=max(0.0, time.monotonic() - change.at))
    return Change(
        change.slot, item, change.delta, change.before_count, change.after_count, min(max(change.confidence, 0.0), 1.0),
        change.mode, at, change.session, small(change.before_jpeg), small(change.after_jpeg), change.model,
        change.during_absence,
    )  # fmt: skip


def small(jpeg: bytes) -> bytes:
    """The picture in at most `MAX_CROP` bytes; empty when it cannot be read."""
    while len(jpeg) > MAX_CROP:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            return b""
        image = cv2.resize(image, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
        jpeg = bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])
    return jpeg


def write(pipe: BinaryIO, message: Said | Order) -> None:
    """One message: four bytes of length, then MessagePack."""
    payload = msgspec.msgpack.encode(message)
    pipe.write(len(payload).to_bytes(4, "big") + payload)
    pipe.flush()


def main() -> None:
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a native library that prints must not break the protocol
    length = int.from_bytes(sys.stdin.buffer.read(4), "big")
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(length), type=Order)
    threading.Thread(target=_end_with_the_agent, daemon=True).start()
    watch(order, lambda message: write(out, message))


def _end_with_the_agent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
