"""A blocking library in a thread of its own, so that it never holds the loop up, whatever the far side does."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class Worker:
    """Runs calls one after the other in one thread.

    A call that is not back within its bound is given up: `abandon` is called from the loop, must not block and must
    wake the thread (close its socket). The thread is a daemon: a library that cannot be woken outlives nobody.
    """

    def __init__(self, name: str, abandon: Callable[[], None]) -> None:
        self._abandon = abandon
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[[], _T], within_s: float) -> _T:
        """What `function` returns or raises; TimeoutError when it does neither within `within_s` seconds."""
        answer: asyncio.Future[_T] = self._loop.create_future()
        self._calls.put((function, answer))
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            self._abandon()
            raise

    def close(self) -> None:
        """Wake and end the thread, without waiting for it."""
        self._calls.put(None)
        self._abandon()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            function, answer = call
            if answer.cancelled():
                continue
            result: object = None
            error: BaseException | None = None
            try:
                result = function()
            except Exception as raised:  # noqa: BLE001 - whatever it is, it belongs to the caller
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                self._loop.call_soon_threadsafe(_settle, answer, result, error)


def _settle(answer: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
