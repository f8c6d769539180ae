"""What a machine is (MCH-5), as a person describes it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

KINDS: Final = ("Tour CN", "Fraiseuse CN", "Centre d'usinage", "Rectifieuse", "Scie", "Robot")
"""Offered on the page; a shop may type its own."""
_AXES = re.compile(r"[A-Z][0-9]?( [A-Z][0-9]?)*")
_TRAVEL = re.compile(r"([A-Z][0-9]?) (\d+(?:[.,]\d+)?)")


@dataclass(frozen=True, slots=True)
class Parameters:
    label: str
    kind: str = ""
    controller: str = ""
    cam_software: str = ""
    power_kw: float | None = None
    spindle_max_rpm: int | None = None
    axes: str = ""
    """``X Y Z B C``."""
    travels: str = ""
    """Of each axis, mm (degrees for a rotary one): ``X 600, Y 500, Z 450``."""

    def checked(self) -> Parameters:
        """Tidied up. Raises ValueError with the sentence for the person who typed it."""
        tidy = replace(
            self,
            label=_one_line(self.label),
            kind=_one_line(self.kind),
            controller=_one_line(self.controller),
            cam_software=_one_line(self.cam_software),
        )
        if not tidy.label:
            raise ValueError("Donnez un nom à la machine.")
        if any(len(getattr(tidy, name)) > most for name, most in _LENGTHS.items()):
            raise ValueError("Ce texte est trop long.")
        if self.power_kw is not None and not 0 < self.power_kw <= 2000:
            raise ValueError("La puissance est en kW, plus grande que zéro.")
        if self.spindle_max_rpm is not None and not 0 < self.spindle_max_rpm <= 300_000:
            raise ValueError("La vitesse maximale de broche est en tr/min, plus grande que zéro.")
        axes = " ".join(self.axes.upper().replace(",", " ").split())
        if axes and (not _AXES.fullmatch(axes) or len(axes) > 60):
            raise ValueError("Les axes s'écrivent X Y Z B C.")
        return replace(tidy, axes=axes, travels=_travels(self.travels, axes))


_LENGTHS: Final = {"label": 120, "kind": 40, "controller": 80, "cam_software": 80}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def is_robot(kind: str) -> bool:
    return kind.strip().casefold().startswith("robot")


def _travels(text: str, axes: str) -> str:
    """``x600 ; y 500`` → ``X 600, Y 500``. A comma between two digits is a decimal one."""
    parts = [" ".join(part.split()) for part in re.split(r";|,(?!\d)", text.upper()) if part.strip()]
    told = [_TRAVEL.fullmatch(re.sub(r"^([A-Z])(?=\d+(?:[.,]\d+)?$)", r"\1 ", part)) for part in parts]
    named = []
    for one in told:
        if one is None:
            raise ValueError("Les courses s'écrivent X 600, Y 500, Z 450 (mm ; degrés pour un axe rotatif).")
        if axes and one[1] not in axes.split():
            raise ValueError(f"La course de {one[1]} est donnée, mais {one[1]} n'est pas parmi les axes.")
        named.append(f"{one[1]} {one[2]}")
    if len({name.split()[0] for name in named}) < len(named):
        raise ValueError("Un axe n'a qu'une course.")
    return ", ".join(named)[:200]
