"""The pictures that go with what is said: a place before and after, nobody's hand in them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from vision.detectors.base import Frame
from vision.judging import take_crop
from vision.memory import jpeg
from vision.slots import Rack, Slot
from vision.watching.hands import Hands
from vision.watching.places import Places, Stills
from vision.watching.rules import Ask, Change
from vision.watching.said import ModeChange, SlotAsk, SlotChange

_SHOWN_PX = 960

Mask = npt.NDArray[np.uint8]


class Evidence:
    """Makes what is said out of one look.

    Args:
        places: pictures of places before, where no frame shows them.
        hands: fills the hands in what is shown.
        before: the clear frame before the session; None: what the judge remembered.
        after: the frames that were judged.
        over: (h, w) where something reaches in over those, at any resolution; None: nothing.
        session, began, ended: see `SlotChange`.
    """

    def __init__(
        self,
        places: Places,
        hands: Hands,
        before: Stills | None,
        after: Stills,
        over: Mask | None,
        session: int,
        began: float,
        ended: float,
    ) -> None:
        self._places = places
        self._model = places.judge.version
        self._before = None if before is None else _unhanded(before, hands, None)
        self._after = _unhanded(after, hands, over)
        self._session, self._began, self._ended = session, began, ended

    def change(self, change: Change) -> SlotChange:
        slot = self._places.rack.slot(change.slot)
        return SlotChange(
            slot=change.slot,
            delta=change.delta,
            before_count=change.before,
            after_count=change.after,
            confidence=change.confidence,
            mode=change.mode,
            at=change.at,
            began=self._began,
            ended=self._ended,
            session=self._session,
            before_jpeg=self._shown(slot, self._before),
            after_jpeg=self._shown(slot, self._after),
            model=self._model,
            why=change.why,
            during_absence=change.during_absence,
            transfer=change.transfer,
        )

    def ask(self, ask: Ask) -> SlotAsk:
        slot = self._places.rack.slot(ask.slot)
        return SlotAsk(
            slot=ask.slot,
            reason=ask.reason,
            count_before=ask.before,
            guess=ask.guess,
            confidence=ask.confidence,
            at=ask.at,
            began=self._began,
            ended=self._ended,
            session=self._session,
            before_jpeg=self._shown(slot, self._before),
            after_jpeg=self._shown(slot, self._after),
            model=self._model,
            why=ask.why,
            during_absence=ask.during_absence,
        )

    def _shown(self, slot: Slot, stills: Stills | None) -> bytes:
        if stills is None:
            remembered = self._places.before(slot)
            return b"" if remembered is None else jpeg(remembered)
        return jpeg(take_crop(stills.frames[-1], slot, stills.homography, 100.0).pixels)


def with_pictures(
    news: ModeChange, rack: Rack, taught: Frame, now: Frame, moved: npt.NDArray[np.float64]
) -> ModeChange:
    """The taught picture and the present one, the places drawn where they were and where they are thought to be.

    Args:
        taught, now: (H, W, 3), hands already filled.
        moved: (3, 3) taught → now.
    """
    return replace(news, before_jpeg=_drawn(taught, rack, np.eye(3)), after_jpeg=_drawn(now, rack, moved))


def _unhanded(stills: Stills, hands: Hands, over: Mask | None) -> Stills:
    frame = hands.filled(stills.frames[-1], over)
    return Stills([frame], stills.homography, stills.points)


def _drawn(picture: Frame, rack: Rack, matrix: npt.NDArray[np.float64]) -> bytes:
    scale = min(1.0, _SHOWN_PX / picture.shape[1])
    shown = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    for slot in rack.slots:
        at = cv2.perspectiveTransform(slot.polygon[None], matrix)[0] * scale
        cv2.polylines(shown, [np.round(at).astype(np.int32)], True, (0, 200, 255), 1, cv2.LINE_AA)
    return jpeg(shown)
