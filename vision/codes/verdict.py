"""What may be believed of many claims: agreement, rivals, sub-reads. Pure rules, no image."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from vision.codes.types import MATRIX, Code, Points, Read

NEEDED = dict.fromkeys(MATRIX, 2) | {
    "Code128": 3,
    "Code93": 3,
    "EAN13": 3,
    "UPCA": 3,
    "EAN8": 4,
    "UPCE": 4,
    "Code39": 4,
    "ITF": 4,
    "Codabar": 4,
}
"""Points of evidence that a text needs; see `evidence`. Formats without a strong check need more."""
NEEDS_QUIET = frozenset({"ITF", "Codabar", "EAN8", "UPCE"})
"""Formats of which a part of a longer code can look like a whole one: bare paper must be seen on both sides."""
_MARGIN = 3.0  # a text must have this many times the evidence of everything else at its place
_PLAUSIBLE = {
    "ITF": re.compile(r"(\d\d){3,}"),
    "Codabar": re.compile(r"[A-D]?[\d\-$:/.+]{4,}[A-D]?"),
    "Code39": re.compile(r".{2,}"),
    "Code128": re.compile(r".{2,}", re.DOTALL),
    "Code93": re.compile(r".{2,}", re.DOTALL),
}


@dataclass
class _Claimant:
    """The reads of one text at one place."""

    reads: list[Read]

    @property
    def hull(self) -> Points:
        return cv2.convexHull(np.concatenate([read.polygon for read in self.reads])).reshape(-1, 2)  # type: ignore[return-value]  # stubs lose float32


def same_text(read: Read) -> tuple[str, str]:
    """What two reads must share to be the same text: the libraries differ in FNC1 and in Codabar's start and stop."""
    text = read.text.replace("\x1d", "")
    if read.format == "Codabar":
        text = text.upper().strip("ABCD")
    return read.format, text


def evidence(reads: Iterable[Read]) -> int:
    """Independent points for one text.

    One for each band of scan lines (bands share no pixels), one for each rotation of the whole image (other
    sampling), one for each further preparation of a matrix code, one for a second library.
    """
    reads = list(reads)
    bands = {(r.look.strip, r.look.band) for r in reads if r.look.strip is not None}
    whole = [r for r in reads if r.look.strip is None]
    if reads[0].format in MATRIX:
        return len({(r.look.step, r.look.angle) for r in whole})
    angles = {r.look.angle for r in whole}
    return len(bands) + len(angles) + (len({r.library for r in reads}) - 1)


def believed(reads: Iterable[Read]) -> list[Code]:
    """The codes on which the reads agree; conflicting places give the clear majority or nothing."""
    claimants = _claimants(read for read in reads if _plausible(read))
    codes: dict[tuple[str, str], Code] = {}
    for claimant in claimants:
        rivals = [other for other in claimants if other is not claimant and _same_place(claimant, other)]
        code = _judged(claimant, rivals)
        if code is not None:
            key = same_text(claimant.reads[0])
            if key not in codes or codes[key].votes < code.votes:
                codes[key] = code
    return sorted(codes.values(), key=lambda code: -code.votes)


def _plausible(read: Read) -> bool:
    pattern = _PLAUSIBLE.get(read.format)
    return bool(read.text.strip()) and (pattern is None or pattern.fullmatch(read.text.replace("\x1d", "")) is not None)


def _claimants(reads: Iterable[Read]) -> list[_Claimant]:
    by_text: dict[tuple[str, str], list[_Claimant]] = defaultdict(list)
    for read in reads:
        group = by_text[same_text(read)]
        centre = read.polygon.mean(axis=0)
        for claimant in group:
            if any(_close(centre, read, other) for other in claimant.reads):
                claimant.reads.append(read)
                break
        else:
            group.append(_Claimant([read]))
    return [claimant for group in by_text.values() for claimant in group]


def _close(centre: Points, read: Read, other: Read) -> bool:
    reach = max(float(np.ptp(polygon, axis=0).max()) for polygon in (read.polygon, other.polygon))
    return float(np.hypot(*(centre - other.polygon.mean(axis=0)))) < 0.75 * reach


def _same_place(one: _Claimant, other: _Claimant) -> bool:
    a, b = one.hull, other.hull
    smaller = min(cv2.contourArea(a), cv2.contourArea(b))
    overlap, _ = cv2.intersectConvexConvex(a, b)
    return smaller <= 1.0 or overlap > 0.25 * smaller


def _judged(claimant: _Claimant, rivals: list[_Claimant]) -> Code | None:
    reads = claimant.reads
    points = evidence(reads)
    name, text = same_text(reads[0])
    if points < NEEDED[name] or (name in NEEDS_QUIET and not any(read.quiet for read in reads)):
        return None
    against = 0
    for rival in rivals:
        rival_name, rival_text = same_text(rival.reads[0])
        if rival_name == name and rival_text in text and len(rival_text) < len(text):
            continue  # a part of this code: no rival
        if rival_name == name and text in rival_text:
            return None  # this is the part
        against += evidence(rival.reads)
    if points < _MARGIN * against:
        return None
    best = next((read for read in reads if "\x1d" in read.text), reads[0])
    polygon = tuple((round(float(x), 1), round(float(y), 1)) for x, y in claimant.hull)
    return Code(best.text, name, polygon, reads[0].look.step, points)
