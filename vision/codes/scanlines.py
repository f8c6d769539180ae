"""Reading one upright strip by bands of scan lines that share no pixels: independent witnesses of one code."""

import numpy as np
import numpy.typing as npt

from vision.codes import decoders
from vision.codes.bars import Strip
from vision.codes.ladder import sharpened
from vision.codes.types import Gray, Look, Points, Read

BANDS = 9
ORDER = tuple(sorted(range(BANDS), key=lambda band: abs(band - BANDS // 2)))
"""Bands from the middle outwards: the first ones are the likeliest to cross the bars."""
_ROWS = 16  # rows of the picture that a band's mean scan line is shown as
_PAD = 24  # paper added at both ends
_MODULES_PER_CHARACTER = {"ITF": 8.0, "Codabar": 11.0, "Code39": 15.0, "Code93": 9.0, "Code128": 11.0}
_MODULES = {"EAN13": 95.0, "UPCA": 95.0, "EAN8": 67.0, "UPCE": 51.0}


def reads(strip: Strip, look: Look, formats: tuple[str, ...]) -> list[Read]:
    """The claims of the band that `look` names: its mean scan line, as it is, sharpened, sharpened more."""
    band = look.band or 0
    top, bottom = (strip.image.shape[0] * edge // BANDS for edge in (band, band + 1))
    bottom = max(bottom, top + 1)
    profile = strip.image[top:bottom].mean(axis=0)
    plain = _shown(profile)
    pictures = (plain, sharpened(plain), sharpened(plain, 3.0, 4.0))
    claims: list[Read] = []
    for library, decode in (("zxing", _zxing), ("zbar", decoders.zbar)):
        for text, name, corners in next(filter(None, (decode(picture, formats) for picture in pictures)), []):
            start, end = float(corners[:, 0].min()) - _PAD, float(corners[:, 0].max()) - _PAD
            quiet = library == "zxing" and _quiet(profile, start, end, name, text)
            if library == "zbar":  # its box is where the scan stopped, not the symbol
                start, end = 0.0, float(len(profile))
            outline = np.array([(start, top), (end, top), (end, bottom), (start, bottom)], np.float32)
            claims.append(Read(text, name, strip.to_original(outline), library, look, quiet))
    return claims


def _zxing(image: Gray, formats: tuple[str, ...]) -> list[tuple[str, str, Points]]:
    return decoders.zxing(image, formats, rotate=False, fast=True)


def _shown(profile: npt.NDArray[np.float64]) -> Gray:
    """The mean scan line as a picture with full contrast and paper at both ends."""
    low, high = np.percentile(profile, (2, 98))
    line = np.clip((profile - low) * (230 / max(high - low, 1.0)) + 10, 0, 255)
    line = np.pad(line, _PAD, constant_values=240).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(line, (_ROWS, len(line))))


def _quiet(profile: npt.NDArray[np.float64], start: float, end: float, name: str, text: str) -> bool:
    """Whether four modules beside both ends of the bars are as light as the paper between the bars.

    The standards ask for 7 to 10 modules; labels often give less, a cut through a longer code gives none.
    """
    modules = _MODULES.get(name) or _MODULES_PER_CHARACTER[name] * (len(text) + 2)
    module = (end - start) / modules
    inside = profile[max(int(start), 0) : int(end) + 1]
    if len(inside) < 20 or module <= 0:
        return False
    dark, light = np.percentile(inside, (10, 90))
    sides = [(start - 5 * module, start - 1.2 * module), (end + 1.2 * module, end + 5 * module)]
    for first, last in sides:
        beside = profile[max(round(first), 0) : max(round(last), 0)]
        if len(beside) == 0 or float(beside.min()) < dark + 0.5 * (light - dark):
            return False
    return True
