"""The small film of a session: which places were touched, and when a place changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from vision.gate import Mask, Reach, Small

_MOST_FRAMES, _MOST_TIPS = 240, 4000
_QUANTUM = 100.0
_DWELL_PX_S = 60.0
_NEAR_PX = 2.0
_ENTRY_PX = 25.0


class SessionFilm:
    """Keeps the gate's small images of one session, quantised (about 70 kB each; every second one is dropped when they
    get too many).
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._bands: list[npt.NDArray[np.int8]] = []
        self._foreground: Mask | None = None
        self._stride, self._seen = 1, 0
        self._entries: list[tuple[float, float]] = []
        self._tips: list[tuple[float, list[tuple[float, float]]]] = []

    def rest_at(self, ts: float, arms: Sequence[Sequence[Reach]]) -> None:
        """Where arms end in this frame (`vision.gate.Gate.arms`). One that meets the border twice came in where an arm
        came in before; where none did, both its ends count.
        """
        reaches: list[Reach] = []
        for choices in arms:
            near = [one for one in choices if self._came_in_at(one.entry)]
            reaches += near if len(near) == 1 else choices
        if reaches:
            self._entries = [one.entry for one in reaches]
        self._tips.append((ts, [one.end for one in reaches]))
        if len(self._tips) > _MOST_TIPS:
            del self._tips[: _MOST_TIPS // 2]

    def _came_in_at(self, entry: tuple[float, float]) -> bool:
        return any(np.hypot(entry[0] - x, entry[1] - y) < _ENTRY_PX for x, y in self._entries)

    def dwelt(self, polygon: npt.NDArray[np.float32], near: float = _NEAR_PX) -> float:
        """How long the end of an arm stayed in a place, or within `near` px of it, at most, seconds: nearly at rest,
        from the first such frame to the last. One that passes over it, or an arm that lies across it and ends
        elsewhere, does not stay.
        """
        longest, since = 0.0, None
        for (last, before), (ts, tips) in pairwise(self._tips):
            reach = _DWELL_PX_S * max(ts - last, 0.05)
            stays = any(
                cv2.pointPolygonTest(polygon, at, True) >= -near
                and any(np.hypot(at[0] - x, at[1] - y) < reach for x, y in before)
                for at in tips
            )
            since = None if not stays else last if since is None else since
            longest = max(longest, 0.0 if since is None else ts - since)
        return longest

    def add(self, ts: float, band: Small, foreground: Mask) -> None:
        """Append one frame: its time (s), band image and foreground mask."""
        wide = np.asarray(cv2.dilate(foreground, np.ones((5, 5), np.uint8)), np.uint8)
        self._foreground = wide if self._foreground is None else np.maximum(self._foreground, wide)
        self._seen += 1
        if self._seen % self._stride:
            return
        self._times.append(ts)
        self._bands.append(_quantised(band))
        if len(self._bands) > _MOST_FRAMES:
            self._times, self._bands, self._stride = self._times[::2], self._bands[::2], self._stride * 2

    @property
    def seen(self) -> int:
        """Frames that came."""
        return self._seen

    def touched(self, polygon: npt.NDArray[np.float32]) -> float:
        """Largest share 0..1 of a place (polygon in px of the band image) that was ever foreground."""
        if self._foreground is None:
            return 0.0
        mask = _mask(polygon, self._foreground.shape)
        return float(self._foreground[mask].mean()) if mask.any() else 0.0

    def moment(self, polygon: npt.NDArray[np.float32], before: Small) -> float:
        """When the place turned from how it was into how it is, seconds.

        The one split of the film that minimises the distance of the earlier frames to ``before`` and of the later
        ones to the last frame, over the pixels that differ between the two; frames in which something else hides
        them do not vote. A change point in the least-absolute-deviations sense.
        """
        first, last = _quantised(before).astype(np.int16), self._bands[-1].astype(np.int16)
        mask = _mask(polygon, before.shape)
        step = np.where(mask, np.abs(last - first).max(2), 0)
        chosen = step >= max(int(np.percentile(step[mask], 80)), 4) if mask.any() else mask
        if not chosen.any():
            return self._times[-1]
        film = np.stack([band[chosen] for band in self._bands]).astype(np.int16)
        to_before = np.abs(film - first[chosen]).mean((1, 2))
        to_after = np.abs(film - last[chosen]).mean((1, 2))
        hidden = np.minimum(to_before, to_after) > 0.5 * np.abs(last[chosen] - first[chosen]).mean()
        to_before[hidden] = to_after[hidden] = 0.0
        cost = np.concatenate([[0.0], np.cumsum(to_before)]) + np.concatenate([np.cumsum(to_after[::-1])[::-1], [0.0]])
        best = np.flatnonzero(cost <= cost.min() + 1e-9)  # several when a hand hides the change
        return self._times[min(int(best[len(best) // 2]), len(self._times) - 1)]


def _quantised(band: Small) -> npt.NDArray[np.int8]:
    return np.asarray(np.clip(band * _QUANTUM, -127, 127), np.int8)


def _mask(polygon: npt.NDArray[np.float32], shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(polygon).astype(np.int32)], 1)
    return mask.astype(bool)
