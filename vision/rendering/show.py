"""A hard rendered rack at 1080p: 12 to 96 places, everything that people do at it, and the faults of its camera.

Every frame is made when it is asked for; nothing is kept. The same seed and the same calls give the same frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from contracts.racks import Drawer, Markers, RackDescription, SlotDescription, SlotKind
from vision.rendering import cases, faults
from vision.rendering.arms import Arm, make_look
from vision.rendering.camera import Camera
from vision.rendering.gestures import Script
from vision.rendering.ground import MARKER_IDS
from vision.rendering.layout import Place, Wish
from vision.rendering.leavings import FREE_SHARE, wet
from vision.rendering.sprites import Rect
from vision.rendering.stage import MARGIN, Stage
from vision.rendering.tracks import Track
from vision.rendering.truth import (
    CASES,
    FAULTS,
    SHOW_FPS,
    Answer,
    CannotPlayError,
    Event,
    HandBox,
    Played,
    Shot,
    State,
)

__all__ = ["CASES", "FAULTS", "SHOW_FPS", "Answer", "CannotPlayError", "Event", "RackShow", "Shot"]


class RackShow:
    """One rack and its camera.

    Args:
        seed: fixes everything.
        slots: number of places; 12, 24, 40 and 96 have their grids, others get one near.
        size: width, height of the picture, px.
        layout: ``foam``, ``bins``, ``holes``, ``open`` or ``mixed`` (a choice for each row).
        fill: mean share of occupied spots.
        photos: which part of the real photographs may be used, ``train`` or ``evaluate``
            (`vision.rendering.photos.PHOTO_SPLIT`).
        least_px: least short side of a countable item, world px.
        hidden, presence: share of such places.
        hard: strength of uneven light, reflections, shadows and drift, 0 to 1.5.

    Attributes:
        description: the rack as it was taught, in px of the still camera.
        last: what the last session was, for callers that do not keep the shots.
        frames: frames made so far.
    """

    def __init__(
        self,
        seed: int,
        slots: int = 12,
        size: tuple[int, int] = (1920, 1080),
        *,
        layout: str = "mixed",
        fill: float = 0.7,
        photos: str = "train",
        least_px: float = 27.0,
        hidden: float = 0.06,
        presence: float = 0.2,
        hard: float = 1.0,
    ) -> None:
        self.rng = np.random.default_rng((seed, 31))
        self.size, self.hard = size, hard
        wish = Wish(slots, layout, fill, photos, least_px, hidden, presence)
        self.photos = photos
        self.stage = Stage(self.rng, wish, size)
        wet(self.rng, self.stage, int(self.rng.poisson(5 * hard)))
        self.stage.paint((0, 0, *self.stage.size))
        self.camera = Camera(self.rng, size, self._stand(), hard)
        self.description = self._describe()
        self.last = Played("rest")
        self.frames = 0
        self.fault_kind: str | None = None
        self._sessions = 0
        self._depth = 0.0
        self._frozen: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None = None
        self._phase = float(self.rng.uniform(0, 6.3))
        self._walker: tuple[float, float] | None = None
        self._arm_scale = float(np.clip(size[0] / 17, 60, 130)) * float(self.rng.uniform(0.85, 1.15))
        self.expose()

    @property
    def truth(self) -> dict[str, int | None]:
        """Place → number of its own items in it now; None where nobody can see it (hidden)."""
        return {p.id: None if p.hidden else len(p.things) for p in self.stage.places}

    def state(self, slot: str) -> State:
        """What stands in the way of a number there now."""
        place = self.stage.place(slot)
        if place.opened:
            return "open"
        if place.hidden:
            return "hidden"
        if self.stage.masked(place) > FREE_SHARE:
            return "masked"
        if place.guests:
            return "foreign"
        return "stacked" if place.stacked() else "clear"

    def readable(self, slot: str) -> int | None:
        """The number that an absolute reading must give now, None where it must not give one."""
        return self.truth[slot] if self.state(slot) == "clear" else None

    def rest(self, n: int) -> Iterator[Shot]:
        """`n` frames without hands."""
        for _ in range(n):
            yield self._shot([], [])

    def act(self, case: str, *, after: int = 6, **choices: Any) -> Iterator[Shot]:
        """Play one of `CASES`; the last of `after` clear frames carries the answers.

        Args:
            choices: ``slot``, ``slots``, ``to``: names of places; ``n``: pieces; ``fault``, ``amount`` of
                ``take_in_fault``; ``take``: whether a resting forearm's hand takes one. What is not chosen is drawn.

        Raises:
            CannotPlayError: the rack as it is does not allow it (raised by the first ``next``).
        """
        if case not in CASES:
            raise ValueError(f"no case {case!r}; there are {', '.join(CASES)}")
        if case == "take_in_fault":
            yield from self._take_in_fault(after, choices)
            return
        script = cases.prepare(self, case, choices)
        yield from self._play(script, after)

    def can(self, case: str) -> bool:
        """Whether `case` can be played now."""
        return case == "take_in_fault" or cases.possible(self, case)

    def fault(self, kind: str, amount: float = 0.0, frames: int = 5) -> Iterator[Shot]:
        """The fault begins and stays (`FAULTS` says what `amount` is); `frames` of it."""
        if kind not in FAULTS:
            raise ValueError(f"no fault {kind!r}; there are {', '.join(FAULTS)}")
        if kind == "frozen":
            self._frozen = self._shot([], []).image
        faults.begin(self, kind, amount)
        self.fault_kind = kind
        self._depth = amount if kind == "flicker" else 0.0
        self.expose()
        yield from self.rest(frames)

    def clear_fault(self, frames: int = 5) -> Iterator[Shot]:
        """The fault ends; `frames` after it."""
        faults.end(self)
        self.fault_kind, self._frozen, self._depth = None, None, 0.0
        self.expose()
        yield from self.rest(frames)

    @property
    def blind(self) -> bool:
        """A fault is on that forbids counting. A small move or turn, and an exposure step, do not."""
        return faults.blind(self)

    def expose(self, changed: Rect | None = None) -> None:
        """Renew the still picture where the world changed."""
        faults.expose(self, changed)

    def arm(self, angle: float) -> Arm:
        """A new person's arm."""
        return Arm(make_look(self.rng, self._arm_scale), angle, self.stage.light)

    def track(self, angle: float, delay: int = 0) -> Track:
        return Track(self.arm(angle), self.size, self.stage.light, delay=delay)

    def seen(self, x: float, y: float) -> tuple[float, float]:
        """World → picture, as the camera stands now."""
        p = cv2.perspectiveTransform(np.array([[[x, y]]], np.float64), self.camera.matrix)[0, 0]
        return float(p[0]), float(p[1])

    def _play(self, script: Script, after: int) -> Iterator[Shot]:
        rng = self.rng
        self._sessions += 1
        if self._sessions % 4 == 0 and self.hard > 0:
            self.camera.turn_lamp(rng, 0.6 * self.hard)
            self.expose()
        walker = rng.random() < 0.3 * self.hard
        frames = max(len(track) for track in script.tracks)
        self.last = played = Played(script.case)
        blind = False
        for i in range(frames + after):
            if walker:
                self._walker = (float(rng.uniform(0.45, 0.55)), i / (frames + after))
            for track in script.tracks:
                beat = i - track.delay
                if 0 <= beat < len(track.beats):
                    do = track.beats[beat].do
                    if do is not None:
                        do(track)
            now, changed = script.flush()
            for rect in changed:
                self.expose(self.stage.paint(rect))
            played.events.extend(now)
            blind = blind or self.blind
            if i == frames + after - 1:
                self._walker = None
                played.answers = script.answers(blind)
                yield self._shot([], now, played.answers)
            else:
                yield self._shot(script.tracks, now, (), i)

    def _take_in_fault(self, after: int, choices: dict[str, Any]) -> Iterator[Shot]:
        kind = choices.pop("fault", None) or str(self.rng.choice(list(faults.BLINDING)))
        amount = choices.pop("amount", None)
        if not cases.possible(self, "take"):
            raise CannotPlayError("no place is stocked and clear")
        yield from self.fault(kind, faults.some(self.rng, kind) if amount is None else float(amount))
        for shot in self._play(cases.prepare(self, "take", choices), 3):
            yield replace(shot, answers=())
        self.last.case = "take_in_fault"
        yield from self.clear_fault(after + 2)
        yield replace(self._shot([], []), answers=self.last.answers)

    def _shot(self, tracks: list[Track], events: list[Event], answers: tuple[Answer, ...] = (), index: int = 0) -> Shot:
        self.frames += 1
        sprites = [sprite for track in tracks for sprite in track.sprites(index)]
        gain = 1 + 0.035 * self.hard * float(np.sin(self.frames / 160 + self._phase))
        if self._depth:
            gain *= 1 + self._depth * float(np.sin(self.frames * 2.1 + self._phase))
        blind = self.blind
        if self._frozen is not None:
            return Shot(self._frozen.copy(), tuple(events), answers, (), blind)
        image = self.camera.frame(sprites, gain, self.rng)
        if self._walker is not None:
            self._darken(image, *self._walker)
        return Shot(image, tuple(events), answers, self._hands(tracks, index), blind)

    def _darken(self, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], x: float, t: float) -> None:
        """The shadow of a person who stands at the rack."""
        yy, xx = np.mgrid[0:1:20j, 0:1:36j].astype(np.float32)
        depth = (
            0.26
            * self.hard
            * np.sin(np.pi * min(1.0, t * 1.2))
            * np.exp(-(((xx - x - 0.1 * t) / 0.4) ** 2) - ((yy - 1.05) / 0.6) ** 2)
        )
        keep = cv2.resize((255 * (1 - depth)).astype(np.uint8), self.size)
        cv2.multiply(image, cv2.merge((keep, keep, keep)), dst=image, scale=1 / 255)

    def _hands(self, tracks: list[Track], index: int) -> tuple[HandBox, ...]:
        boxes = []
        for track in tracks:
            i = index - track.delay
            if not 0 <= i < len(track.beats):
                continue
            beat, box = track.beats[i], track.arm.hand_box()
            x0, y0 = max(box[0] + beat.x, 0.0), max(box[1] + beat.y, 0.0)
            x1, y1 = min(box[2] + beat.x, float(self.size[0])), min(box[3] + beat.y, float(self.size[1]))
            if x1 - x0 > 12 and y1 - y0 > 12:
                boxes.append(HandBox(x0, y0, x1, y1))
        return tuple(boxes)

    def _stand(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """A camera that looks almost straight down on the rack."""
        w, h = self.size
        a, b, c, d = self.stage.area
        frame = np.array([[a, b], [c, b], [c, d], [a, d]], np.float32)
        shift = self.rng.uniform(-0.011, 0.011, (4, 2)).astype(np.float32) * np.array([w, h], np.float32)
        return np.asarray(
            cv2.getPerspectiveTransform(frame, (frame - np.float32(MARGIN) + shift).astype(np.float32)), np.float64
        )

    def _describe(self) -> RackDescription:
        def polygon(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
            return [(round(x, 1), round(y, 1)) for x, y in (self.seen(*corner) for corner in corners)]

        def slot(place: Place) -> SlotDescription:
            x0, y0, x1, y1 = place.box
            corners = polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
            area = float(cv2.contourArea(np.array(corners, np.float32)))
            scale = float(np.sqrt(area / ((x1 - x0) * (y1 - y0))))
            family = place.family
            return SlotDescription(
                id=place.id,
                polygon=corners,
                item=family.code,
                klass=family.klass,
                kind=family.kind,
                count=None if family.kind is SlotKind.HIDDEN else len(place.things),
                capacity=None if family.kind is SlotKind.HIDDEN else len(place.spots),
                px_per_item=round(float(family.width) * scale, 1),
            )

        a, b, c, d = self.stage.area
        edge = 6
        outline = polygon([(a - edge, b - edge), (c + edge, b - edge), (c + edge, d + edge), (a - edge, d + edge)])
        return RackDescription(
            slots=[slot(place) for place in self.stage.places],
            picture=self.size,
            outline=outline,
            markers=Markers(ids=list(MARKER_IDS), centres=polygon(list(self.stage.ground.markers))),
            drawer=Drawer(),
        )
