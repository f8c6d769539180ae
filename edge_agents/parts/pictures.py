"""Brings the pictures that wait to the centre, newest first, until it has them or their hours are over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import httpx
import msgspec

from edge_agents.centre_http import CentreHttp, CentreUnavailableError
from edge_agents.link import Backoff
from edge_agents.spool import AUTOMATIC_KEPT, Pair, Spool, SpoolError, Waiting
from edge_agents.supervisor import Desk

_log = logging.getLogger(__name__)

NAME: Final = "images"
PATH: Final = "/api/racks/crops/"
_PURGE_EVERY_S: Final = 600.0
"""By so much at most a picture that is over stays on the disk, unreadable for all but this agent."""
_AT_ONCE: Final = 20
_REFUSED: Final = frozenset({400, 409, 410, 413, 415, 422})
"""Answers that stay the same however often it is brought."""


class PicturesPart:
    """The agent's pictures: racks keep pairs with it, and it brings them. One for all racks."""

    kind = "pictures"

    def __init__(self, spool: Spool, centre: CentreHttp, doubtful_kept: timedelta) -> None:
        self.name = NAME
        self.about: Mapping[str, str] = {}
        self._spool = spool
        self.centre = centre
        self._doubtful_kept = doubtful_kept
        self._new = asyncio.Event()
        self._backoff = Backoff(1.0, 60.0)
        self._told = ""

    async def keep(self, before: bytes, after: bytes, observed: datetime, *, automatic: bool) -> str | None:
        """The crops id of a pair that is on disk now; None where it could not be kept, which is logged."""
        if not before and not after:
            return None
        kept_for = min(AUTOMATIC_KEPT, self._doubtful_kept) if automatic else self._doubtful_kept
        try:
            return await asyncio.to_thread(self._spool.keep, Pair(before, after, observed), kept_for)
        except SpoolError as error:
            _log.error("pictures of an observation are given up: %s", error)
            return None

    async def drop(self, crops: str) -> None:
        await asyncio.to_thread(self._spool.drop, crops)

    def bring(self) -> None:
        """Something new is to be brought at once."""
        self._new.set()

    async def run(self, desk: Desk) -> None:
        desk.says("running")
        purge_at = 0.0
        async with self.centre.client() as client:
            while True:
                if time.monotonic() >= purge_at:
                    purge_at = time.monotonic() + _PURGE_EVERY_S
                    await self._purge()
                self._new.clear()
                pause = await self._bring_all(client, desk)
                await self._wait(min(pause, purge_at - time.monotonic()), desk)

    async def _purge(self) -> None:
        try:
            removed = await asyncio.to_thread(self._spool.purge)
        except OSError as error:
            _log.error("pictures that are over cannot be removed: %s", error)
            return
        if removed:
            _log.info("%s pictures were over and are removed", removed)

    async def _bring_all(self, client: httpx.AsyncClient, desk: Desk) -> float:
        """Bring what waits; for how long to rest then, seconds."""
        failed: CentreUnavailableError | None = None
        tried: set[str] = set()
        is_there = True
        while is_there and (left := [e for e in await asyncio.to_thread(self._spool.waiting) if e.id not in tried]):
            for entry in left[:_AT_ONCE]:  # then those that are newer by now
                tried.add(entry.id)
                try:
                    await self._bring_one(entry, client)
                except CentreUnavailableError as error:
                    failed = error
                    is_there = bool(error.status)
                    if not is_there:  # no answer at all: the next would fare no better
                        break
        if failed is None:
            self._backoff.reset()
            self._told = ""
            desk.says("running")
            return _PURGE_EVERY_S
        if self._told != str(failed):
            self._told = str(failed)
            _log.warning("pictures wait for the centre: %s", failed)
        desk.says("waiting", f"Des images attendent le centre. {failed}")
        return self._backoff.delay()

    async def _bring_one(self, entry: Waiting, client: httpx.AsyncClient) -> None:
        """Raises CentreUnavailableError where it is worth another try."""
        try:
            pair = await asyncio.to_thread(self._spool.read, entry)
        except SpoolError as error:
            _log.error("a picture that cannot be read is removed: %s", error)
        else:
            try:
                pictures = {"before": pair.before or None, "after": pair.after or None}
                body = msgspec.msgpack.encode(pictures | {"observed": pair.observed.isoformat()})
                await self.centre.put(f"{PATH}{entry.id}", body, "application/msgpack", client)
            except CentreUnavailableError as error:
                if error.status not in _REFUSED:
                    raise
                _log.error("the centre refused pictures %s (%s): removed", entry.id, error.status)
        await self.drop(entry.id)

    async def _wait(self, seconds: float, desk: Desk) -> None:
        """Until something new comes, the centre is back, or it is time again."""
        waits = [asyncio.create_task(event.wait()) for event in (self._new, desk.present)]
        try:
            await asyncio.wait(waits, timeout=max(seconds, 0.0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        desk.present.clear()
