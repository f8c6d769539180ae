"""The judges: what came to a place, what left it, and when a person must be asked."""

from vision.judging.crops import Crop, level_points, rack_level, take_crop
from vision.judging.port import Judge, Judgement, JudgeMode, MemoryProblemError, SlotMemory, SlotView
from vision.judging.rules import AUTO, Mode, SlotState, Verdict, judge_any, judge_known
from vision.judging.taught import TaughtJudge

__all__ = [
    "AUTO",
    "Crop",
    "Judge",
    "JudgeMode",
    "Judgement",
    "MemoryProblemError",
    "Mode",
    "SlotMemory",
    "SlotState",
    "SlotView",
    "TaughtJudge",
    "Verdict",
    "judge_any",
    "judge_known",
    "level_points",
    "make_judge",
    "rack_level",
    "take_crop",
]


def make_judge() -> Judge:
    """The judge to use: the network beside the taught appearance when its model is there, else the latter alone."""
    return TaughtJudge()
