"""Render episodes: frame sequences of hand sessions over a rack, with the truth of what was taken and returned.

Layout (the one that ``copeau vision eval`` reads): ``OUT/<episode>/rack.json``, ``OUT/<episode>/frames/00000.jpg`` …,
``OUT/<episode>/truth.json`` with ``fps``, ``deltas`` per slot, and ``events`` with their times.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from vision.rendering.hands import Hand, fingertip, make_hand
from vision.rendering.items import Image, Item
from vision.rendering.scene import Disturbance, HandPose, Scene, SlotModel

FPS = 10
ACTIONS = ("take", "take_two", "return", "nothing", "take_and_put_back")
_WEIGHTS = (0.36, 0.12, 0.2, 0.26, 0.06)
_SIZES = ((416, 320), (416, 320), (480, 360), (640, 480), (640, 360))
_GRIDS = ((4, 3), (4, 3), (4, 3), (3, 2), (5, 3), (5, 3), (4, 2), (3, 3))
_LIGHTS = ("steady", "steady", "step", "drift", "shadow", "flicker", "bump")


@dataclass
class Episode:
    """Frames and truth of one episode.

    Attributes:
        rack: the content of ``rack.json``.
        frames: images (H, W, 3) uint8 BGR at `FPS`.
        deltas: slot → change of count over the whole episode, zeros left out.
        events: ``{"t": seconds, "slot": id, "delta": ±1}``.
        actions: what the sessions were, from `ACTIONS`.
        light: what the light or the camera did.
    """

    rack: dict[str, object]
    light: str
    frames: list[Image] = field(default_factory=list)
    events: list[dict[str, object]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)

    @property
    def deltas(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for event in self.events:
            total[str(event["slot"])] += int(str(event["delta"]))
        return {slot: delta for slot, delta in sorted(total.items()) if delta}


def render_episode(seed: int, action: str | None = None, light: str | None = None) -> Episode:
    """One episode; the same arguments give the same frames. ``action`` fixes a single session, else one or two are
    drawn.
    """
    return Director(seed, light).shoot(action)


def write_episodes(out: Path, count: int, seed: int) -> Iterator[Path]:
    """Write ``count`` episodes below ``out``; yields each folder when it is complete."""
    for i in range(count):
        episode = render_episode(seed * 100_000 + i)
        yield write_episode(out / f"e{i:04d}", episode)


def write_episode(folder: Path, episode: Episode) -> Path:
    """Write one episode in the layout above."""
    frames = folder / "frames"
    frames.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(episode.frames):
        cv2.imwrite(str(frames / f"{i:05d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    (folder / "rack.json").write_text(json.dumps(episode.rack) + "\n")
    truth = {
        "fps": FPS,
        "deltas": episode.deltas,
        "events": episode.events,
        "actions": episode.actions,
        "light": episode.light,
    }
    (folder / "truth.json").write_text(json.dumps(truth) + "\n")
    return folder


def rack_of(scene: Scene) -> dict[str, object]:
    """The ``rack.json`` of a scene."""
    slots = [
        {
            "id": s.id,
            "polygon": [[round(float(x), 1), round(float(y), 1)] for x, y in s.polygon],
            "item": f"{s.kind}-{s.id}",
            "class": s.kind,
        }
        for s in scene.slots
    ]
    return {"slots": slots}


class Director:
    """Moves the hand and the items, frame by frame."""

    def __init__(self, seed: int, light: str | None) -> None:
        self.rng = np.random.default_rng((seed, 29))
        width, height = _SIZES[self.rng.integers(len(_SIZES))]
        self.scene = Scene(self.rng, width, height, _GRIDS[self.rng.integers(len(_GRIDS))])
        self.light = light or str(self.rng.choice(_LIGHTS))
        self.episode = Episode(rack_of(self.scene), self.light)
        self.gain, self.offset = 1.0, (0.0, 0.0)
        self.change_at = int(self.rng.integers(8, 50))
        self.change_by = float(self.rng.uniform(0.72, 1.25))

    def shoot(self, action: str | None) -> Episode:
        sessions = 1 if action or self.rng.random() < 0.75 else 2
        self.wait(int(self.rng.integers(9, 14)))
        for _ in range(sessions):
            self.session(action or str(self.rng.choice(ACTIONS, p=_WEIGHTS)))
            self.wait(int(self.rng.integers(12, 16)))
        return self.episode

    def wait(self, frames: int) -> None:
        for _ in range(frames):
            self._expose(None)

    def _expose(self, pose: HandPose | None) -> None:
        index = len(self.episode.frames)
        gain, shadow = self.gain, None
        if self.light == "step" and index >= self.change_at:
            gain *= self.change_by
        elif self.light == "drift":
            gain *= 1 + (self.change_by - 1) * min(index / 60, 1.0)
        elif self.light == "flicker":
            gain *= 1 + 0.06 * np.sin(index * 2.1)
        elif self.light == "bump" and index >= self.change_at:
            self.offset = (round((self.change_by - 1) * 12), 2.0)
        elif self.light == "shadow":
            w, h = self.scene.canvas_size
            phase = (index - self.change_at) / 20
            shadow = (w * phase, h * 0.5, w * 0.35, 0.35)
        image, _ = self.scene.render(self.rng, pose, Disturbance(float(gain), self.offset, shadow))
        self.episode.frames.append(image)

    def session(self, action: str) -> None:
        targets = self._targets(action)
        if action == "nothing" or not targets:
            targets = [
                self.scene.slots[self.rng.integers(len(self.scene.slots))] for _ in range(int(self.rng.integers(1, 3)))
            ]
            action = "nothing"
        self.episode.actions.append(action)
        h = self.scene.canvas_size[1]
        hand = make_hand(h * self.rng.uniform(0.09, 0.14), self.rng)
        angle = -np.pi / 2 + self.rng.normal(0, 0.25)
        if self.rng.random() < 0.3:
            angle = float(self.rng.choice([0.0, np.pi])) + self.rng.normal(0, 0.2)
        tip = fingertip(hand, 0, 0, angle)
        outside = self._outside(hand, angle)
        held = self._new_item(targets[0]) if action == "return" else None
        position = outside
        for target in targets:
            x, y, rw, rh = target.rect
            goal = (x + rw / 2 - tip[0], y + rh / 2 - tip[1])
            self._travel(hand, angle, position, goal, held)
            held = self._act(action, target, hand, angle, goal, held)
            position = goal
        self._travel(hand, angle, position, outside, held)

    def _targets(self, action: str) -> list[SlotModel]:
        occupied = [s for s in self.scene.slots if s.items]
        free = [s for s in self.scene.slots if s.free_spots()]
        if action in ("take", "take_and_put_back"):
            return [occupied[self.rng.integers(len(occupied))]] if occupied else []
        if action == "return":
            return [free[self.rng.integers(len(free))]] if free else []
        if action == "take_two" and sum(len(s.items) for s in occupied) >= 2:
            stock = [s for s in occupied for _ in s.items]
            return [stock[i] for i in self.rng.permutation(len(stock))[:2]]
        return []

    def _act(
        self, action: str, slot: SlotModel, hand: Hand, angle: float, where: tuple[float, float], held: Item | None
    ) -> Item | None:
        touches = action != "nothing" or self.rng.random() < 0.6
        dwell = int(self.rng.integers(2, 6))
        self._hover(hand, angle, where, dwell, held)
        if touches:
            self._nudge(slot)
        now = round(len(self.episode.frames) / FPS, 2)
        if action in ("take", "take_two", "take_and_put_back"):
            spot, item = slot.items.pop(int(self.rng.integers(len(slot.items))))
            self.scene.touch()
            held = item
            if action == "take_and_put_back":
                self._hover(hand, angle, where, 4, held)
                slot.items.append((spot, self._pushed(item, 0.02, 0.1)))
                self.scene.touch()
                held = None
            else:
                self.episode.events.append({"t": now, "slot": slot.id, "delta": -1})
        elif action == "return":
            free = slot.free_spots()
            slot.put(free[self.rng.integers(len(free))], self.rng)
            self.scene.touch()
            self.episode.events.append({"t": now, "slot": slot.id, "delta": 1})
            held = None
        self._hover(hand, angle, where, 2, held)
        return held

    def _nudge(self, slot: SlotModel) -> None:
        slot.items = [
            (spot, self._pushed(item, 0.02, 0.08)) if self.rng.random() < 0.6 else (spot, item)
            for spot, item in slot.items
        ]
        self.scene.touch()

    def _pushed(self, item: Item, share: float, turn: float) -> Item:
        dx, dy = self.rng.normal(0, self.scene.cell * share, 2)
        return item.moved(float(dx), float(dy), float(self.rng.normal(0, turn)))

    def _new_item(self, slot: SlotModel) -> Item:
        spare = SlotModel(slot.id, slot.rect, slot.polygon, slot.kind, slot.capacity, slot.style, slot.spots)
        spare.put(0, self.rng)
        return spare.items[0][1]

    def _outside(self, hand: Hand, angle: float) -> tuple[float, float]:
        w, h = self.scene.canvas_size
        margin = hand.scale * 2.6
        if abs(np.sin(angle)) > 0.7:
            return float(self.rng.uniform(0.2, 0.8) * w), h + margin if np.sin(angle) < 0 else -margin
        return (-margin if np.cos(angle) > 0 else w + margin), float(self.rng.uniform(0.3, 0.8) * h)

    def _hover(self, hand: Hand, angle: float, where: tuple[float, float], frames: int, held: Item | None) -> None:
        for _ in range(frames):
            wobble = self.rng.normal(0, hand.scale * 0.05, 2)
            self._show(hand, angle, where[0] + wobble[0], where[1] + wobble[1], held)

    def _travel(
        self, hand: Hand, angle: float, start: tuple[float, float], end: tuple[float, float], held: Item | None
    ) -> None:
        steps = int(self.rng.integers(4, 8))
        for t in np.linspace(0, 1, steps + 1)[1:]:
            s = t * t * (3 - 2 * t)
            self._show(hand, angle, start[0] + (end[0] - start[0]) * s, start[1] + (end[1] - start[1]) * s, held)

    def _show(self, hand: Hand, angle: float, x: float, y: float, held: Item | None) -> None:
        in_hand = None
        if held is not None:
            tx, ty = fingertip(hand, x, y, angle)
            in_hand = held.moved(tx - held.x, ty - held.y, 0.0)
        self._expose(HandPose(hand, x, y, angle, in_hand))
