"""Real shows before real eyes: what the runs play with unless a test gives something smaller."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from contracts.racks import MIN_PX_PER_ITEM, RackDescription
from vision.detectors import Detector, make_detector
from vision.evaluation.playing import Stage
from vision.judging import Judge, TrainedJudge, make_judge
from vision.privacy import OutlineCut
from vision.rendering.show import RackShow
from vision.slots import Rack
from vision.watching import RackWatcher, WatchSettings


class Eyes:
    """One hand detector and one judge, shared by all the watchers of a run.

    Args:
        detector: name of a runtime (`vision.detectors`).
        model: another hand model, or None.
        judge: the file of another slot judge, or None for the committed one (the taught looks alone without it).
        threads: of the detector.

    Raises:
        DetectorError: the detector cannot be loaded.
        NetError: the judge that was named cannot be.
    """

    def __init__(
        self, detector: str = "onnx", model: Path | None = None, judge: Path | None = None, threads: int = 1
    ) -> None:
        self.detector: Detector = make_detector(detector, model, threads)
        self.judge: Judge = make_judge() if judge is None else TrainedJudge(judge)

    def watcher(self, rack: Rack) -> RackWatcher:
        return RackWatcher(rack, self.detector, judge=self.judge)

    def stage(self, seed: int, slots: int, size: tuple[int, int] = (1920, 1080)) -> Stage:
        """A fresh rack of that seed, the cut to its outline, a fresh watcher."""
        show = RackShow(seed, slots=slots, size=size, photos="evaluate")
        return Stage(show, self._of, OutlineCut(Rack.of(show.description)))

    def _of(self, description: RackDescription) -> RackWatcher:
        return self.watcher(Rack.of(description))

    def versions(self) -> dict[str, Any]:
        """What judged, and the thresholds that were frozen on other seeds: printed with each table."""
        settings = WatchSettings()
        limits = getattr(self.judge, "limits", None)
        return {
            "limits": None if limits is None else asdict(limits),
            "hands": self.detector.version,
            "judge": self.judge.version,
            "recheck_s": settings.recheck_s,
            "clear_frames": settings.rules.clear_frames,
            "min_px_per_item": MIN_PX_PER_ITEM,
        }
