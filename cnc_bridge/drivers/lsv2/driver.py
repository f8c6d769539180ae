"""The LSV/2 driver: state, programme, tool, overrides, messages, PLC memory; programmes both ways where allowed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from pyLSV2.const import Login

from cnc_bridge.blocking import Worker
from cnc_bridge.drivers.lsv2.faults import explain, explain_programme
from cnc_bridge.drivers.lsv2.line import Line, Message, ProgrammeError, Reading
from cnc_bridge.drivers.lsv2.settings import Settings
from cnc_bridge.polling import PollingDriver
from cnc_bridge.port import Clock, Condition, DriverFaultError, Finding, ProgrammeFile
from cnc_bridge.registers import RefusedError

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_TRANSFER_S = 120.0


class ControllerDriver(PollingDriver):
    """A Heidenhain controller. Programmes go over a connection of their own: reading the state never waits for them."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        self._active: set[Message] = set()
        _hush()

    async def _session(self) -> None:
        async with self._connected() as (line, worker):
            self._active = set()

            async def ask() -> Reading:
                return await self._in(worker, self._reading(line))

            await self._poll_forever(f"LSV/2, {line.name}", ask, self._hand_on)

    def _reading(self, line: Line) -> Callable[[], Reading]:
        places = list(dict.fromkeys(source.at for source in self.config.signals.values()))
        return lambda: line.read(places, messages=self.config.messages)

    def _hand_on(self, reading: Reading) -> None:
        received = self.clock.now()
        for message in reading.messages - self._active:  # before the state that they explain
            self._stream.put(Condition("messages", message.level, message.code, message.text, None, received))
        for name, source in self.config.signals.items():
            value = reading.values[source.at]
            if isinstance(value, RefusedError):
                self._refused(name, source, source.at, value)
            else:
                self._granted(name)
                self._take(name, source, value, received)
        gone = {message.code for message in self._active} - {message.code for message in reading.messages}
        for code in gone:
            self._stream.put(Condition("messages", "NORMAL", code, "", None, received))
        self._active = reading.messages

    async def _in(self, worker: Worker, function: Callable[[], _T], within_s: float | None = None) -> _T:
        try:
            return await worker.call(function, within_s or self.config.timeout_s)
        except (DriverFaultError, ProgrammeError):
            raise
        except Exception as error:  # the library raises what it likes, bare Exception too
            raise explain(error, self.config) from error

    @contextlib.asynccontextmanager
    async def _connected(self, logins: tuple[Login, ...] = (Login.DNC,)) -> AsyncIterator[tuple[Line, Worker]]:
        config = self.config
        password = config.plc_password.get_secret_value() if config.plc_password else None
        line = Line(config.host, config.port, config.timeout_s, password)
        worker = Worker(f"lsv2 {config.address}", line.abandon)
        is_open = False
        try:
            await self._in(worker, lambda: line.open(logins), 2 * config.timeout_s)
            is_open = True
            yield line, worker
        finally:
            if is_open:  # a connection that is not given back stays taken; a controller that hangs takes no goodbye
                with contextlib.suppress(TimeoutError):
                    await worker.call(line.close, 0.5)
            worker.close()

    async def probe(self) -> list[Finding]:
        """The controller's name and software, each place with its value, and the pending messages."""
        async with self._connected() as (line, worker):
            reading = await self._in(worker, self._reading(line))
        found = [Finding("server", self.config.address, line.name or "LSV/2")]
        for name, source in self.config.signals.items():
            value = reading.values[source.at]
            ok = not isinstance(value, RefusedError)
            found.append(Finding("signal", name, f"{source.at} = {value!r:.80}" if ok else f"{source.at}: {value}", ok))
        return found + [Finding("note", message.code, message.text) for message in sorted(reading.messages)]

    async def _list_programmes(self) -> list[ProgrammeFile]:
        return await self._transfer(lambda line: line.list_programmes(self.config.folder))

    async def _read_programme(self, name: str) -> bytes:
        return await self._transfer(lambda line: line.read_programme(self.config.folder, name))

    async def _write_programme(self, name: str, content: bytes) -> None:
        await self._transfer(lambda line: line.write_programme(self.config.folder, name, content))

    async def _transfer(self, work: Callable[[Line], _T]) -> _T:
        async with self._connected((Login.DNC, Login.FILETRANSFER)) as (line, worker):
            try:
                return await self._in(worker, lambda: work(line), _TRANSFER_S)
            except ProgrammeError as error:
                raise explain_programme(error, self.config) from error


def _hush() -> None:
    """The library tells each refusal as a warning; what matters of it, this driver says in a sentence."""
    for name in ("LSV2 Client", "LSV2 TCP"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET and not _log.isEnabledFor(logging.DEBUG):
            logger.setLevel(logging.CRITICAL)
