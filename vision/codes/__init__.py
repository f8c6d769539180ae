"""Reading 1D and 2D codes on camera images: many looks at the picture, and a text only where they agree."""

from vision.codes.reader import CodeReader, Effort
from vision.codes.types import Code

__all__ = ["Code", "CodeReader", "Effort"]
