"""A small drawn rack with a hand over it, a judge that counts colours, and a ledger that believes what it is told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.none import NoDetector
from vision.judging import Crop, Judgement, SlotMemory
from vision.judging.taught import look_of, picture_of
from vision.sessions import State
from vision.slots import Rack, Slot, parse_rack
from vision.watching import RackWatcher, Said, SlotChange, WatchSettings, changes

Picture = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 320, 200
RAG = (40, 40, 200)
ITEM = (60, 150, 210)


def polygon(i: int) -> list[list[float]]:
    x = 20 + 100 * i
    return [[x, 40], [x + 80, 40], [x + 80, 160], [x, 160]]


def rack(count: int | None = 1, kind: str = "countable", items: Sequence[str] = ("pince",) * 3) -> Rack:
    slots: list[dict[str, Any]] = [
        {"id": f"A{i + 1}", "polygon": polygon(i), "item": items[i], "class": "any", "kind": kind} for i in range(3)
    ]
    for slot in slots:
        if count is not None:
            slot["count"] = count
    return parse_rack({"slots": slots})


class FakeJudge:
    """Counts what is coloured like an item: one piece is at least 1 % of a crop; a rag masks."""

    version = "fake-1"

    def learn(self, slot: Slot, crops: Sequence[Crop], count: int | None) -> SlotMemory:
        seen = self._count(crops) if count is None else count
        return SlotMemory(seen, 1.0, look_of(crops), picture_of(crops), declared=True)

    def judge(self, slot: Slot, memory: SlotMemory, after: Sequence[Crop]) -> Judgement:
        now = replace(memory, look=look_of(after), picture=picture_of(after))
        if slot.kind == "hidden":
            return Judgement(memory.count, None, 0.0, "ask", "hidden", "hidden", "touched", memory)
        if _share(after, RAG) > 0.05:
            return Judgement(memory.count, None, 0.0, "none", None, "masked", "a rag lies on it", memory)
        count = self._count(after)
        mode = "none" if count == memory.count else "auto"
        return Judgement(memory.count, count, 0.99, mode, None, "seen", "counted", replace(now, count=count))

    def dump(self, memory: SlotMemory) -> dict[str, Any]:
        return {"count": memory.count, "picture": memory.picture.tolist()[:2]}

    def load(self, slot: Slot, raw: Mapping[str, Any]) -> SlotMemory:
        crop = Crop(
            np.full((80, 80, 3), 90, np.uint8), np.array([[5, 5], [75, 5], [75, 75], [5, 75]], np.float32), 90.0
        )
        return SlotMemory(raw["count"], 1.0, look_of([crop]), picture_of([crop]))

    def _count(self, crops: Sequence[Crop]) -> int:
        return int(_share(crops, ITEM) > 0.01)


def _share(crops: Sequence[Crop], colour: tuple[int, int, int]) -> float:
    apart = np.abs(crops[-1].pixels.astype(np.int16) - np.array(colour)).max(2)
    return float((apart < 30).mean())


class Bench:
    """Draws the rack, moves a hand over it, and feeds a watcher."""

    def __init__(self, watcher: RackWatcher | None = None, seed: int = 0) -> None:
        self.watcher = watcher or RackWatcher(rack(), NoDetector())
        self.rng = np.random.default_rng(seed)
        self.items = [True, True, True]
        self.rags = [False, False, False]
        self.gain, self.shift, self.ts = 1.0, (0, 0), 0.0
        self.nudge = [0, 0, 0]
        self.said: list[Said] = []

    def picture(self, hand: tuple[int, int] | None = None) -> Picture:
        image = np.full((HEIGHT, WIDTH, 3), 140, np.uint8)
        for y in range(0, HEIGHT, 23):
            cv2.line(image, (0, y), (WIDTH, y + 9), (125, 128, 130), 1)
        for i in range(3):
            x = 20 + 100 * i
            cv2.rectangle(image, (x, 40), (x + 80, 160), (95, 95, 95), -1)
            if self.items[i]:
                cx = x + 40 + self.nudge[i]
                cv2.ellipse(image, (cx, 100), (16, 42), 0, 0, 360, ITEM, -1, cv2.LINE_AA)
                cv2.circle(image, (cx, 90), 8, (30, 30, 30), -1, cv2.LINE_AA)
            if self.rags[i]:
                cv2.rectangle(image, (x + 8, 50), (x + 72, 150), RAG, -1)
        if hand is not None:
            cv2.line(image, hand, (hand[0] + 20, HEIGHT + 60), (120, 150, 200), 44, cv2.LINE_AA)
            cv2.circle(image, hand, 30, (110, 140, 190), -1, cv2.LINE_AA)
        matrix = np.array([[1, 0, self.shift[0]], [0, 1, self.shift[1]]], np.float64)
        moved = cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        noisy = np.clip(moved * self.gain + self.rng.normal(0, 2, moved.shape), 0, 255)
        return np.asarray(noisy, np.uint8)

    def show(self, frames: int, hand: tuple[int, int] | None = None, fps: float = 10.0) -> list[SlotChange]:
        said: list[Said] = []
        for _ in range(frames):
            said += self.watcher.feed(self.picture(hand), self.ts)
            self.ts = round(self.ts + 1 / fps, 3)
        self.said += said
        return changes(said)

    def session(self, slot: int, put: bool | None = None, nudge: int = 0, rag: bool | None = None) -> list[SlotChange]:
        """The hand goes to ``slot``, leaves it with (True) or without (False) an item, or as it was (None)."""
        x = 60 + 100 * slot
        found = []
        for y in (230, 190, 150, 120):
            found += self.show(1, (x, y))
        found += self.show(3, (x, 105))
        if put is not None:
            self.items[slot] = put
        if rag is not None:
            self.rags[slot] = rag
        self.nudge[slot] += nudge
        for y in (120, 150, 190, 230):
            found += self.show(1, (x, y))
        return found + self.show(10)


def told(found: list[SlotChange]) -> list[tuple[str, int, str]]:
    return [(c.slot, c.delta, c.mode) for c in found]


class Scribe(Bench):
    """Draws a story once and keeps it: (frame, items there), a tenth of a second each."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[tuple[Picture, list[bool]]] = []
        self.show(8)
        self.session(1, put=False)
        self.session(0, put=False)
        self.session(1, put=True)
        self.session(2)
        self.session(0, put=True)
        self.session(2, put=False)
        self.show(8)

    def show(self, frames: int, hand: tuple[int, int] | None = None, fps: float = 10.0) -> list[SlotChange]:
        self.frames += [(self.picture(hand), list(self.items)) for _ in range(frames)]
        return []


