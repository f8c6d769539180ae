"""The SHDR client: listens to an adapter, and asks for a heartbeat so that a dead line is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from cnc_bridge.drivers.shdr.lines import (
    Command,
    ConditionLine,
    Garbage,
    Item,
    LineSplitter,
    Observation,
    Parser,
    Series,
    data_set,
)
from cnc_bridge.drivers.shdr.settings import Settings
from cnc_bridge.port import Clock, Condition, Driver, DriverFaultError, Finding, Moment

PROBE_S = 3.0
UNACKNOWLEDGED_MS = 10_000


class ControllerDriver(Driver):
    """An SHDR adapter. It sends everything it knows on connection, then only changes."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        self._by_key: dict[str, list[str]] = {}
        for name, source in settings.signals.items():
            self._by_key.setdefault(source.key, []).append(name)
        self._answers_ping = False
        """Whether this adapter has ever said PONG: then its silence on a new connection means something."""
        self.garbage = 0
        """Lines, or ends of lines, that were no SHDR, since the driver was made."""
        self.observations = 0
        """Observations and conditions heard, mapped or not, since the driver was made."""

    async def _session(self) -> None:
        async with self._connected() as (reader, writer):
            splitter, parser = LineSplitter(self.config.max_line), self._parser()
            heartbeat = _Heartbeat(self.config.heartbeat_s, answered=self._answers_ping)
            waiting_since = asyncio.get_running_loop().time()
            greeted = False
            while True:
                loop_now = asyncio.get_running_loop().time()
                if heartbeat.due(loop_now):
                    writer.write(b"* PING\n")
                    self._judge_heartbeat(heartbeat)
                try:
                    async with asyncio.timeout(heartbeat.interval / 2):
                        data = await reader.read(65_536)
                except TimeoutError:
                    if reader.exception() is not None:
                        raise  # the network's own time-out, not ours
                    quiet = asyncio.get_running_loop().time() - waiting_since
                    if not greeted and quiet > self.config.connect_timeout_s:
                        raise self._mute(quiet) from None
                    if heartbeat.answered and quiet > heartbeat.patience:
                        raise self._heartbeat_lost(quiet) from None
                    continue
                if not data:
                    raise DriverFaultError(
                        "closed",
                        f"{self.config.address}: the adapter closed the connection",
                        "L'adaptateur de la machine a fermé la connexion : "
                        "il redémarre, ou n'accepte qu'un client à la fois.",
                    )
                waiting_since = asyncio.get_running_loop().time()
                if not greeted:
                    greeted = True
                    self._link_up("SHDR adapter")
                self._take(splitter, parser, data, heartbeat)

    def _judge_heartbeat(self, heartbeat: _Heartbeat) -> None:
        if heartbeat.answered:
            self._solved("no_heartbeat", "heartbeat")
        elif heartbeat.sent > 3:
            self._problem(
                "no_heartbeat",
                "heartbeat",
                f"{self.config.address}: the adapter does not answer PING; an idle machine will look silent",
                "L'adaptateur ne répond pas aux PING : une machine au repos paraîtra « sans nouvelles ». "
                "Mettre l'adaptateur à jour, ou augmenter `machine.stale_after_s`.",
            )

    def _take(self, splitter: LineSplitter, parser: Parser, data: bytes, heartbeat: _Heartbeat) -> None:
        before = splitter.too_long
        received = self.clock.now()
        for line in splitter.feed(data):
            for item in parser.parse(line):
                self._item(item, received, heartbeat)
        for _ in range(splitter.too_long - before):
            self._refuse(f"a line longer than {self.config.max_line} bytes")
        self._heard()

    def _item(self, item: Item, received: Moment, heartbeat: _Heartbeat) -> None:
        if isinstance(item, Observation):
            self.observations += 1
            for name in self._by_key.get(item.key, ()):
                self._observed(name, item, received)
        elif isinstance(item, Series):
            self.observations += 1
            for name in self._by_key.get(item.key, ()):
                for time, value in item.samples():
                    self._value(name, self.config.signals[name], value, time, received)
        elif isinstance(item, ConditionLine):
            self.observations += 1
            text = item.text or item.qualifier
            self._stream.put(Condition(item.key, item.level, item.code, text[:2000], item.time, received))
        elif isinstance(item, Command):
            heartbeat.hear(item.text)
            self._answers_ping = heartbeat.answered
        elif isinstance(item, Garbage):
            self._refuse(item.why)

    def _observed(self, name: str, item: Observation, received: Moment) -> None:
        source = self.config.signals[name]
        value: str | None = item.value
        if source.entry is not None and value is not None and value.upper() != "UNAVAILABLE":
            entries = data_set(value)
            if source.entry not in entries and not item.reset:
                return  # a data set sends only the entries that changed
            value = entries.get(source.entry)
        self._value(name, source, value, item.time, received)

    def _parser(self) -> Parser:
        return Parser(self.config.conditions, self.config.device, self.config.series)

    def _refuse(self, why: str) -> None:
        self.garbage += 1
        self._problem(
            "garbage",
            "lines",
            f"{self.config.address}: unreadable line, {why} ({self.garbage} so far)",
            "La machine envoie des lignes illisibles : vérifier que ce port est bien celui de l'adaptateur MTConnect.",
        )

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        where = self.config.address
        try:
            async with asyncio.timeout(self.config.connect_timeout_s):
                reader, writer = await asyncio.open_connection(self.config.host, self.config.port)
        except socket.gaierror as error:
            raise DriverFaultError(
                "unknown_host",
                f"{where}: no such host on this network ({error.strerror})",
                f"Adresse inconnue « {self.config.host} » : vérifier `host`, ou mettre l'adresse IP de la machine.",
            ) from error
        except ConnectionRefusedError as error:
            raise DriverFaultError(
                "refused",
                f"{where}: nothing listens on this port",
                f"Rien n'écoute sur le port {self.config.port} : démarrer l'adaptateur MTConnect de la machine, "
                "ou corriger `port`.",
            ) from error
        except TimeoutError as error:
            raise DriverFaultError(
                "no_answer",
                f"{where}: no answer within {self.config.connect_timeout_s:g} s",
                "La machine ne répond pas : vérifier qu'elle est sous tension et que son câble réseau est branché.",
            ) from error
        except OSError as error:
            raise DriverFaultError(
                "unreachable",
                f"{where}: cannot be reached ({error.strerror or error})",
                "Machine injoignable : vérifier le câble, le commutateur et l'adresse.",
            ) from error
        # a PING that nobody's network acknowledges ends the connection, also when no PONG was ever heard (Linux)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        try:
            yield reader, writer
        except (ConnectionError, TimeoutError) as error:
            raise DriverFaultError(
                "closed", f"{where}: connection lost ({error.strerror or error})", "Connexion avec la machine coupée."
            ) from error
        finally:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await writer.wait_closed()

    def _mute(self, quiet: float) -> DriverFaultError:
        return DriverFaultError(
            "mute",
            f"{self.config.address}: connected, but not a byte in {quiet:.0f} s",
            "Le port répond mais n'envoie rien : l'adaptateur est figé, ou ce n'est pas un adaptateur MTConnect. "
            "Le redémarrer.",
        )

    def _heartbeat_lost(self, quiet: float) -> DriverFaultError:
        return DriverFaultError(
            "heartbeat_lost",
            f"{self.config.address}: no heartbeat for {quiet:.1f} s",
            "L'adaptateur de la machine ne répond plus : vérifier la machine et le réseau.",
        )

    async def probe(self) -> list[Finding]:
        """The keys seen in the first 3 s, with their first values, and what the mapping misses."""
        parser, splitter = self._parser(), LineSplitter(self.config.max_line)
        items: list[Item] = []
        async with self._connected() as (reader, writer):
            writer.write(b"* PING\n")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_S):
                    while data := await reader.read(65_536):
                        items += [item for line in splitter.feed(data) for item in parser.parse(line)]
        if not items:
            raise self._mute(PROBE_S)
        return [Finding("server", self.config.address, "SHDR adapter"), *self._findings(items)]

    def _findings(self, items: Iterable[Item]) -> list[Finding]:
        values: dict[str, str] = {}
        found: list[Finding] = []
        counts: Counter[str] = Counter()
        for item in items:
            if isinstance(item, Observation):
                values[item.key] = item.value
            elif isinstance(item, Series):
                values[item.key] = f"{len(item.values)} values at {item.rate or 0:g} Hz"
            elif isinstance(item, ConditionLine):
                values[item.key] = f"condition {item.level}"
            elif isinstance(item, Command) and item.text.startswith("PONG"):
                found.append(Finding("heartbeat", "PONG", f"{item.text[4:].strip()} ms"))
            counts[type(item).__name__] += 1
        for name, source in self.config.signals.items():
            seen = source.key in values
            found.append(Finding("signal", name, f"{source.key} = {values.get(source.key, 'not seen')}", seen))
        mapped = {source.key for source in self.config.signals.values()}
        found += [Finding("key", key, value[:80]) for key, value in sorted(values.items()) if key not in mapped]
        if counts["Garbage"]:
            found.append(Finding("note", "garbage", f"{counts['Garbage']} unreadable lines", ok=False))
        return found


class _Heartbeat:
    """When to PING, and how long to wait for a sign of life. An adapter that never says PONG is not judged by it."""

    def __init__(self, longest: float, *, answered: bool) -> None:
        self.interval = longest
        self.answered = answered
        self.sent = 0
        self._next = 0.0

    @property
    def patience(self) -> float:
        return 2 * self.interval + 0.5

    def due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + self.interval
        self.sent += 1
        return True

    def hear(self, command: str) -> None:
        word, _, period = command.partition(" ")
        if word != "PONG":
            return
        self.answered = True
        with contextlib.suppress(ValueError):
            self.interval = max(0.1, min(self.interval, float(period) / 1000))
