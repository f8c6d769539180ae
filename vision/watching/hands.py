"""The hands among what a detector finds: what looks like one and is part of the scene is none."""

from __future__ import annotations

from collections.abc import Sequence

from vision.detectors.base import Detection, Detector, Frame
from vision.gate import Gate, Mask, Sight
from vision.privacy import mask_hands
from vision.slots import HAND

MASK_SCORE = 0.3
"""A box that may be a hand with at least this score is filled."""

HAND_SCORE = 0.3
"""One with at least this score is a hand, where the gate sees a change."""

_SAME_BOX = 0.6
_FLOOR = 0.15
_HAND_SHARE, _SCENERY_SHARE = 0.1, 0.35


class Hands:
    """Finds hands for one camera.

    Attributes:
        detector: finds boxes.
        scenery: boxes that it took for hands in a clear picture.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.scenery: list[Detection] = []

    def boxes(self, picture: Frame) -> list[Detection]:
        """Whatever the detector finds."""
        return self.detector.detect(picture, _FLOOR)

    def learn(self, boxes: Sequence[Detection]) -> None:
        """These boxes were found in a clear picture."""
        self.scenery = [d for d in boxes if d.label == HAND and d.score >= HAND_SCORE - 0.15]

    def find(self, picture: Frame, gate: Gate, sight: Sight) -> list[Detection]:
        """The hands in a picture that the gate saw as `sight`."""
        return self.real(self.boxes(picture), gate, sight)

    def real(self, found: Sequence[Detection], gate: Gate, sight: Sight) -> list[Detection]:
        """The hands among some boxes. One where little changed is part of the scene, the more so if it was there
        before.
        """
        hands = [d for d in found if d.label == HAND and d.score >= HAND_SCORE]
        if gate.reference is None:
            return hands
        real = []
        for d in hands:
            x0, y0, x1, y1 = (int(v * gate.scale) for v in (d.x0, d.y0, d.x1, d.y1))
            part = sight.foreground[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]
            least = _SCENERY_SHARE if any(_overlap(d, other) > _SAME_BOX for other in self.scenery) else _HAND_SHARE
            if part.size and part.mean() > least:
                real.append(d)
        return real

    def filled(self, picture: Frame, over: Mask | None = None) -> Frame:
        """The picture without anybody's hands, nor what `over` (h, w, any resolution) marks: fit to be kept or shown.

        Whatever may be a hand and was not always there is filled.
        """
        hands = [d for d in self.boxes(picture) if d.label == HAND and d.score >= MASK_SCORE]
        strange = [d for d in hands if all(_overlap(d, other) < _SAME_BOX for other in self.scenery)]
        if not strange and (over is None or not over.any()):
            return picture
        return mask_hands(picture, strange, foreground=over)


def _overlap(a: Detection, b: Detection) -> float:
    """Intersection over union of two boxes, 0..1."""
    w = min(a.x1, b.x1) - max(a.x0, b.x0)
    h = min(a.y1, b.y1) - max(a.y0, b.y0)
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - w * h)
