"""An MTConnect agent as a client sees it: its devices, its present state, its buffer, its stream."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Self
from urllib.parse import quote

import httpx

from cnc_bridge.drivers.mtconnect import faults
from cnc_bridge.drivers.mtconnect.documents import (
    AgentError,
    BadDocumentError,
    Device,
    Header,
    Streams,
    read_devices,
    read_streams,
)
from cnc_bridge.drivers.mtconnect.multipart import Splitter, boundary_of
from cnc_bridge.drivers.mtconnect.settings import Settings
from cnc_bridge.port import DriverFaultError

MOST_AT_ONCE = 2_000
"""Observations in a document: on a Pi it is read in a tenth of a second, and nothing else waits longer than that."""
_EXPECTED = (httpx.HTTPError, httpx.InvalidURL, BadDocumentError, OSError, TimeoutError)


class Agent:
    """Every call raises DriverFaultError, with its sentences; `AgentError` where the agent itself says no."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: httpx.AsyncClient | None = None
        self._prefix = settings.url
        self._count = MOST_AT_ONCE

    async def __aenter__(self) -> Self:
        with self._explained():
            trust = ssl.create_default_context(
                cafile=str(self._settings.ca_file) if self._settings.ca_file is not None else None
            )
        self._client = httpx.AsyncClient(
            verify=trust,
            timeout=self._settings.timeout_s,
            trust_env=False,  # a machine is on the shop's network, never behind its proxy
            headers={"Accept": "text/xml, multipart/x-mixed-replace"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.aclose()

    async def device(self) -> tuple[Header, Device]:
        """The device of the settings; later calls are about it alone."""
        header, devices = await self.devices()
        wanted = self._settings.device
        if wanted is None and len(devices) == 1:
            found = devices[0]
        else:
            named = [device for device in devices if wanted is not None and wanted in (device.name, device.uuid)]
            if not named:
                raise self._which([device.label for device in devices])
            found = named[0]
        self._prefix = f"{self._settings.url}/{quote(found.label, safe='')}"
        if header.buffer_size > 0:
            self._count = max(1, min(MOST_AT_ONCE, header.buffer_size))
        return header, found

    async def devices(self) -> tuple[Header, list[Device]]:
        with self._explained():
            return read_devices(await self._get(f"{self._settings.url}/probe"))

    async def current(self) -> Streams:
        """Every data item's present value, and the sequence number that comes next. Raises AgentError too."""
        with self._explained():
            return read_streams(await self._get(f"{self._prefix}/current"))

    async def past(self, first: int) -> Streams:
        """What the buffer has from sequence `first` on, as much as it gives at once. Raises AgentError too."""
        with self._explained():
            return read_streams(await self._get(f"{self._prefix}/sample", {"from": first, "count": self._count}))

    async def stream(self, first: int) -> AsyncGenerator[Streams, None]:
        """Documents from sequence `first` on, for as long as the agent lives; empty ones are its heartbeats."""
        assert self._client is not None
        settings = self._settings
        beat = max(1, round(settings.heartbeat_s * 1000))
        params = {"from": first, "count": self._count, "interval": settings.interval_ms, "heartbeat": beat}
        patience = 2 * settings.heartbeat_s + 0.5 + settings.interval_ms / 1000
        url = f"{self._prefix}/sample"
        with self._explained():
            async with self._client.stream("GET", url, params=params, timeout=self._timeouts(patience)) as answer:
                kind = answer.headers.get("content-type", "")
                if not kind.startswith("multipart/"):
                    read_streams(await self._whole(answer))  # an error document, as a rule
                splitter = Splitter(boundary_of(kind), settings.max_document)
                pieces = answer.aiter_bytes()
                while not splitter.ended:
                    bodies: list[bytes] = []
                    try:
                        async with asyncio.timeout(patience):  # of a whole document: dribbling is not living
                            while not bodies and not splitter.ended:
                                bodies = splitter.feed(await anext(pieces))
                    except (TimeoutError, httpx.ReadTimeout):
                        raise faults.silent(settings, patience) from None
                    except StopAsyncIteration:
                        break
                    for body in bodies:
                        yield read_streams(body)
        raise DriverFaultError(
            "closed",
            f"{settings.url}: the agent ended the stream",
            "L'agent MTConnect a fermé le flux : il redémarre ?",
        )

    def _timeouts(self, read_s: float) -> httpx.Timeout:
        return httpx.Timeout(self._settings.timeout_s, read=read_s)

    async def _get(self, url: str, params: Mapping[str, int] | None = None) -> bytes:
        assert self._client is not None
        async with (
            asyncio.timeout(self._settings.timeout_s),
            self._client.stream("GET", url, params=params) as answer,
        ):
            return await self._whole(answer)

    async def _whole(self, answer: httpx.Response) -> bytes:
        body = bytearray()
        async for piece in answer.aiter_bytes():
            body += piece
            if len(body) > self._settings.max_document:
                raise BadDocumentError(f"a document of more than {self._settings.max_document} bytes")
        if answer.status_code >= 400 and b"MTConnectError" not in body[:2000]:
            raise BadDocumentError(f"HTTP status {answer.status_code}")
        return bytes(body)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _EXPECTED as error:
            raise faults.explain(error, self._settings) from error

    def _which(self, names: list[str]) -> DriverFaultError:
        wanted, offered = self._settings.device, ", ".join(names[:20]) or "none"
        said = f"no device {wanted!r}" if wanted is not None else f"{len(names)} devices"
        return DriverFaultError(
            "which_device",
            f"{self._settings.url}: the agent has {said}; it offers {offered}",
            f"Indiquer dans `device` la machine à lire ; l'agent propose : {offered}.",
            retry_after_s=10,
        )


__all__ = ["Agent", "AgentError"]
