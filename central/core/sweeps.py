"""Work that comes back by itself: a feature registers a name, an interval and a coroutine; the centre runs them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeAlias

from sqlalchemy.exc import DBAPIError

from central.core.uow import UnitOfWork, Units

log = logging.getLogger(__name__)

Sweep: TypeAlias = Callable[[UnitOfWork], Awaitable[None]]


class _Registered(NamedTuple):
    name: str
    interval_s: float
    sweep: Sweep


class Sweeps:
    """Each sweep gets its own transaction; one that fails is logged and tried again at its next turn."""

    def __init__(self) -> None:
        self._registered: list[_Registered] = []
        self._tasks: list[asyncio.Task[None]] = []

    def every(self, interval_s: float, name: str, sweep: Sweep) -> None:
        self._registered.append(_Registered(name, interval_s, sweep))

    async def run_once(self, units: Units) -> None:
        """All of them now, in the order of registration (start of the centre, tests). The first failure is raised."""
        for registered in self._registered:
            async with units.begin() as uow:
                await registered.sweep(uow)

    def start(self, units: Units) -> None:
        self._tasks = [
            asyncio.create_task(_repeat(units, registered), name=f"sweep {registered.name}")
            for registered in self._registered
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


async def _repeat(units: Units, registered: _Registered) -> None:
    while True:
        await asyncio.sleep(registered.interval_s)
        try:
            async with units.begin() as uow:
                await registered.sweep(uow)
        except (DBAPIError, OSError) as error:
            log.warning("sweep %s waits for the database: %s", registered.name, str(error).partition("\n")[0])
        except Exception:
            # A sweep of one feature must not stop the others; the next turn tries again.
            log.exception("sweep %s failed", registered.name)
