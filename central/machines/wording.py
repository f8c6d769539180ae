"""Numbers and sentences of machine alerts, in French. Signal names here go with a sentence; pages have their own."""

from __future__ import annotations

from typing import Final

SIGNALS: Final[dict[str, str]] = {
    "spindle_load": "charge broche",
    "spindle_speed": "vitesse broche",
    "feed": "avance",
    "temperature": "température",
    "spindle_temperature": "température de broche",
    "vibration": "vibration",
    "pressure": "pression",
}
UNITS: Final[dict[str, str]] = {"percent": "%", "rpm": "tr/min", "celsius": "°C"}
_NARROW: Final = "\N{NARROW NO-BREAK SPACE}"
_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_MINUS: Final = "\N{MINUS SIGN}"


def signal(name: str) -> str:
    return SIGNALS.get(name, name)


def amount(value: float, unit: str = "") -> str:
    """``1 250,5 mm/min``, at most two decimals."""
    text = f"{value:,.2f}".rstrip("0").rstrip(".").replace(",", _NARROW).replace(".", ",").replace("-", _MINUS)
    word = UNITS.get(unit, unit)
    return f"{text}{_NO_BREAK}{word}" if word else text


def seconds(duration: float) -> str:
    """``9 min 30 s``, ``42,5 s``, ``3 min``."""
    if duration < 100 and duration != 60:
        return amount(round(duration, 1), "s")
    minutes, left = divmod(round(duration), 60)
    if minutes < 60:
        return f"{minutes}{_NO_BREAK}min" + (f"{_NO_BREAK}{left:02d}{_NO_BREAK}s" if left else "")
    return f"{minutes // 60}{_NO_BREAK}h{_NO_BREAK}{minutes % 60:02d}"
