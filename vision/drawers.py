"""Whether a drawer is open, by its markers, and when a drawer that seems half open is a camera that was pushed.

A drawer slides along one line and stays within its cabinet; a camera that was pushed displaces everything alike. While
it is not known which, the drawer counts as not open: nothing is judged.
"""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.fiducials import Marker, TaughtMarkers, find_markers
from vision.likeness import Likeness
from vision.registration import SMALL_DEG, SMALL_PX

DrawerState = Literal["open", "partial", "closed", "moved"]
Matrix = npt.NDArray[np.float64]
Points = npt.NDArray[np.float32]
Gray = npt.NDArray[np.uint8]

SURE_S: Final = 3.0
"""How long a displacement that no drawer makes (turned) stands still, s, before it is told."""
DOUBT_S: Final = 6.0
"""The same for one that a drawer could make, or where no marker is seen: left ajar or pushed, a person is asked."""
NEARLY_OPEN: Final = 0.06
"""Of the picture's longer side: displaced further it is a drawer that is not open, and nobody is asked."""
SEARCH_S: Final = 1.0
_CALM_S: Final = 3.0  # between searches while nothing moves: nothing can have opened it

_TURN_DEG: Final = 1.2
_SCALE: Final = 0.06
_RESIDUAL_PX: Final = 3.0
_SAME_PX: Final = 4.0
_LEAST_SIDE: Final = 24.0  # of a marker in the picture that is searched, px
_RIM: Final = 0.25  # scale of the picture in which the fixed part is compared
_LEAST_RIM: Final = 80
_TELLS: Final = 16  # grey levels
_STAYED: Final = 0.3
_LOOK_ALIKE, _LOOK_SHARE = 0.5, 0.25


