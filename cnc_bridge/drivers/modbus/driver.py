"""The Modbus client: asks for the mapped registers every period, neighbours in one request; it never writes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import termios
from collections.abc import AsyncIterator, Awaitable
from typing import TypeAlias

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.framer import FramerType
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from cnc_bridge.drivers.modbus.codec import decode
from cnc_bridge.drivers.modbus.faults import BUSY, SERVICE, SERVICE_FR, refusal
from cnc_bridge.drivers.modbus.settings import Settings
from cnc_bridge.polling import PollingDriver, why_unreachable
from cnc_bridge.port import Clock, DriverFaultError, Finding
from cnc_bridge.registers import BatchReader, Content, Piece, RefusedError, Span

_Client: TypeAlias = AsyncModbusTcpClient | AsyncModbusSerialClient
_log = logging.getLogger(__name__)
_BUSY_TRIES, _BUSY_PAUSE_S = 3, 0.2
_Answers: TypeAlias = tuple[dict[str, Content], dict[str, RefusedError]]


class ControllerDriver(PollingDriver):
    """A Modbus device on the network or on a serial line."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        _hush()
        self._bytes_heard = 0
        """Since the last request was sent: an answer that is no Modbus is told from silence."""

    async def _session(self) -> None:
        async with self._connected() as client:
            reader = self._reader()

            async def ask() -> _Answers:
                return await reader.read(lambda span: self._ask(client, span), self.clock.now().mono)

            await self._poll_forever(f"Modbus, {len(self.config.signals)} signals", ask, self._hand_on)

    def _reader(self) -> BatchReader:
        pieces = [
            Piece(name, source.place[0], source.place[1], source.units) for name, source in self.config.signals.items()
        ]
        return BatchReader(pieces, max_gap=self.config.max_gap, max_length=self.config.max_registers)

    def _hand_on(self, answers: _Answers) -> None:
        given, refused = answers
        received = self.clock.now()
        for name, content in given.items():
            source = self.config.signals[name]
            self._granted(name)
            self._take(name, source, decode(source, content), received)
        for name, error in refused.items():
            source = self.config.signals[name]
            self._refused(name, source, source.said, error)

    async def _ask(self, client: _Client, span: Span) -> Content:
        """One request. Raises RefusedError for this span alone, DriverFaultError when the line is lost."""
        self._bytes_heard = 0
        try:
            answer = await _request(client, span, self.config.device_id)
            for _ in range(_BUSY_TRIES):
                if not isinstance(answer, ExceptionResponse) or answer.exception_code not in BUSY:
                    break
                await asyncio.sleep(_BUSY_PAUSE_S)
                answer = await _request(client, span, self.config.device_id)
        except ConnectionException as error:
            raise self._closed() from error
        except (ModbusIOException, ModbusException) as error:
            raise self._mute(client, error) from error
        self._answered()
        if isinstance(answer, ExceptionResponse):
            raise refusal(answer.exception_code, self.config)
        content = answer.bits if span.area in ("coil", "discrete") else answer.registers
        return [int(unit) for unit in content]

    def _mute(self, client: _Client, error: Exception) -> DriverFaultError:
        where, bound = self.config.address, self.config.timeout_s
        if not client.connected and self.config.device is None:
            return self._closed()
        if self._bytes_heard:
            return DriverFaultError(
                "garbage",
                f"{where}: {self._bytes_heard} bytes came that are no Modbus answer ({error})",
                "La machine répond, mais pas en Modbus : vérifier le port, `framing` (tcp ou rtu), "
                "et sur une ligne série la vitesse et la parité.",
            )
        return DriverFaultError(
            "no_answer",
            f"{where}: no answer of unit {self.config.device_id} within {bound:g} s",
            f"Pas de réponse de l'appareil n° {self.config.device_id} : vérifier `device_id`, qu'il est sous tension "
            "et, sur une ligne série, le câblage A/B, la vitesse et la parité.",
        )

    def _closed(self) -> DriverFaultError:
        return DriverFaultError(
            "closed",
            f"{self.config.address}: the connection was closed",
            "La machine a fermé la connexion Modbus : elle redémarre, ou n'accepte qu'un client à la fois.",
        )

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Client]:
        config = self.config
        client = self._client()
        try:
            if not await self._opened(client):
                if config.host is not None:
                    await why_unreachable(config, config.host, config.port, SERVICE, SERVICE_FR)
                raise self._not_opened()
            yield client
        finally:
            client.close()

    async def _opened(self, client: _Client) -> bool:
        try:
            return await client.connect()
        except (termios.error, ValueError) as error:  # pyserial lets these through
            raise DriverFaultError(
                "line_settings",
                f"{self.config.address}: the serial port does not take {self.config.baud} baud, "
                f"parity {self.config.parity}: {error}",
                f"Le port série n'accepte pas {self.config.baud} bauds, parité {self.config.parity} : "
                "corriger `baud`, `parity` et `stop_bits` comme sur l'appareil.",
                retry_after_s=30,
            ) from error

    def _not_opened(self) -> DriverFaultError:
        if self.config.device is None:
            return self._closed()
        return DriverFaultError(
            "no_device",
            f"{self.config.address}: the serial port cannot be opened",
            f"Le port série « {self.config.device} » ne s'ouvre pas : vérifier le câble USB, le nom du port, "
            "et que l'agent est dans le groupe « dialout ».",
        )

    def _client(self) -> _Client:
        config = self.config

        def count(sending: bool, data: bytes) -> bytes:
            if not sending:
                self._bytes_heard += len(data)
            return data

        if config.host is not None:
            framer = FramerType.SOCKET if config.framing == "tcp" else FramerType.RTU
            return AsyncModbusTcpClient(
                config.host,
                port=config.port,
                framer=framer,
                timeout=config.timeout_s,
                retries=0,
                reconnect_delay=0,
                trace_packet=count,
            )
        assert config.device is not None
        return AsyncModbusSerialClient(
            config.device,
            framer=FramerType.RTU,
            baudrate=config.baud,
            parity=config.parity,
            stopbits=config.stop_bits,
            timeout=config.timeout_s,
            retries=1,  # a line in a workshop loses a frame now and then
            reconnect_delay=0,
            trace_packet=count,
        )

    async def probe(self) -> list[Finding]:
        """The mapped registers with their values, and how many requests a reading takes."""
        async with self._connected() as client:
            requests = 0

            async def ask(span: Span) -> Content:
                nonlocal requests
                requests += 1
                return await self._ask(client, span)

            reader = self._reader()
            given, refused = await reader.read(ask, self.clock.now().mono)
        found = [Finding("server", self.config.address, "Modbus"), Finding("note", "requests", f"{requests} a reading")]
        for name, source in self.config.signals.items():
            said = f"{decode(source, given[name])!r:.80}" if name in given else refused[name].why
            found.append(Finding("signal", name, f"{source.said} = {said}", name in given))
        return found


def _hush() -> None:
    """The library tells each time-out as an error; what matters of it, this driver says in a sentence."""
    logger = logging.getLogger("pymodbus.logging")
    if logger.level == logging.NOTSET and not _log.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.CRITICAL)


def _request(client: _Client, span: Span, device_id: int) -> Awaitable[ModbusPDU]:
    read = {
        "coil": client.read_coils,
        "discrete": client.read_discrete_inputs,
        "input": client.read_input_registers,
        "holding": client.read_holding_registers,
    }[span.area]
    return read(span.start, count=span.length, device_id=device_id)
