"""How long whoever guesses passwords must wait, so that the one who owns the account never has to.

Failures count for the place they come from. Strangers to an account share a second count, so that many addresses do not
help; so do all names that strangers try from one address. A browser in which the person had signed in before is no
stranger, and only its own failures slow it down.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

WINDOW: Final = timedelta(hours=1)
"""Failures are forgotten after this."""
FREE: Final = 5
"""So many failures from one place cost nothing."""
FREE_STRANGERS: Final = 30
_FIRST: Final = timedelta(seconds=15)
_LONGEST: Final = timedelta(minutes=15)


class Failure(NamedTuple):
    at: datetime
    address: str
    known: bool


def wait_until(
    failures: Sequence[Failure], address: str, *, known: bool, now: datetime, others: Sequence[datetime] = ()
) -> datetime | None:
    """When the next attempt from `address` may be made; None: now. `failures`: those of the account since its last
    success from this place. `others`: when strangers at this address failed under other names.
    """
    recent = [f for f in failures if now - f.at < WINDOW]
    here = [f.at for f in recent if f.known == known and (known or f.address == address)]
    strangers = [] if known else [f.at for f in recent if not f.known]
    tried = [] if known else [*here, *(at for at in others if now - at < WINDOW)]
    ends = [_end(here, FREE), _end(strangers, FREE_STRANGERS), _end(tried, FREE_STRANGERS)]
    latest = max((end for end in ends if end is not None), default=None)
    return latest if latest is not None and latest > now else None


def _end(failures: Sequence[datetime], free: int) -> datetime | None:
    over = len(failures) - free
    if over < 0:
        return None
    return max(failures) + min(_FIRST * (1 << min(over, 10)), _LONGEST)
