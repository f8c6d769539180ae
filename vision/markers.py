"""The sheet of printed markers for a rack: A4, SVG, to be printed at 100 %, cut out and glued at the rack's corners."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from xml.sax.saxutils import escape  # nosec B406  # makes text, reads none

import cv2
import numpy as np

from vision.fiducials import DICTIONARY, IDS

DEFAULT_MM: Final = 25.0
_LEAST_MM, _MOST_MM = 10.0, 45.0
_MODULES: Final = 6  # four bits and the black border
_PAGE: Final = (210.0, 297.0)
_LEFT, _TOP, _BOTTOM = 20.0, 96.0, 262.0
_HEAD: Final = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{_PAGE[0]:g}mm" height="{_PAGE[1]:g}mm" '
    f'viewBox="0 0 {_PAGE[0]:g} {_PAGE[1]:g}" font-family="sans-serif">'
)
_LEAST_WIDE: Final = 36.0
_DASHES: Final = 'fill="none" stroke="#999" stroke-width="0.2" stroke-dasharray="1.5 1.5"'
_CORNERS: Final = ("haut gauche", "haut droit", "bas droit", "bas gauche", "à côté", "à côté", "à côté", "à côté")
_STEPS: Final = (
    "1. Imprimer à 100 % (« taille réelle »), sur papier mat, sans ajuster à la page : la règle mesure 100 mm.",
    "2. Coller la feuille sur un support rigide et mat, puis couper sur les pointillés : garder le bord blanc.",
    "3. Coller un marqueur à chaque coin du rack, à plat, à la hauteur des emplacements, sur la partie qui",
    "porte les pièces (pour un tiroir : sur le tiroir, pas sur le meuble). Le sens n'a pas d'importance.",
    "4. Le numéro dit à quel coin il va. Aucun ne doit être caché quand tout est rangé.",
    "5. Apprendre le rack ensuite. Un marqueur abîmé se réimprime avec le même numéro, au même endroit.",
)


class MarkerSheetError(ValueError):
    """A sheet that cannot be drawn; the text says what to change, in French."""


def free_ids(used: Iterable[int], count: int = 4) -> tuple[int, ...]:
    """Numbers for one more rack: those that no rack has; when the fifty are given out, those given out least, so that
    racks which share numbers are as many racks apart as can be.

    Args:
        used: the numbers of all racks, in the order in which the racks came, repeated where shared.
        count: how many.
    """
    given = list(used)
    last = {number: place for place, number in enumerate(given)}
    ranked = sorted(range(IDS), key=lambda i: (given.count(i), last.get(i, -1), i))
    return tuple(sorted(ranked[:count]))


def marker_sheet(rack_name: str, ids: Sequence[int], mm: float = DEFAULT_MM) -> bytes:
    """The page as SVG.

    Args:
        rack_name: printed at the top and beside each marker.
        ids: 3 to 8 numbers, 0–49: top left, top right, bottom right, bottom left, then any more.
        mm: side of a marker's black square. At least 20 px of the camera's picture are needed, 40 are good.

    Raises:
        MarkerSheetError: numbers or size that cannot be.
    """
    if not 3 <= len(ids) <= 8 or len(set(ids)) != len(ids):
        raise MarkerSheetError("il faut de 3 à 8 numéros, tous différents")
    if any(not 0 <= i < IDS for i in ids):
        raise MarkerSheetError(f"les numéros vont de 0 à {IDS - 1}")
    if not _LEAST_MM <= mm <= _MOST_MM:
        raise MarkerSheetError(f"la taille va de {_LEAST_MM:.0f} à {_MOST_MM:.0f} mm")
    quiet = max(mm / _MODULES * 1.5, 4.0)
    wide, high = max(mm + 2 * quiet + 6, _LEAST_WIDE), mm + 2 * quiet + 12
    columns = int((_PAGE[0] - _LEFT) // wide)
    if -(-len(ids) // columns) * high > _BOTTOM - _TOP:
        raise MarkerSheetError(
            f"{len(ids)} marqueurs de {mm:g} mm ne tiennent pas sur une page : les prendre plus petits"
        )
    if len(ids) == 4 and columns >= 2 and 2 * high <= _BOTTOM - _TOP:
        columns = 2  # on the page as on the rack
    order = [0, 1, 3, 2] if len(ids) == 4 and columns == 2 else range(len(ids))
    name = escape(rack_name)
    parts = [
        _HEAD,
        f"<title>Marqueurs du rack {name}</title>",
        f'<rect class="page" width="{_PAGE[0]:g}" height="{_PAGE[1]:g}" fill="#fff"/>',
        _text(_LEFT, 24, f"Marqueurs du rack {name}", min(7.0, 260 / (18 + len(rack_name))), "bold"),
        _text(_LEFT, 31, f"Numéros {', '.join(map(str, ids))} · carré noir de {mm:g} mm · ArUco 4x4_50", 3.6),
    ]
    parts += [_text(_LEFT, 42 + 6.2 * i, escape(step), 3.3) for i, step in enumerate(_STEPS)]
    for place, which in enumerate(order):
        row, column = divmod(place, columns)
        x, y = _LEFT + column * wide, _TOP + row * high
        parts += _marker(x, y, ids[which], mm, quiet)
        below = y + mm + 2 * quiet
        parts.append(_text(x, below + 3.6, f"n° {ids[which]} · {_CORNERS[which]}", 3.0))
        short = rack_name if len(rack_name) <= wide / 1.6 else rack_name[: int(wide / 1.6) - 1] + "…"
        parts.append(_text(x, below + 7.0, escape(short), 2.6))
    parts += _ruler(_LEFT, 278)
    return ("\n".join([*parts, "</svg>"]) + "\n").encode()


def _marker(x: float, y: float, number: int, mm: float, quiet: float) -> list[str]:
    """One marker with its white border and cut line; `x`, `y` the corner of the cut, mm."""
    side, module = mm + 2 * quiet, mm / _MODULES
    bits = np.asarray(
        cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(DICTIONARY), number, _MODULES), np.uint8
    )
    cut = f'<rect class="cut" x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" {_DASHES}/>'
    parts = [
        cut,
        f'<g class="marker" data-id="{number}" fill="#000" shape-rendering="crispEdges">',
    ]
    for row in range(_MODULES):
        column = 0
        while column < _MODULES:
            run = 0
            while column + run < _MODULES and not bits[row, column + run]:
                run += 1
            if run:  # a hair's overlap: no white line between rows when it is printed
                high = module + (0.02 if row < _MODULES - 1 else 0.0)
                left, top = x + quiet + column * module, y + quiet + row * module
                parts.append(f'<rect x="{left:.3f}" y="{top:.3f}" width="{run * module:.3f}" height="{high:.3f}"/>')
            column += max(run, 1)
    return [*parts, "</g>"]


def _ruler(x: float, y: float) -> list[str]:
    ticks = [f"M{x + i:g} {y:g}v{-(4 if i % 10 == 0 else 3 if i % 5 == 0 else 2):g}" for i in range(101)]
    numbers = [_text(x + i - 1, y + 4, str(i), 2.6) for i in range(0, 101, 10)]
    line = f'<path class="ruler" d="M{x:g} {y:g}h100{"".join(ticks)}" fill="none" stroke="#000" stroke-width="0.15"/>'
    return [line, *numbers, _text(x + 104, y, "mm : 100 mm à la règle, sinon réimprimer à 100 %", 3.0)]


def _text(x: float, y: float, words: str, size: float, weight: str = "normal") -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" font-weight="{weight}">{words}</text>'
