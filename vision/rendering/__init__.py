"""A seeded, procedural renderer of tool racks and of hands that reach into them: training images and test episodes.

`RackShow` is the hard one, at 1080p, with every case and fault; `scene.Scene` and `episodes` are the small one of the
demo and of the detector's first training.
"""

from vision.rendering.show import RackShow
from vision.rendering.truth import CASES, FAULTS, Answer, CannotPlayError, Event, HandBox, Shot

__all__ = ["CASES", "FAULTS", "Answer", "CannotPlayError", "Event", "HandBox", "RackShow", "Shot"]
