"""A recorded SHDR log as a living adapter: its own timing times a speed, timestamps of now, PONG to each PING.

The data is what a real machine said; this server is ours. Used by the demo, the tests and `copeau cnc replay`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cnc_bridge.drivers.shdr.lines import parse_time

_log = logging.getLogger(__name__)
OKUMA = Path(__file__).parent / "recordings" / "okuma.txt"
"""A real Okuma lathe: four programmes, a part of each, 22 minutes of cutting. See NOTICE beside it."""

_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z?\|")
_MULTILINE = re.compile(rb"--multiline--(\S*)$")
_LONGEST_PAUSE_S = 2.0
_SESSION_GAP_S = 60.0


class Recording:
    """A recorded SHDR log, group by group at its own pace.

    It is some sessions one after the other, each beginning with the adapter's full state; pauses longer than 2 s (and
    the jumps between sessions, in either direction) are shortened to 2 s. `speed` multiplies the pace, 0 is as fast as
    possible.
    """

    def __init__(self, path: Path = OKUMA, speed: float = 1.0) -> None:
        self._groups = list(_groups(path.read_bytes().split(b"\n")))
        self._speed = speed

    async def once(self) -> AsyncIterator[list[bytes]]:
        """Lines that belong together, when they are due. Those that had a timestamp begin with its ``|``."""
        loop = asyncio.get_running_loop()
        due, before = loop.time(), None
        for at, lines in self._groups:
            if self._speed and before is not None:
                due += min(abs((at - before).total_seconds()), _LONGEST_PAUSE_S) / self._speed
                if due - loop.time() > 0.001:
                    await asyncio.sleep(due - loop.time())
            before = at
            yield lines
        if not self._speed:
            await asyncio.sleep(0)


class RecordingAdapter:
    """An SHDR adapter that replays `path` to every client from one common position, see `Recording`.

    A client that comes later is first given the newest value of each key, as an adapter does. When `loop` is false the
    adapter stays silent at the end, but answers PING. With `wait_for_client` the replay begins with the first client.
    """

    def __init__(
        self,
        path: Path = OKUMA,
        host: str = "127.0.0.1",
        port: int = 7878,
        speed: float = 1.0,
        *,
        loop: bool = True,
        wait_for_client: bool = False,
        heartbeat_ms: int = 10_000,
    ) -> None:
        self._recording = Recording(path, speed)
        self._host = host
        self.port = port
        self._loop = loop
        self._wait_for_client = wait_for_client
        self._heartbeat_ms = heartbeat_ms
        self._clients: set[asyncio.StreamWriter] = set()
        self._someone = asyncio.Event()
        self._known: dict[bytes, bytes] = {}
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self.finished = asyncio.Event()
        """Set when a recording that does not loop has been sent to its end."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._client, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._task = asyncio.create_task(self._replay(), name="replay")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        self._server.close()
        for client in list(self._clients):
            client.close()
        await self._server.wait_closed()

    async def run(self) -> None:
        """Replay until cancelled, or for ever."""
        assert self._task is not None
        await self._task
        await asyncio.Event().wait()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = stamp_of(datetime.now(UTC))
        writer.writelines(now + line for line in self._known.values())
        self._clients.add(writer)
        self._someone.set()
        try:
            while line := await reader.readline():
                if line.strip() == b"* PING":
                    writer.write(b"* PONG %d\n" % self._heartbeat_ms)
                    await writer.drain()
        except (ConnectionError, ValueError) as error:
            _log.info("replay client gone: %s", error)
        finally:
            self._clients.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _replay(self) -> None:
        if self._wait_for_client:
            await self._someone.wait()
        while True:
            async for lines in self._recording.once():
                await self._send(lines, datetime.now(UTC))
            self.finished.set()
            if not self._loop:
                return

    async def _send(self, lines: list[bytes], now: datetime) -> None:
        stamp = stamp_of(now)
        out = []
        for line in lines:
            if not line.startswith(b"|"):
                out.append(line + b"\n")
                continue
            out.append(stamp + line + b"\n")
            if not line.startswith(b"|@"):
                self._remember(line)
        piece = b"".join(out)
        for client in list(self._clients):
            client.write(piece)
            try:
                async with asyncio.timeout(5):
                    await client.drain()
            except (ConnectionError, TimeoutError):  # gone or hanging: the others must not wait for it
                self._clients.discard(client)
                client.transport.abort()

    def _remember(self, line: bytes) -> None:
        """Keep the newest value of each key; conditions as they stand on their line."""
        fields = line.split(b"|")[1:]
        if fields[0].endswith(b"_cond") or fields[0] == b"system":
            self._known[fields[0]] = line + b"\n"
            return
        for key, value in zip(fields[::2], fields[1::2], strict=False):
            self._known[key] = b"|" + key + b"|" + value + b"\n"


def _groups(lines: list[bytes]) -> Iterator[tuple[datetime, list[bytes]]]:
    """Lines that follow each other without a pause, with their time; the timestamp is cut off, `|` begins such a line.

    The time never goes back within a session: an asset's line carries the age of the asset, some lines come late.
    """
    clock: datetime | None = None
    group: list[bytes] = []
    asset_end: bytes | None = None
    for line in lines:
        if asset_end is not None:
            group.append(line)
            asset_end = None if line.strip() == asset_end else asset_end
            continue
        stamp = _STAMP.match(line)
        if stamp is None:
            if line.strip():
                group.append(line)
            continue
        body = line[stamp.end() - 1 :]
        opened = _MULTILINE.search(body)
        asset_end = b"--multiline--" + opened[1] if opened else None
        at = parse_time(stamp[0][:-1].decode())
        assert at is not None
        new_session = body.startswith(b"|avail|")
        if clock is None or new_session or (not body.startswith(b"|@") and clock < at < clock + _GAP):
            if group and clock is not None:
                yield clock, group
            clock, group = at, []
        group.append(body)
    if group and clock is not None:
        yield clock, group


_GAP = timedelta(seconds=_SESSION_GAP_S)


def stamp_of(at: datetime) -> bytes:
    """ISO with 7 decimals, as the adapter writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f0Z").encode()
