"""Who stands at a post: the last badge read there, for a while, in event time."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple


class Scan(NamedTuple):
    at: datetime
    person: str


class Presence:
    """The badge scans of one post.

    A badge holds the post until another badge is read there, or until `lasting` is over. The same person may hold
    several posts: one operator on several machines is normal.
    """

    def __init__(self, scans: Iterable[Scan], lasting: timedelta) -> None:
        self._scans = sorted(scans)
        self._lasting = lasting

    def at(self, moment: datetime) -> str | None:
        index = bisect.bisect_right(self._scans, moment, key=lambda scan: scan.at) - 1
        if index < 0:
            return None
        scan = self._scans[index]
        return scan.person if moment - scan.at < self._lasting else None
