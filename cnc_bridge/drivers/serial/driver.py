"""The serial client: asks a Haas its Q commands, or keeps a DNC line open for programmes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from cnc_bridge.drivers.serial.asking import ask, greet, illegible
from cnc_bridge.drivers.serial.haas import Answer, Garbled, Item, Splitter, Unknown, parse_query, request
from cnc_bridge.drivers.serial.rota import WATCH_S, Rota
from cnc_bridge.drivers.serial.settings import Settings
from cnc_bridge.port import Clock, Driver, DriverFaultError, Finding, NotAllowedError, ProgrammeFile
from cnc_bridge.serial_line import tape, transfer
from cnc_bridge.serial_line.line import Line, opened
from cnc_bridge.serial_line.sender import Progress
from cnc_bridge.settings import Source

MUTE_AFTER = 3
IDLE_LOOK_S = 0.2
READ_PRESSED_S = 120.0
"""How long a DC1 that came before the transfer was asked for still counts."""
_QUIET_BYTES = bytes([0, 10, 13, 17, 18, 19, 20, 37, 127])


class ControllerDriver(Driver):
    """One line. In `dnc` the state is not known (combine it with `gpio`); in `haas_mdc` no programme is carried."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        self._queries = {name: parse_query(source.query) for name, source in settings.signals.items()}
        self._line: Line | None = None
        self._transfer = asyncio.Lock()
        self._line_fault: DriverFaultError | None = None
        self._last_code = (b"", 0.0)
        """The last DC1 or DC3 that came while no transfer ran, and when."""
        self.progress: Progress | None = None
        """Of the transfer that runs, or of the last one."""

    async def _session(self) -> None:
        async with self._opened() as line:
            if self.config.dialect == "haas_mdc":
                await self._poll(line)
            else:
                await self._keep_open(line)

    def _opened(self) -> contextlib.AbstractAsyncContextManager[Line]:
        config = self.config
        return opened(config.device, config.host, config.port, config.line, config.connect_timeout_s)

    # -- Haas MDC

    async def _poll(self, line: Line) -> None:
        serial_number = await greet(line, self.config.answer_timeout_s)
        self._link_up(f"Haas MDC, serial number {serial_number}")
        now = time.monotonic()
        rota = Rota(self._periods(), now)
        splitter, deadline, damaged, garbled = Splitter(), now, 0, 0
        while True:
            now = time.monotonic()
            within = deadline - now
            if rota.asked is None:
                command, within = rota.next(now)
                if command is not None:
                    await line.write(request(command))
                    deadline = now + self.config.answer_timeout_s
                    within = self.config.answer_timeout_s
            data = await line.read(within)
            if line.errors.damaged > damaged:
                damaged = line.errors.damaged
                splitter.spoil()
            for item in splitter.feed(data):
                garbled += self._hear(item, rota)
            if rota.asked is not None and time.monotonic() >= deadline:
                self._given_up(rota.timed_out(time.monotonic()), "stays unanswered")
                if rota.unanswered >= MUTE_AFTER:
                    raise (
                        illegible(line.name, garbled + damaged, line.settings)
                        if garbled or damaged
                        else self._mute(rota.unanswered)
                    )

    def _periods(self) -> dict[str, float]:
        periods: dict[str, float] = {}
        for name, query in self._queries.items():
            period = self.config.signals[name].period_s or self.config.poll_s
            periods[query.command] = min(period, periods.get(query.command, period))
        return periods or {"Q100": self.config.poll_s}

    def _hear(self, item: Item, rota: Rota) -> bool:
        """Take one item; whether it was garbage."""
        if isinstance(item, Garbled):
            fault = illegible(self.config.address, item.size, self.config.line)
            self._problem("garbled_answer", "line", fault.message, fault.message_fr)
            return True
        now = time.monotonic()
        if isinstance(item, Unknown):
            self._heard()
            self._given_up(rota.refused(now), "is not known to this controller")
        elif isinstance(item, Answer):
            self._heard()
            command = rota.hear(item, now)
            if command is not None:
                self._values(command, item)
            elif rota.withheld * self.config.poll_s > WATCH_S:
                self._problem(
                    "another_client",
                    "macros",
                    f"{self.config.address}: another client asks too, and macro values come without their number",
                    "Un autre logiciel interroge aussi cette machine, qui ne nomme pas ses variables : charge et "
                    "vitesse de broche ne sont pas lues. N'en garder qu'un, ou retirer ces signaux.",
                )
        return False

    def _values(self, command: str, answer: Answer) -> None:
        received = self.clock.now()
        for name, query in self._queries.items():
            if query.command != command or query.part not in answer.values:
                continue
            self._solved("unknown_query", name)
            raw = answer.values[query.part]
            source = self.config.signals[name]
            self._value(name, source, raw.upper() if source.words else raw, None, received)

    def _given_up(self, command: str | None, why: str) -> None:
        received = self.clock.now()
        for name, query in self._queries.items():
            if query.command == command:
                self._value(name, self.config.signals[name], None, None, received)
                self._problem(
                    "unknown_query",
                    name,
                    f"{self.config.address}: ?{command} {why}; `{name}` cannot be read",
                    f"La machine ne répond pas à ?{command} : « {name} » n'est pas lu ; corriger ou vider ce signal.",
                )

    def _mute(self, unanswered: int) -> DriverFaultError:
        return DriverFaultError(
            "mute",
            f"{self.config.address}: {unanswered} questions in a row stay unanswered",
            "La machine ne répond plus aux questions : vérifier qu'elle est sous tension et que le câble est branché.",
        )

    # -- DNC

    async def _keep_open(self, line: Line) -> None:
        self._line, self._line_fault = line, None
        self._link_up(f"serial line {self.config.line.summary} open; whether the machine listens is not known")
        try:
            while True:
                await asyncio.sleep(IDLE_LOOK_S)
                if self._line_fault is not None:
                    raise self._line_fault
                if not self._transfer.locked():
                    self._overhear(line.read_now())
        finally:
            self._line = None

    def _overhear(self, data: bytes) -> None:
        """What the machine says while no transfer runs."""
        if not data:
            return
        self._alive()
        codes = bytes(byte & 0x7F for byte in data if byte & 0x7F in (tape.DC1, tape.DC3))
        if codes:
            self._last_code = (codes[-1:], time.monotonic())
        if data.strip(_QUIET_BYTES):
            self._problem(
                "not_awaited",
                "line",
                f"{self.config.address}: the machine sends while nobody receives ({len(data)} bytes dropped)",
                "La machine envoie un programme que personne n'attend : lancer d'abord la réception dans Copeau, "
                "puis PUNCH à la commande.",
            )

    @contextlib.asynccontextmanager
    async def _line_for_transfer(self) -> AsyncIterator[Line]:
        if self.config.dialect != "dnc":
            raise NotAllowedError(
                "MDC carries no programme; a line with dialect dnc does",
                'Cette liaison ne transporte pas de programme : configurer une ligne `dialect = "dnc"`.',
            )
        line = self._line
        if line is None:
            raise DriverFaultError(
                "not_connected",
                f"{self.config.address}: the line is not open",
                "La ligne série n'est pas ouverte : vérifier l'adaptateur et l'état de la liaison.",
            )
        if self._transfer.locked():
            raise DriverFaultError(
                "transfer_running",
                f"{self.config.address}: another transfer is running",
                "Un transfert est déjà en cours sur cette ligne : attendre sa fin.",
            )
        async with self._transfer:
            try:
                yield line
            except DriverFaultError as fault:
                if fault.code == "line_lost":
                    self._line_fault = fault
                raise

    async def _list_programmes(self) -> list[ProgrammeFile]:
        raise NotAllowedError(
            "a serial line cannot list the controller's programmes",
            "Une ligne série ne donne pas la liste des programmes : la lire à l'écran de la commande.",
        )

    async def _write_programme(self, name: str, content: bytes) -> None:
        """Returns when the last byte has left; the machine sends no receipt, read it back to be sure."""
        async with self._line_for_transfer() as line:
            self._same_number(name, content, "the file holds", "Le fichier contient")
            earlier, self._last_code = self._last_code, (b"", 0.0)
            asked = earlier[0] if time.monotonic() - earlier[1] < READ_PRESSED_S else b""
            done = await transfer.send(line, content, self.config.tape, self._say, earlier=asked)
            if done.heard:
                self._alive()
            if done.damaged:
                self._problem(
                    "damaged",
                    "line",
                    f"{self.config.address}: {done.damaged} characters of the machine came damaged during the transfer",
                    f"{done.damaged} caractères de la machine reçus abîmés pendant l'envoi : relire le programme, "
                    "vérifier la parité, la vitesse et le blindage du câble.",
                )

    async def _read_programme(self, name: str) -> bytes:
        """Waits for the operator's PUNCH at the machine."""
        async with self._line_for_transfer() as line:
            content = await transfer.receive(line, self.config.tape)
            self._alive()
            self._same_number(name, content, "the machine sent", "La machine a envoyé")
            return content

    def _alive(self) -> None:
        """The machine said something: it is on. More is not known of it on a DNC line."""
        self._value("availability", Source(), "AVAILABLE", None, self.clock.now())

    def _say(self, progress: Progress) -> None:
        self.progress = progress

    def _same_number(self, name: str, content: bytes, what: str, what_fr: str) -> None:
        named, found = tape.programme_number(name.encode("utf-8", "replace")), tape.programme_number(content)
        if named is not None and found is not None and named != found:
            raise DriverFaultError(
                "no_programme",
                f"{name} was meant, {what} O{found:04d}",
                f"{what_fr} O{found:04d} au lieu de {name} : choisir le bon programme et recommencer.",
            )

    # -- both

    async def probe(self) -> list[Finding]:
        """A Haas: its number, model, software and each signal once. DNC: that the port opens; more cannot be known."""
        config = self.config
        async with self._opened() as line:
            if config.dialect == "dnc":
                opened_as = Finding("server", config.address, f"line opens at {config.line.summary}")
                return [opened_as, Finding("note", "dnc", "a DNC line says nothing until a transfer runs")]
            findings = [Finding("server", config.address, f"Haas {await greet(line, config.answer_timeout_s)}")]
            heard: dict[str, Answer | None] = {}
            for command in ("Q102", "Q101", *self._periods()):
                heard[command] = await ask(line, command, config.answer_timeout_s)
        for command, name in (("Q102", "model"), ("Q101", "software")):
            answer = heard[command]
            if answer is not None:
                findings.append(Finding("node", name, answer.values["value"]))
        busy = (found := heard.get("Q500")) is not None and found.values["status"] == "BUSY"
        for name, query in self._queries.items():
            answer = heard[query.command]
            value = answer.values.get(query.part) if answer else None
            told = "not told while the machine works" if busy and query.command == "Q500" else "not answered"
            there = value is not None or (busy and query.command == "Q500")
            findings.append(Finding("signal", name, f"{query.command} = {told if value is None else value}", there))
        return findings
