"""The values that travel through the reader."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Gray = npt.NDArray[np.uint8]
"""A grey image, height x width."""
Points = npt.NDArray[np.float32]
"""Points in pixels of the image that was given to the reader, n x 2 (x, y)."""


@dataclass(frozen=True)
class Code:
    """One code that the looks agree on."""

    text: str
    format: str
    """The symbology, as in `vision.codes.types.LINEAR` and `MATRIX`."""
    polygon: tuple[tuple[float, float], ...]
    """Convex outline in image pixels (x, y)."""
    step: str
    """The first look that read it, such as ``grey`` or ``strip``."""
    votes: int
    """How much independent evidence speaks for the text (see `vision.codes.verdict`)."""


@dataclass(frozen=True)
class Look:
    """Where a read comes from: two reads of one look are one piece of evidence."""

    step: str
    angle: int = 0
    """Rotation of the whole image, degrees."""
    strip: int | None = None
    """Number of the rectified strip, when the read was made in one."""
    band: int | None = None
    """Number of the band of scan lines inside the strip; bands share no pixel rows."""


@dataclass(frozen=True)
class Read:
    """What one library saw in one look; a claim, not yet a result."""

    text: str
    format: str
    polygon: Points
    library: str
    look: Look
    quiet: bool = False
    """True where bare paper was measured on both sides of the bars."""


MATRIX = ("QRCode", "MicroQRCode", "DataMatrix", "Aztec", "PDF417")
LINEAR = ("Code128", "Code93", "Code39", "Codabar", "ITF", "EAN13", "EAN8", "UPCA", "UPCE")