class Shop:
    """An agent and a centre: what is said is booked and the snapshot saved with it, in one transaction."""

    def __init__(self, places: Rack | None = None, settings: WatchSettings | None = None) -> None:
        self.rack = places or rack()
        self.settings = settings
        self.saved: dict[str, Any] = {}
        self.ledger = {slot.id: 1 for slot in self.rack.slots}
        self.booked: list[SlotChange] = []
        self.watcher = self._new()

    def kill(self) -> None:
        """The process is killed and starts again."""
        self.watcher = self._new()

    def feed(self, frame: Picture, ts: float, dies: bool = False) -> None:
        """`dies`: killed after it said, before anything was saved."""
        before = self.watcher.state
        said = self.watcher.feed(frame, ts)
        if dies:
            self.kill()
            return
        self.book(said)
        if said or (before is not State.CLEAR and self.watcher.state is State.CLEAR):
            self.saved = json.loads(json.dumps(self.watcher.snapshot()))

    def book(self, said: list[Said]) -> None:
        for change in changes(said):
            assert self.ledger[change.slot] == change.before_count, f"said twice, or lost: {change}"
            self.ledger[change.slot] = change.after_count
            self.booked.append(change)

    def _new(self) -> RackWatcher:
        watcher = RackWatcher(self.rack, NoDetector(), self.settings, FakeJudge())
        watcher.restore(self.saved)
        return watcher


def dark(frame: Picture) -> Picture:
    return np.asarray(frame // 60, np.uint8)
