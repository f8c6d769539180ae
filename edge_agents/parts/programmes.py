"""CN programmes of one machine: sent and read on command, watched for changes made there, whole after a power cut.

The text never travels over MQTT: it is fetched from, or brought to, the centre's HTTP under its SHA-256. Before the
first byte goes to the machine, the new text and the one that lay there are on this agent's disk, so that what a power
cut left half written is made whole by the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from cnc_bridge import programmes as transfer
from cnc_bridge.follow import Following
from cnc_bridge.port import Driver, DriverFaultError, NotAllowedError, ProgrammeFile
from cnc_bridge.programmes import Former, Outcome
from contracts import programmes as texts
from contracts.control import ReadProgramme, SendProgramme
from contracts.facts import ProgrammeTransferred
from edge_agents.centre_http import CentreHttp, CentreUnavailableError
from edge_agents.commands import CommandRefusedError
from edge_agents.files import write_durably
from edge_agents.outbox import Fact, OutboxError
from edge_agents.supervisor import Desk

_log = logging.getLogger(__name__)

_REPAIR_AT_MOST_S: Final = 3600.0
_READ_AGAIN: Final = timedelta(minutes=15)
"""A controller that tells neither size nor date of its programmes is read this often, not at each look."""


_EVENTS: Final[dict[transfer.Result, Literal["sent", "refused"]]] = {
    "sent": "sent", "already": "sent", "unread": "sent", "broken": "sent", "restored": "refused", "refused": "refused",
}  # fmt: skip
_SAME: Final[dict[transfer.Result, bool | None]] = {
    "sent": True, "already": True, "unread": None, "broken": False, "restored": False, "refused": None,
}  # fmt: skip


class Exchange(NamedTuple):
    """The centre's HTTP address, and how often the machine's memory is looked at for changes."""

    http: str = "http://127.0.0.1:8000"
    every_s: float = 60.0
    ca: Path | None = None
    """Of a centre whose certificate the shop made itself."""
    identity: Path | None = None
    """This agent's key and certificate, PEM."""


class TextUnavailableError(Exception):
    """The centre did not give, or take, a text. The text of the error is French."""


class _Intent(msgspec.Struct, frozen=True):
    """What was being written into the machine; beside it on disk the texts `new` and, when there was one, `former`."""

    name: str
    sha256: str
    had_former: bool
    command: str | None = None
    person: str | None = None


class _Seen(msgspec.Struct, frozen=True):
    """A programme as last known in the machine. `size` and `changed` as its list told them."""

    fingerprint: str
    size: int | None = None
    changed: datetime | None = None
    read_at: datetime | None = None


