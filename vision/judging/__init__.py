"""The judges: what came to a place, what left it, and when a person must be asked."""

import logging
from pathlib import Path

from vision.judging.crops import Crop, level_points, rack_level, take_crop
from vision.judging.net import NetError
from vision.judging.port import Judge, Judgement, JudgeMode, MemoryProblemError, SlotMemory, SlotView
from vision.judging.taught import TaughtJudge
from vision.judging.trained import TrainedJudge

log = logging.getLogger(__name__)

__all__ = [
    "Crop",
    "Judge",
    "JudgeMode",
    "Judgement",
    "MemoryProblemError",
    "SlotMemory",
    "SlotView",
    "TaughtJudge",
    "TrainedJudge",
    "level_points",
    "make_judge",
    "rack_level",
    "take_crop",
]


def make_judge(model: Path | None = None) -> Judge:
    """The judge to use: the network beside the taught appearance, or the latter alone when no network can be loaded
    (said in the log).
    """
    try:
        return TrainedJudge(model)
    except (NetError, ImportError) as problem:
        log.warning("places are judged by their taught looks alone: %s", problem)
        return TaughtJudge()
