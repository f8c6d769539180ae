"""Pages that listen: each has a bounded queue; one that falls behind is told to read everything again."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

QUEUE_LIMIT = 256


class Frame(NamedTuple):
    """One event: `id` of its outgoing row, and JSON ``{topic: data}`` on one line. Without data: read again."""

    id: int
    data: str | None


class Listener:
    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._ready = asyncio.Event()
        self.closed = False

    def put(self, frame: Frame) -> None:
        if len(self._frames) >= QUEUE_LIMIT:
            self._frames.clear()
            frame = Frame(frame.id, None)
        self._frames.append(frame)
        self._ready.set()

    def close(self) -> None:
        self.closed = True
        self._ready.set()

    async def take(self, timeout_s: float) -> list[Frame]:
        """What came since, at once if there is something; empty after `timeout_s` without news, or when closed."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        except TimeoutError:
            return []
        self._ready.clear()
        frames = list(self._frames)
        self._frames.clear()
        return frames


class Hub:
    """All listening pages of this process."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self) -> Listener:
        listener = Listener()
        if self._closed:
            listener.close()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)

    def send(self, frame: Frame) -> None:
        for listener in self._listeners:
            listener.put(frame)

    def close(self) -> None:
        """End every open stream, so that the server can stop."""
        self._closed = True
        for listener in self._listeners:
            listener.close()