class _Journal:
    """One sending under way, on disk. The intent is the last to come and the first to go."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, intent: _Intent, new: bytes, former: bytes | None) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._folder / "new", new)
        write_durably(self._folder / "former", former or b"")
        write_durably(self._folder / "intent.json", msgspec.json.encode(intent))

    def unfinished(self) -> tuple[_Intent, bytes, Former] | None:
        try:
            intent = msgspec.json.decode((self._folder / "intent.json").read_bytes(), type=_Intent)
            former = (self._folder / "former").read_bytes() if intent.had_former else None
            new = (self._folder / "new").read_bytes()
            # cut while the next sending was noted: that one had not begun, and the one before had ended
            return None if texts.sha256(new) != intent.sha256 else (intent, new, Former(former))
        except FileNotFoundError:
            return None

    def end(self) -> None:
        (self._folder / "intent.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder, ignore_errors=True)


class Programmes:
    """The programmes of one open machine."""

    def __init__(
        self,
        machine: str,
        driver: Driver,
        following: Following,
        desk: Desk,
        exchange: Exchange,
        on_changed: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """`on_changed` is told the name of each programme whose text in the machine is another one from now on."""
        self._on_changed = on_changed
        self._machine = machine
        self._driver = driver
        self._following = following
        self._desk = desk
        self._centre = _Centre(exchange)
        self._every_s = exchange.every_s
        self._cursor = f"programmes:{machine}"
        outbox = desk.outbox.path
        self._journal = _Journal(outbox.parent / f"{outbox.stem}-programmes" / machine)
        self._known: dict[str, _Seen] | None = None
        self._turn = asyncio.Lock()
        self._vain = 0
        """Repairs in a row after which the machine held yet another text: its memory is not written without end."""

    async def obey(self, command: SendProgramme | ReadProgramme) -> str:
        """Do it; what came of it, in French. Raises CommandRefusedError, OutboxError."""
        async with self._turn:
            if isinstance(command, SendProgramme):
                return await self._send(command)
            return await self._read(command)

    async def watch(self) -> None:
        """Make whole what a power cut left, then look for changes, until cancelled."""
        if "programme" not in self._driver.settings.allow:
            return
        await self._say_unfinished()
        if transfer.attended(self._driver):
            return  # nothing is read there without a person at the controller
        while True:
            pause = self._every_s
            try:
                async with self._turn:
                    if await self._recovered():
                        await self._look()
                    else:
                        pause = self._until_next_repair()
            except (DriverFaultError, NotAllowedError, TextUnavailableError, OutboxError, OSError) as error:
                _log.warning("%s: programmes not looked at: %s", self._machine, error)
            except Exception:  # noqa: BLE001 - the next look may do better; the machine goes on being read meanwhile
                _log.exception("%s: looking at its programmes failed", self._machine)
            await asyncio.sleep(pause)

    def _until_next_repair(self) -> float:
        """Soon where the machine only has to answer; ever later where it keeps another text than what is written."""
        return min(self._every_s * 2**self._vain, _REPAIR_AT_MOST_S) if self._vain else min(2.0, self._every_s)

    # on command

    async def _send(self, command: SendProgramme) -> str:
        refusal = transfer.why_not_now(self._following.current, is_attended=transfer.attended(self._driver))
        if refusal is None and command.size > texts.MAX_BYTES:
            refusal = f"Le programme fait {command.size / 1e6:.0f} Mo : {texts.MAX_BYTES // 2**20} Mo au plus."
        if refusal is not None:
            return await self._tell(command, Outcome("refused", refusal))
        unfinished = self._journal.unfinished()
        former = unfinished[2] if unfinished is not None and unfinished[0].name == command.name else None
        if unfinished is not None and former is None and not await self._recovered():
            refused = (
                f"L'envoi coupé de « {unfinished[0].name} » n'est pas encore réparé : attendre que la machine réponde."
            )
            return await self._tell(command, Outcome("refused", refused))
        try:
            content = await self._centre.fetch(command.path, command.sha256, command.size)
        except TextUnavailableError as error:
            return await self._tell(command, Outcome("refused", str(error)))

        async def keep(before: Former) -> None:
            intent = _Intent(command.name, command.sha256, before.text is not None, command.id, command.person)
            await asyncio.to_thread(self._journal.begin, intent, content, before.text)

        outcome = await transfer.send(
            self._driver, lambda: self._following.current, command.name, content, former=former, keep=keep
        )
        return await self._tell(command, outcome, size=len(content))

    async def _tell(self, command: SendProgramme, outcome: Outcome, size: int | None = None) -> str:
        intent = _Intent(command.name, command.sha256, had_former=False, command=command.id, person=command.person)
        await self._record(intent, outcome, size)
        if not outcome.done and outcome.result != "unread":
            raise CommandRefusedError(outcome.message)
        return outcome.message

    async def _read(self, command: ReadProgramme) -> str:
        try:
            names = [command.name] if command.name else [file.name for file in await self._driver.list_programmes()]
            for name in names:
                content = await self._driver.read_programme(name)
                digest = await self._centre.bring(command.path, content)
                body = ProgrammeTransferred(
                    machine=self._machine, name=name, event="read", sha256=digest, size=len(content),
                    command=command.id, person=command.person,
                )  # fmt: skip
                await self._desk.outbox.put([Fact(body)])
        except (DriverFaultError, NotAllowedError) as error:
            raise CommandRefusedError(error.message_fr) from error
        except TextUnavailableError as error:
            raise CommandRefusedError(str(error)) from error
        return (
            f"{len(names)} programme{'s' if len(names) > 1 else ''} lu{'s' if len(names) > 1 else ''} dans la machine."
        )

    async def _record(self, intent: _Intent, outcome: Outcome, size: int | None = None) -> None:
        """Tell the outcome and forget the sending. Of a broken one the trace stays: it is made whole when possible."""
        broken = outcome.result == "broken"
        body = ProgrammeTransferred(
            machine=self._machine, name=intent.name, event=_EVENTS[outcome.result],
            sha256=intent.sha256, size=size, same=_SAME[outcome.result],
            command=intent.command, person=intent.person, detail=outcome.message[:2000],
        )  # fmt: skip
        known = await self._load()
        if outcome.read is not None and not broken and not transfer.attended(self._driver):
            print_ = await asyncio.to_thread(texts.fingerprint, outcome.read, intent.name)
            known = known | {intent.name: _Seen(print_, read_at=self._now())}
        await self._save([Fact(body)], known)
        if outcome.result in ("sent", "unread", "broken"):
            self._on_changed(intent.name)
        if not broken or transfer.attended(self._driver):
            await asyncio.to_thread(self._journal.end)

    # after a power cut

    async def _say_unfinished(self) -> None:
        """At once, before the machine can even be reached: nobody shall run what may be half a programme."""
        unfinished = self._journal.unfinished()
        if unfinished is None:
            return
        intent = unfinished[0]
        message = f"L'envoi de « {intent.name} » a été coupé : ne pas le lancer avant qu'il soit vérifié."
        body = ProgrammeTransferred(
            machine=self._machine, name=intent.name, event="sent", sha256=intent.sha256, same=False,
            command=intent.command, person=intent.person, detail=message,
        )  # fmt: skip
        try:
            await self._desk.outbox.put([Fact(body)])
        except OutboxError as error:
            _log.error("%s: a sending that was cut off could not be told: %s", self._machine, error)
            return
        if transfer.attended(self._driver):
            self._journal.end()  # only a person can look there

    async def _recovered(self) -> bool:
        """Whether nothing is left of a sending that was cut off."""
        unfinished = self._journal.unfinished()
        if unfinished is None:
            return True
        intent, content, former = unfinished
        outcome = await transfer.recover(self._driver, lambda: self._following.current, intent.name, content, former)
        if outcome is None:
            return False
        _log.warning("%s: sending of %s was cut off: %s", self._machine, intent.name, outcome.result)
        if outcome.result == "broken":
            self._vain = min(self._vain + 1, 20)
            return False
        self._vain = 0
        await self._record(intent, outcome, len(content))
        return True

    # changes made at the machine

    async def _look(self) -> None:
        known = await self._load()
        if not known or transfer.why_not_now(self._following.current) is not None:
            return
        listed: dict[str, ProgrammeFile] | None = None
        with contextlib.suppress(NotAllowedError):  # a controller without a directory is read, now and then
            listed = {file.name: file for file in await self._driver.list_programmes()}
        for name, seen in known.items():
            if transfer.why_not_now(self._following.current) is not None:
                return
            if listed is not None and name not in listed:
                await self._forget(name)
            else:
                await self._compare(name, seen, listed[name] if listed is not None else ProgrammeFile(name))

    async def _compare(self, name: str, seen: _Seen, file: ProgrammeFile) -> None:
        told = (file.size, file.changed)
        if told == (None, None):
            if seen.read_at is not None and self._now() - seen.read_at < _READ_AGAIN:
                return
        elif told == (seen.size, seen.changed):
            return
        content = await self._driver.read_programme(name)
        found = await asyncio.to_thread(texts.fingerprint, content, name)
        facts = []
        if found != seen.fingerprint:
            digest = await self._centre.bring(texts.BLOBS_PATH, content)
            message = f"« {name} » a été changé à la machine."
            body = ProgrammeTransferred(
                machine=self._machine, name=name, event="changed", sha256=digest, size=len(content), detail=message
            )
            facts.append(Fact(body))
            self._on_changed(name)
        await self._save(facts, await self._load() | {name: _Seen(found, file.size, file.changed, self._now())})

    async def _forget(self, name: str) -> None:
        body = ProgrammeTransferred(
            machine=self._machine, name=name, event="changed", detail=f"« {name} » n'est plus dans la machine."
        )
        known = dict(await self._load())
        known.pop(name, None)
        await self._save([Fact(body)], known)

    async def _load(self) -> dict[str, _Seen]:
        if self._known is None:
            saved = await self._desk.outbox.cursor(self._cursor)
            self._known = {} if saved is None else msgspec.json.decode(saved, type=dict[str, _Seen])
        return self._known

    async def _save(self, facts: list[Fact], known: dict[str, _Seen]) -> None:
        """In one transaction: what is told of a programme, and what is known of it from now on."""
        await self._desk.outbox.put(facts, {self._cursor: known})
        self._known = known

    def _now(self) -> datetime:
        return self._desk.clock.now().wall


class _Centre:
    """Texts of the centre, by hash, over HTTP."""

    def __init__(self, exchange: Exchange) -> None:
        self._http = CentreHttp(exchange.http, exchange.ca, identity=exchange.identity)

    async def fetch(self, path: str, sha256: str, size: int) -> bytes:
        """The text of that hash and size. Raises TextUnavailableError."""
        try:
            content = await self._http.get(path, size)
        except CentreUnavailableError as error:
            if not error.status:
                raise TextUnavailableError(str(error)) from error
            said = f"Le centre n'a pas donné le texte (réponse {error.status})"
            raise TextUnavailableError(f"{said} : l'y charger de nouveau.") from error
        if len(content) != size or await asyncio.to_thread(texts.sha256, content) != sha256:
            raise TextUnavailableError(
                "Le texte reçu n'est pas celui qui a été validé : rien n'a été envoyé à la machine."
            )
        return content

    async def bring(self, path: str, content: bytes) -> str:
        """Bring a text to the centre, once however often; its hash. Raises TextUnavailableError."""
        if len(content) > texts.MAX_BYTES:
            raise TextUnavailableError(
                f"Le texte fait {len(content) / 1e6:.0f} Mo : {texts.MAX_BYTES // 2**20} Mo au plus."
            )
        digest = await asyncio.to_thread(texts.sha256, content)
        try:
            await self._http.put(f"{path.rstrip('/')}/{digest}", content, "application/octet-stream")
        except CentreUnavailableError as error:
            if not error.status:
                raise TextUnavailableError(str(error)) from error
            raise TextUnavailableError(f"Le centre n'a pas pris le texte (réponse {error.status}).") from error
        return digest
