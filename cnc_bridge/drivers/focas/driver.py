"""The FOCAS client: asks for everything in one frame each period. It knows no writing function."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from cnc_bridge.drivers.focas import places, wire
from cnc_bridge.drivers.focas.settings import Settings
from cnc_bridge.polling import PollingDriver, cannot_connect
from cnc_bridge.port import Clock, Condition, DriverFaultError, Finding
from cnc_bridge.registers import RefusedError

_SERVICE, _SERVICE_FR = "the FOCAS server", "la fonction FOCAS Ethernet (port TCP, 8193 d'usine)"
_AT_ONCE = 16
"""Questions in one frame."""
_LONGEST_ANSWER = 16_384


class _Answers(NamedTuple):
    by_request: dict[wire.Request, wire.Reply]
    alarms: set[tuple[str, str, str]] | None
    """(type, number, text); None where they are not read."""


class ControllerDriver(PollingDriver):
    """A Fanuc controller."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        self._active: set[tuple[str, str, str]] = set()

    async def _session(self) -> None:
        async with self._connected() as line:
            system = await self._system(line)
            self._active = set()

            async def ask() -> _Answers:
                return await self._all(line)

            await self._poll_forever(f"FOCAS, {system}", ask, self._hand_on)

    async def _system(self, line: _Line) -> str:
        (reply,) = await line.ask([places.SYSTEM])
        if reply.error or len(reply.data) < 18:
            return "Fanuc"
        series = [reply.data[at:end].decode("latin-1").strip("\0 ") for at, end in ((4, 6), (6, 8), (8, 12), (12, 16))]
        return f"Fanuc {' '.join(part for part in series if part)}"

    async def _all(self, line: _Line) -> _Answers:
        wanted = dict.fromkeys(places.request(source.at) for source in self.config.signals.values())
        if self.config.alarms:
            wanted[places.ALARMS] = None
        by_request = await line.ask_all(list(wanted))
        return _Answers(by_request, await self._alarms(line, by_request.get(places.ALARMS)))

    async def _alarms(self, line: _Line, status: wire.Reply | None) -> set[tuple[str, str, str]] | None:
        if status is None or status.error or len(status.data) < 4:
            return None
        mask = int.from_bytes(status.data[:4], "big")
        if mask == 0:
            return set()
        bits = [bit for bit in range(32) if mask >> bit & 1]
        details = await line.ask_all([places.messages_of(bit) for bit in bits])
        return {
            (_type(bit), number, text)
            for bit in bits
            for number, text in places.messages(bit, details[places.messages_of(bit)])
        }

    def _hand_on(self, answers: _Answers) -> None:
        received = self.clock.now()
        if answers.alarms is not None:  # before the state that they explain
            for kind, number, text in answers.alarms - self._active:
                self._stream.put(Condition(kind, "FAULT", number, text, None, received))
        for name, source in self.config.signals.items():
            try:
                raw = places.value(source.at, answers.by_request[places.request(source.at)])
            except RefusedError as error:
                self._refused(name, source, source.at, error)
            else:
                self._granted(name)
                self._take(name, source, raw, received)
        if answers.alarms is not None:
            for kind, number, _ in self._active - answers.alarms:
                self._stream.put(Condition(kind, "NORMAL", number, "", None, received))
            self._active = answers.alarms

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Line]:
        config = self.config
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(config.timeout_s):
                reader, writer = await asyncio.open_connection(config.host, config.port)
            line = _Line(reader, writer, config)
            await line.open()
            yield line
        except (OSError, asyncio.IncompleteReadError) as error:
            cause = ConnectionResetError() if isinstance(error, asyncio.IncompleteReadError) else error
            raise cannot_connect(cause, config, config.host, config.port, _SERVICE, _SERVICE_FR) from error
        except wire.WireError as error:
            raise DriverFaultError(
                "garbage",
                f"{config.address}: {error}",
                "La machine répond, mais pas en FOCAS : vérifier que ce port est bien celui de FOCAS (8193 d'usine).",
            ) from error
        finally:
            if writer is not None:
                # a session that is not given back stays taken in the controller, which has few
                with contextlib.suppress(OSError):
                    writer.writelines([wire.frame(wire.CLOSE)])
                writer.close()
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await writer.wait_closed()

    async def probe(self) -> list[Finding]:
        """The controller's series, each place with its value, and the alarms that are active."""
        async with self._connected() as line:
            system = await self._system(line)
            answers = await self._all(line)
        found = [Finding("server", self.config.address, system)]
        for name, source in self.config.signals.items():
            try:
                raw = places.value(source.at, answers.by_request[places.request(source.at)])
                found.append(Finding("signal", name, f"{source.at} = {raw!r:.80}"))
            except RefusedError as error:
                found.append(Finding("signal", name, f"{source.at}: {error.why}", ok=False))
        found += [Finding("note", number, text) for _, number, text in sorted(answers.alarms or ())]
        return found


class _Line:
    """One open session. Every answer is awaited for `timeout_s` at most."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, config: Settings) -> None:
        self._reader = reader
        self._writer = writer
        self._config = config

    async def open(self) -> None:
        kind, _ = await self._exchange(wire.frame(wire.OPEN, b"\x00\x02"))
        if kind == wire.REFUSED:
            raise DriverFaultError(
                "too_many_sessions",
                f"{self._config.address}: the controller has no free FOCAS session",
                "La commande n'a plus de session FOCAS libre : fermer un autre logiciel qui la lit, ou attendre "
                "qu'elle libère les anciennes.",
                retry_after_s=10,
            )
        if kind != wire.OPENED:
            raise wire.WireError(f"type {kind:04x} where an opening is answered")

    async def ask_all(self, requests: Sequence[wire.Request]) -> dict[wire.Request, wire.Reply]:
        found: dict[wire.Request, wire.Reply] = {}
        for at in range(0, len(requests), _AT_ONCE):
            some = requests[at : at + _AT_ONCE]
            found |= dict(zip(some, await self.ask(some), strict=True))
        return found

    async def ask(self, requests: Sequence[wire.Request]) -> list[wire.Reply]:
        kind, payload = await self._exchange(wire.ask(requests))
        if kind != wire.ANSWER:
            raise wire.WireError(f"type {kind:04x} where an answer is expected")
        return wire.replies(payload, requests)

    async def _exchange(self, data: bytes) -> tuple[int, bytes]:
        async with asyncio.timeout(self._config.timeout_s):
            self._writer.writelines([data])
            await self._writer.drain()
            kind, length = wire.header(await self._reader.readexactly(wire.HEADER))
            if length > _LONGEST_ANSWER:
                raise wire.WireError(f"a frame of {length} bytes")
            return kind, await self._reader.readexactly(length)


def _type(bit: int) -> str:
    return places.ALARM_TYPES[bit] if bit < len(places.ALARM_TYPES) and places.ALARM_TYPES[bit] else f"type {bit}"
