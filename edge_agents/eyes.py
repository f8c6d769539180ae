"""The processes that watch racks, seen from the agent: some racks share one, since each costs 100 MB of libraries.

Decision: a rack is a thread of such a process (`racks_per_process`, 1 gives each its own). A crash of a native library
then costs all racks of that process some seconds: each begins again from its snapshot, and what happened meanwhile is
told as such. What a rack's own code raises costs that rack alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from typing import Final

import msgspec

from edge_agents import rack_messages as messages

_log = logging.getLogger(__name__)
_decoder: msgspec.msgpack.Decoder[messages.Said] = msgspec.msgpack.Decoder(messages.Said)
_LIMIT: Final = 32 * 1024 * 1024
_WAITING: Final = 64
_MEMORY: Final = {"MALLOC_ARENA_MAX": "2", "MALLOC_MMAP_THRESHOLD_": "524288", "MALLOC_TRIM_THRESHOLD_": "1048576"}
"""Of glibc: what frames leave free goes back at once, and threads share arenas (four racks at 1080p: a fifth less)."""


class EyeGoneError(Exception):
    """The eye ended; the text says how."""


class Channel:
    """One rack's eye."""

    def __init__(self, host: _Host, number: int) -> None:
        self._host = host
        self._number = number
        self.arrived: asyncio.Queue[messages.Said | None] = asyncio.Queue(_WAITING)

    def send(self, message: messages.Told) -> bool:
        """False when it cannot hear any more."""
        return self._host.write(self._number, messages.packed(message))

    async def receive(self) -> messages.Said:
        """What it says next. Raises EyeGoneError."""
        said = await self.arrived.get()
        if said is None:
            raise EyeGoneError(self._host.how)
        return said

    async def close(self) -> None:
        """Stop watching."""
        await self._host.leave(self._number)


class Eyes:
    """All eyes of an agent."""

    def __init__(self, racks_per_process: int) -> None:
        self._most = racks_per_process
        self._hosts: list[_Host] = []
        self._turn = asyncio.Lock()

    async def open(self, order: messages.Order) -> Channel:
        """Begin to watch."""
        async with self._turn:
            self._hosts = [host for host in self._hosts if host.alive]
            host = next((host for host in self._hosts if len(host.channels) < self._most), None)
            if host is None:
                host = await _Host.started()
                self._hosts.append(host)
            return host.join(order)


class _Host:
    """One process and the racks in it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.channels: dict[int, Channel] = {}
        self.how = "this eye alone ended by an error, see the log"
        self.alive = True
        self._process = process
        self._newest = 0
        self._reading = asyncio.create_task(self._read(), name=f"eyes {process.pid}")

    @classmethod
    async def started(cls) -> _Host:
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-m", "edge_agents.rack_eyes")
        environment = os.environ | _MEMORY
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment))

    def join(self, order: messages.Order) -> Channel:
        self._newest += 1
        channel = self.channels[self._newest] = Channel(self, self._newest)
        self.write(self._newest, messages.packed(order))
        return channel

    def write(self, number: int, payload: bytes) -> bool:
        pipe = self._process.stdin
        if not self.alive or pipe is None or pipe.is_closing() or number not in self.channels:
            return False
        pipe.write(messages.framed(number, payload))
        return True

    async def leave(self, number: int) -> None:
        """The last one out ends the process; of others the thread ends when its camera lets it."""
        self.write(number, b"")
        channel = self.channels.pop(number, None)
        while channel is not None and not channel.arrived.empty():
            channel.arrived.get_nowait()  # the reader may be waiting for room, and the other racks for the reader
        if not self.channels:
            self.alive = False
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._reading.cancel()
            await asyncio.wait([self._reading])

    async def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        try:
            while True:
                head = await pipe.readexactly(messages.HEAD)
                length, number = messages.head(head)
                if length > _LIMIT:
                    raise msgspec.DecodeError(f"a message of {length} bytes")
                payload = await pipe.readexactly(length)
                channel = self.channels.get(number)
                if channel is not None:
                    await channel.arrived.put(_decoder.decode(payload) if payload else None)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.how = f"the process that watches died (exit code {await self._process.wait()})"
        except msgspec.MsgspecError as error:
            self.how = f"the process that watches said something unreadable: {error}"
            _log.exception("%s", self.how)
            self._process.kill()
        finally:
            self.alive = False
            for channel in self.channels.values():
                if channel.arrived.full():  # whoever does not listen need not hear the last word before the end
                    channel.arrived.get_nowait()
                channel.arrived.put_nowait(None)
