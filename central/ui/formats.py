"""Numbers and times as a French shop writes them: decimal comma, 24 h, S47, minus sign, narrow spaces."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

NARROW: Final = "\N{NARROW NO-BREAK SPACE}"
NO_BREAK: Final = "\N{NO-BREAK SPACE}"
MINUS: Final = "\N{MINUS SIGN}"

_DAYS: Final = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS: Final = (
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
)


def number(value: float, digits: int = 3) -> str:
    """At most `digits` decimals, no trailing zeros: ``1 250,5``."""
    text = f"{abs(value):,.{digits}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    text = text.replace(",", NARROW).replace(".", ",")
    return text if value >= 0 or text == "0" else MINUS + text


def quantity(milli: int, unit: str = "", *, signed: bool = False) -> str:
    """Thousandths of a unit. Pieces carry no unit word: ``−1``, ``1 250,5 mm``."""
    text = number(milli / 1000)
    if signed and milli > 0:
        text = "+" + text
    return text if unit in {"", "pce"} else f"{text}{NO_BREAK}{unit}"


def percent(share: float) -> str:
    """A share of 1: ``62 %``."""
    return f"{number(share * 100, 0)}{NO_BREAK}%"


def clock(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%H:%M}"


def moment(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """``08:41`` today, ``hier 08:41``, ``19/11 08:41`` this year, else with the year."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    if local.date() == today:
        return f"{local:%H:%M}"
    if local.date() == today - timedelta(days=1):
        return f"hier {local:%H:%M}"
    return f"{local:%d/%m %H:%M}" if local.year == today.year else f"{local:%d/%m/%Y}"


def day(at: datetime, zone: ZoneInfo) -> str:
    """``samedi 21 novembre · S47``; the week is ISO 8601's."""
    local = at.astimezone(zone)
    first = "1er" if local.day == 1 else str(local.day)
    return f"{_DAYS[local.weekday()]} {first} {_MONTHS[local.month - 1]} · S{local.isocalendar().week}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``6 h 05``, ``3 jours``."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}{NO_BREAK}s"
    if whole < 3600:
        return f"{whole // 60}{NO_BREAK}min"
    if whole < 86400:
        return f"{whole // 3600}{NO_BREAK}h{NO_BREAK}{whole % 3600 // 60:02d}"
    days = whole // 86400
    return f"{days}{NO_BREAK}jour{'s' if days > 1 else ''}"


def exact_duration(value: float) -> str:
    """What is compared needs its seconds: ``42,5 s``, ``9 min 30 s``, ``1 h 05``."""
    if value < 60:
        return f"{number(value, 1)}{NO_BREAK}s"
    minutes, left = divmod(round(value), 60)
    if minutes >= 60:
        return f"{minutes // 60}{NO_BREAK}h{NO_BREAK}{minutes % 60:02d}"
    return f"{minutes}{NO_BREAK}min" + (f"{NO_BREAK}{left:02d}{NO_BREAK}s" if left else "")


def plain(value: float | None) -> str:
    """As a person types it again in a field: ``12,5``, nothing for None."""
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".").replace(".", ",")


def hours(seconds: float) -> str:
    """Load against capacity is read in hours: ``6,2 h``."""
    return f"{number(seconds / 3600, 1)}{NO_BREAK}h"


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 pièce``, ``3 pièces``."""
    return f"{count}{NO_BREAK}{one if abs(count) < 2 else many or one + 's'}"


def typography(text: str) -> str:
    """A sentence that does not break before its high punctuation, with the apostrophe of print."""
    text = text.replace("'", "’")
    for mark in "?!:;»":
        text = text.replace(f" {mark}", f"{NO_BREAK}{mark}")
    return text.replace("« ", f"«{NO_BREAK}")