class DrawerEye:
    """Watches one drawer.

    Args:
        markers: where they stood when it was taught, fully open; `markers.now` is moved by whoever follows the camera.
        picture: the taught picture, (H, W, 3), cut to the outline.
        seen: (H, W) uint8, 1 inside the outline.
        moving: polygons, px, of what slides: the places.
        tolerance: px within which a marker stands where it stood.
    """

    def __init__(
        self,
        markers: TaughtMarkers,
        picture: Frame,
        seen: Gray,
        moving: list[npt.NDArray[np.float32]],
        tolerance: float,
    ) -> None:
        self.state: DrawerState | None = None
        self.detail = ""
        self._markers = markers
        self._tolerance = tolerance
        self._at = float("-inf")
        self._stirred = True
        self._away: dict[int, Points] = {}
        self._calm_since: float | None = None
        self._asked = False
        self._picture, self._mask, self._moving = picture.copy(), seen, moving
        self._look: Likeness | None = None
        self._now = np.eye(3)
        self._taught = _small(picture)
        self._seen = cv2.resize(cv2.erode(seen, np.ones((25, 25), np.uint8)), self._taught.shape[::-1]) > 0
        self._rim = self._seen & ~self._sliding(moving)

    def follow(self, homography: Matrix) -> None:
        """The rack is expected elsewhere from now on, taught → now: look again at once."""
        self._now = np.asarray(homography, np.float64)
        self.hurry()

    def hurry(self) -> None:
        """Look again at once: nothing was looked at for a while."""
        self._at, self._stirred = float("-inf"), True

    def look(self, frame: Frame, ts: float, still: bool) -> DrawerState:
        """How it stands in this frame; markers are searched at most every `SEARCH_S`."""
        self._stirred |= not still
        every = SEARCH_S if self._stirred else _CALM_S
        if self.state is not None and 0 <= ts - self._at < every:
            return self.state
        stirred, self._at, self._stirred = self._stirred, ts, not still
        self.state = self._judged(frame, ts, stirred)
        return self.state

    def _judged(self, frame: Frame, ts: float, stirred: bool) -> DrawerState:
        if self.state == "open" and 2 * self._near(frame, 1.25 * self._tolerance) >= self._due(frame):
            return self._settled("open")
        found = self._found(frame)
        away = {m.id: m.centre - self._markers.now[m.id] for m in found}
        near = sum(float(np.linalg.norm(d)) <= self._tolerance for d in away.values())
        if 2 * near >= self._due(frame):
            return self._settled("open")
        motion = self._motion(found) if len(found) > 1 else None
        if motion is not None and motion[0] <= SMALL_PX and abs(motion[1]) <= SMALL_DEG:
            return self._settled("open")  # registration follows it alone
        same = all(float(np.abs(d - self._away[i]).max()) <= _SAME_PX for i, d in away.items() if i in self._away)
        if self._calm_since is None or not same or (stirred and not (away and self._away)):
            self._calm_since, self._asked = ts, False
            self._away = away
        elif self.state == "moved":
            return "moved"
        kind: DrawerState = "partial" if found else "closed"
        self.detail = f"{len(found)} markers are seen where they do not belong" if found else "no marker is seen"
        turned = motion is not None and abs(motion[1]) > _TURN_DEG
        if self._asked or ts - self._calm_since < (SURE_S if turned else DOUBT_S):
            return kind
        self._asked = True
        return "moved" if self._is_pushed(frame, found) else kind

    def _settled(self, state: DrawerState) -> DrawerState:
        self._calm_since, self.detail, self._away = None, "", {}
        return state

    def _is_pushed(self, frame: Frame, found: list[Marker]) -> bool:
        """Whether a person is to be asked: everything that is seen was displaced alike, not far, and nothing stayed."""
        motion = self._motion(found) if len(found) > 1 else None
        if motion is None:
            motion = self._by_look(frame)
        if motion is None:
            return False
        far, turn, matrix = motion
        if far > NEARLY_OPEN * max(frame.shape[:2]) or (far <= SMALL_PX and abs(turn) <= SMALL_DEG):
            return False
        if self._stays(frame, matrix):
            return False
        self.detail = f"displaced by {far:.0f} px, {turn:.1f} deg: the camera or the whole rack was pushed"
        return True

    def _by_look(self, frame: Frame) -> tuple[float, float, Matrix] | None:
        """Shift px, turn degrees and matrix by what the drawer holds: markers may be cut off by the outline."""
        if self._look is None:
            self._look = Likeness(self._picture, self._mask, self._moving)
        fit = self._look.fit(frame, [self._now])
        if fit is None or fit.alike < _LOOK_ALIKE or fit.share < _LOOK_SHARE:
            return None
        matrix = np.asarray(fit.matrix @ np.linalg.inv(self._now), np.float64)
        middle = np.mean(list(self._markers.now.values()), axis=0, dtype=np.float64).reshape(1, 1, 2)
        shift = cv2.perspectiveTransform(middle, matrix) - middle
        return float(np.linalg.norm(shift)), float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))), matrix

    def _motion(self, found: list[Marker]) -> tuple[float, float, Matrix] | None:
        """Shift px, turn degrees and matrix that all markers found share, from where they are expected; None where they
        share none.
        """
        fit = self._markers.fit_from_now(found)
        if fit is None or fit.residual_px > _RESIDUAL_PX:
            return None
        a, b = fit.matrix[0, 0], fit.matrix[1, 0]
        if abs(float(np.hypot(a, b)) - 1.0) > _SCALE:
            return None
        shift = np.mean([m.centre - self._markers.now[m.id] for m in found], axis=0)
        middle = np.mean(list(self._markers.now.values()), axis=0, dtype=np.float64).reshape(1, 1, 2)
        if fit.seen > 2:
            shift = cv2.perspectiveTransform(middle, fit.matrix) - middle
        return float(np.linalg.norm(shift)), float(np.degrees(np.arctan2(b, a))), fit.matrix

    def _found(self, frame: Frame) -> list[Marker]:
        """All markers in the picture, searched in a smaller one where they are large enough."""
        scale = min(1.0, _LEAST_SIDE / self._markers.side)
        if scale > 0.75:
            return find_markers(frame, self._markers.ids)
        small = np.asarray(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        back = 1.0 / scale
        found = find_markers(small, self._markers.ids)
        return [Marker(m.id, np.asarray((m.corners + 0.5) * back - 0.5, np.float32)) for m in found]

    def _due(self, frame: Frame) -> int:
        """How many markers the picture should hold whole now, in a drawer that is open; at least one."""
        margin = self._markers.side  # it is not found without white around it
        size = np.array([frame.shape[1], frame.shape[0]])
        whole = sum(bool(((c >= margin) & (c <= size - 1 - margin)).all()) for c in self._markers.now.values())
        return max(whole, 1)

    def _near(self, frame: Frame, reach: float) -> int:
        """How many markers stand where they are expected: searched only there."""
        side = self._markers.side + 2 * reach + 24
        near = 0
        for number, centre in self._markers.now.items():
            left, top = (int(max(v - side / 2, 0)) for v in centre)
            cut = np.ascontiguousarray(frame[top : top + int(side) + 1, left : left + int(side) + 1])
            if min(cut.shape[:2]) < 16:
                continue
            here = find_markers(cut, (number,))
            near += any(float(np.linalg.norm(m.centre - centre + np.array([left, top]))) <= reach for m in here)
        return near

    def _sliding(self, moving: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.bool_]:
        """Where the drawer's inside is: it says nothing of the cabinet."""
        points = np.concatenate([*moving, np.array(list(self._markers.now.values()), np.float32)])
        hull = np.round(cv2.convexHull(points.astype(np.float32))[:, 0] * _RIM).astype(np.int32)
        inner = np.zeros(self._taught.shape, np.uint8)
        cv2.fillPoly(inner, [hull], (1,))
        reach = int(self._markers.side * _RIM) | 1
        return cv2.dilate(inner, np.ones((reach, reach), np.uint8)) > 0

    def _stays(self, frame: Frame, matrix: Matrix) -> bool:
        """Whether something around the drawer, where the outline lets it be seen, stayed: then the drawer slid."""
        now = _small(frame).astype(np.int16)
        s = np.diag([_RIM, _RIM, 1.0])
        there = s @ matrix @ np.linalg.inv(s)
        size = (now.shape[1], now.shape[0])
        placed = cv2.warpPerspective(self._taught, there, size).astype(np.int16)
        both = cv2.warpPerspective(self._seen.astype(np.uint8), there, size) > 0
        tells = self._rim & both & (np.abs(placed - self._taught) > _TELLS)
        as_taught = np.abs(now - self._taught)[tells]
        stayed = (as_taught < _TELLS / 2) & (as_taught < np.abs(now - placed)[tells])
        return stayed.size >= _LEAST_RIM and float(stayed.mean()) > _STAYED


def _small(picture: Frame) -> Gray:
    gray = cv2.resize(picture[..., 1], None, fx=_RIM, fy=_RIM, interpolation=cv2.INTER_AREA)
    return np.asarray(gray, np.uint8)
