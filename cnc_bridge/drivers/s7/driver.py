"""The S7 client: reads the mapped addresses every period, one request for each contiguous range; it never writes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import TypeAlias

from snap7.async_client import AsyncClient
from snap7.error import S7ConnectionError, S7Error, S7ProtocolError, S7TimeoutError
from snap7.type import Area

from cnc_bridge.drivers.s7.codec import decode
from cnc_bridge.drivers.s7.faults import lost, refusal
from cnc_bridge.drivers.s7.settings import Settings
from cnc_bridge.polling import PollingDriver
from cnc_bridge.port import Clock, DriverFaultError, Finding
from cnc_bridge.registers import BatchReader, Content, Piece, RefusedError, Span

_log = logging.getLogger(__name__)
_Answers: TypeAlias = tuple[dict[str, Content], dict[str, RefusedError]]
_AREAS = {"M": Area.MK, "I": Area.PE, "Q": Area.PA}
_CONNECTIONS = {"PG": 1, "OP": 2, "basic": 3}
_LONGEST = 200
"""Bytes in one request: the smallest controllers negotiate 240 with their headers."""


class ControllerDriver(PollingDriver):
    """A Siemens S7 controller, by its absolute addresses."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        _hush()

    async def _session(self) -> None:
        async with self._connected() as client:
            reader = self._reader()

            async def ask() -> _Answers:
                return await reader.read(lambda span: self._ask(client, span), self.clock.now().mono)

            await self._poll_forever(f"S7, {len(self.config.signals)} signals", ask, self._hand_on)

    def _reader(self) -> BatchReader:
        pieces = [
            Piece(name, source.place[0], source.place[1], source.size) for name, source in self.config.signals.items()
        ]
        return BatchReader(pieces, max_gap=self.config.max_gap, max_length=_LONGEST)

    def _hand_on(self, answers: _Answers) -> None:
        given, refused = answers
        received = self.clock.now()
        for name, content in given.items():
            source = self.config.signals[name]
            self._granted(name)
            self._take(name, source, decode(source, content), received)
        for name, error in refused.items():
            source = self.config.signals[name]
            self._refused(name, source, source.at, error)

    async def _ask(self, client: AsyncClient, span: Span) -> Content:
        """One request. Raises RefusedError for this span alone, DriverFaultError when the connection is lost."""
        area = _AREAS.get(span.area, Area.DB)
        block = int(span.area[2:]) if area is Area.DB else 0
        try:
            async with asyncio.timeout(self.config.timeout_s):
                content = await client.read_area(area, block, span.start, span.length)
        except (S7TimeoutError, S7ConnectionError, OSError) as error:
            raise lost(error, self.config, connecting=False) from error
        except S7ProtocolError as error:
            raise refusal(error, self.config) from error
        self._answered()
        return content

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncClient]:
        config = self.config
        client = AsyncClient()
        client.set_connection_type(_CONNECTIONS[config.connection])
        try:
            try:
                async with asyncio.timeout(config.timeout_s):
                    await client.connect(config.host, config.rack, config.slot, config.port)
            except S7ProtocolError as error:
                raise self._no_s7(error) from error
            except (S7Error, OSError) as error:
                raise lost(error, config, connecting=True) from error
            yield client
        finally:
            # a controller that hangs takes no goodbye: do not wait for it
            with contextlib.suppress(S7Error, OSError):
                async with asyncio.timeout(1):
                    await client.disconnect()

    def _no_s7(self, error: S7ProtocolError) -> DriverFaultError:
        fault = refusal(error, self.config)
        if isinstance(fault, DriverFaultError):
            return fault
        return DriverFaultError("protocol", f"{self.config.address}: {error}", "Réponse inattendue de l'automate.")

    async def greet(self) -> str:
        """The controller's name, after a handshake and nothing else. Raises DriverFaultError."""
        async with self._connected() as client:
            return await self._name(client)

    async def probe(self) -> list[Finding]:
        """The controller's name where it tells it, and the mapped addresses with their values."""
        async with self._connected() as client:
            name = await self._name(client)
            reader = self._reader()
            given, refused = await reader.read(lambda span: self._ask(client, span), self.clock.now().mono)
        found = [Finding("server", self.config.address, name)]
        for signal, source in self.config.signals.items():
            said = f"{decode(source, given[signal])!r:.80}" if signal in given else refused[signal].why
            found.append(Finding("signal", signal, f"{source.at} = {said}", signal in given))
        return found

    async def _name(self, client: AsyncClient) -> str:
        try:
            async with asyncio.timeout(self.config.timeout_s):
                told = await client.get_cpu_info()
            name = bytes(told.ModuleTypeName).split(b"\0", 1)[0].decode("latin-1").strip()
        except (S7ProtocolError, ValueError, AttributeError) as error:
            _log.info("%s does not tell its name: %s", self.config.address, error)
            name = ""
        except (S7Error, OSError) as error:
            raise lost(error, self.config, connecting=False) from error
        return name or "S7 controller"


def _hush() -> None:
    """The library tells each retry as a warning; what matters of it, this driver says in a sentence."""
    logger = logging.getLogger("snap7")
    if logger.level == logging.NOTSET and not _log.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.CRITICAL)
