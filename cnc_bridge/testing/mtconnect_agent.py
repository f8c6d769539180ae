"""A small MTConnect agent for tests and the demo: our own, because the reference agent comes in no package.

It serves a device model and what SHDR lines say of it: probe, current, sample, and sample as a stream with sequence
numbers, an instance, a bounded buffer and heartbeats. Alone it serves the recording of a real Okuma lathe:

    python -m cnc_bridge.testing.mtconnect_agent --port 5000 --speed 10
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import ssl
import sys
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET  # nosec B405  # a file of the test's own
from xml.sax.saxutils import escape, quoteattr  # nosec B406  # makes text, reads none

from cnc_bridge.replay import OKUMA, Recording, stamp_of
from cnc_bridge.testing.mtconnect_store import Seen, Store, items_of

_log = logging.getLogger(__name__)
OKUMA_DEVICES = Path(__file__).parent / "okuma_devices.xml"
BOUNDARY = "copeau-document"


class MTConnectAgent:
    """`async with MTConnectAgent(...) as agent: agent.feed([b"2026-…|avail|AVAILABLE"])`.

    What a test can make it do: `restart` (a new instance, an empty buffer), `cut` (every connection is dropped),
    `frozen` (connections are taken and nothing is answered), `deaf` (streams heartbeat and bring nothing), `dribbling`
    (streams send a blank now and then, and never a document), `raw` (this is answered to every request).
    """

    def __init__(
        self,
        devices: bytes | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        buffer_size: int = 16_384,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._root = ET.fromstring(devices or OKUMA_DEVICES.read_bytes())  # noqa: S314  # nosec B314  # a file of the test's own
        self._items = list(items_of(self._root))
        self._host, self.port, self._buffer_size, self._tls = host, port, buffer_size, tls
        self.store = Store(self._items, buffer_size)
        self.requests: list[str] = []
        self.deaf = self.frozen = self.dribbling = False
        self.raw: bytes | None = None
        self.compress = True
        self._news = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._client, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def feed(self, lines: Iterable[bytes]) -> None:
        """SHDR lines, with their timestamps."""
        for line in lines:
            self.store.take(line)
        news, self._news = self._news, asyncio.Event()
        news.set()

    def restart(self) -> None:
        self.store = Store(self._items, self._buffer_size, instance=self.store.instance + 1)
        self.cut()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *headers = head.decode("latin-1").split("\r\n")
                self.requests.append(line.split(" ")[1])
                if self.frozen:
                    await asyncio.Event().wait()
                packed = self.compress and any("gzip" in one for one in headers if one.lower().startswith("accept-e"))
                await self._answer(line.split(" ")[1], writer, packed=packed)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError) as error:
            _log.debug("client gone: %r", error)
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, target: str, writer: asyncio.StreamWriter, *, packed: bool) -> None:
        if self.raw is not None:
            await _send(writer, self.raw, packed=packed)
            return
        url = urlsplit(target)
        *device, what = [unquote(part) for part in url.path.strip("/").split("/")] or [""]
        asked = dict(parse_qsl(url.query))
        known = {item.device for item in self._items}
        if device and device[0] not in known:
            await _send(writer, self._error("NO_DEVICE", f"no device {device[0]!r}"), status=404, packed=packed)
        elif what == "probe":
            await _send(writer, self._probe(), packed=packed)
        elif what == "current":
            await _send(writer, self._streams(self.store.now(), device, self.store.next), packed=packed)
        elif what == "sample":
            await self._sample(asked, device, writer, packed=packed)
        else:
            await _send(writer, self._error("UNSUPPORTED", f"{what!r}"), status=400, packed=packed)

    async def _sample(
        self, asked: dict[str, str], device: list[str], writer: asyncio.StreamWriter, *, packed: bool
    ) -> None:
        first, count = int(asked.get("from", self.store.first)), int(asked.get("count", 100))
        wrong = (
            f"'count' must be at most {self.store.size}"
            if not 0 < count <= self.store.size
            else f"'from' must be from {self.store.first} to {self.store.next}"
            if not self.store.first <= first <= self.store.next
            else ""
        )
        if wrong:
            await _send(writer, self._error("OUT_OF_RANGE", wrong), status=404, packed=packed)
        elif "interval" in asked:
            await self._stream(asked, first, count, device, writer)
        else:
            seen = self.store.since(first, count)
            await _send(writer, self._streams(seen, device, first + len(seen)), packed=packed)

    async def _stream(
        self, asked: dict[str, str], first: int, count: int, device: list[str], writer: asyncio.StreamWriter
    ) -> None:
        interval, heartbeat = int(asked["interval"]) / 1000, int(asked.get("heartbeat", 10_000)) / 1000
        head = f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={BOUNDARY}\r\n"
        writer.write(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        store = self.store
        while store is self.store:
            deaf = self.deaf
            seen = [] if deaf else store.since(first, count)
            first += len(seen)
            body = self._streams(seen, device, first)
            part = f"--{BOUNDARY}\r\nContent-type: text/xml\r\nContent-length: {len(body)}\r\n\r\n".encode() + body
            writer.write(b"%x\r\n%s\r\n\r\n" % (len(part) + 2, part))
            await writer.drain()
            while self.dribbling:
                writer.write(b"1\r\n \r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
            await asyncio.sleep(interval)
            if deaf or first >= store.next:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.01, heartbeat - interval)):
                        while self.deaf or first >= store.next:
                            await self._news.wait()

    def _header(self, streams: str = "") -> str:
        store = self.store
        stamp = stamp_of(datetime.now(UTC)).decode()
        return (
            f'<Header creationTime="{stamp}" sender="copeau-test" instanceId="{store.instance}" version="2.0.0.0" '
            f'bufferSize="{store.size}" {streams}/>'
        )

    def _probe(self) -> bytes:
        devices = b"".join(ET.tostring(child) for child in self._root if child.tag.endswith("Devices"))
        return b'<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:2.0">%s%s</MTConnectDevices>' % (
            self._header().encode(),
            devices,
        )

    def _error(self, code: str, text: str) -> bytes:
        return (
            '<MTConnectError xmlns="urn:mtconnect.org:MTConnectError:2.0">'
            f'{self._header()}<Errors><Error errorCode="{code}">{escape(text)}</Error></Errors></MTConnectError>'
        ).encode()

    def _streams(self, seen: list[Seen], device: list[str], after: int) -> bytes:
        store = self.store
        last = store.next - 1
        header = self._header(f'firstSequence="{store.first}" lastSequence="{last}" nextSequence="{after}" ')
        grouped: dict[tuple[str, str, str], dict[str, list[str]]] = {}
        for one in seen:
            if device and one.item.device != device[0]:
                continue
            group = {"SAMPLE": "Samples", "EVENT": "Events", "CONDITION": "Condition"}[one.item.category]
            component = grouped.setdefault((one.item.device, one.item.component, one.item.component_id), {})
            component.setdefault(group, []).append(_written(one))
        body = "".join(
            f'<DeviceStream name={quoteattr(name)} uuid={quoteattr(name)}><ComponentStream component="{kind}" '
            f'componentId="{component_id}">'
            + "".join(f"<{group}>{''.join(elements)}</{group}>" for group, elements in groups.items())
            + "</ComponentStream></DeviceStream>"
            for (name, kind, component_id), groups in grouped.items()
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><MTConnectStreams xmlns="urn:mtconnect.org:MTConnectStreams:2.0">'
            f"{header}<Streams>{body}</Streams></MTConnectStreams>"
        ).encode()


def _written(seen: Seen) -> str:
    item = seen.item
    common = f'dataItemId="{item.id}" timestamp="{seen.stamp}" sequence="{seen.sequence}"'
    if item.name:
        common += f" name={quoteattr(item.name)}"
    if item.category == "CONDITION":
        code = f" nativeCode={quoteattr(seen.code)}" if seen.code else ""
        level = seen.level.capitalize()
        return f'<{level} {common} type="{item.type}"{code}>{escape(seen.value)}</{level}>'
    return f"<{item.element} {common}>{escape(seen.value)}</{item.element}>"


async def _send(writer: asyncio.StreamWriter, body: bytes, status: int = 200, *, packed: bool) -> None:
    encoding = ""
    if packed:
        packer = zlib.compressobj(wbits=31)
        body, encoding = packer.compress(body) + packer.flush(), "Content-Encoding: gzip\r\n"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: text/xml\r\n{encoding}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def _serve(options: argparse.Namespace) -> None:
    devices = options.devices.read_bytes() if options.devices else None
    async with MTConnectAgent(devices, port=options.port, buffer_size=options.buffer) as agent:
        sys.stdout.write(json.dumps({"listening": agent.url}) + "\n")
        sys.stdout.flush()
        while True:
            async for lines in Recording(options.recording, options.speed).once():
                stamp = stamp_of(datetime.now(UTC))
                agent.feed(stamp + line if line.startswith(b"|") else line for line in lines)
            if options.once:
                await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="An MTConnect agent that serves a recording.")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--speed", type=float, default=1.0, help="of the recording; 0: as fast as possible")
    parser.add_argument("--buffer", type=int, default=16_384, help="observations kept")
    parser.add_argument("--devices", type=Path, help="a Devices.xml; default: one for the recording")
    parser.add_argument("--recording", type=Path, default=OKUMA)
    parser.add_argument("--once", action="store_true", help="do not begin again at the end")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
