"""The LinuxCNC client: starts the gateway where LinuxCNC lives, listens to its lines, and asks what is allowed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import logging
import os
import pwd
import shlex
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cnc_bridge.drivers.linuxcnc.faults import fault
from cnc_bridge.drivers.linuxcnc.settings import KEYS, Settings
from cnc_bridge.port import Clock, Condition, Driver, DriverFaultError, Finding, Moment, ProgrammeFile

_log = logging.getLogger(__name__)
_SOURCE = Path(__file__).with_name("gateway.py").read_bytes()
_BOOT = """import os,sys
sys.path=[path for path in sys.path if path]
left=int(sys.argv[1]); source=b""
while len(source)<left: source+=os.read(0,left-len(source)) or sys.exit(0)
exec(compile(source,"gateway.py","exec"))"""
_LINE_LIMIT = 64 * 2**20
_ANSWER_S = 60.0
_CONDITION = "linuxcnc"


class ControllerDriver(Driver):
    """One LinuxCNC. Its part count is the number of programmes that reached their end while this driver watched."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        self._by_key: dict[str, list[str]] = {}
        for name, source in settings.signals.items():
            self._by_key.setdefault(source.key, []).append(name)
        self.hold_sent: datetime | None = None
        """When the gateway handed the last hold to LinuxCNC, by the clock of that computer."""
        self._completed = 0
        self._process: asyncio.subprocess.Process | None = None
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._missing: set[str] = set()
        self._last_words = ""
        self._words: asyncio.Task[None] | None = None

    async def _session(self) -> None:
        async with self._gateway(self.config.allow, errors=self.config.errors) as process:
            try:
                await self._listen(process)
            finally:
                self._process = None
                for answer in self._answers.values():
                    answer.cancel()
                self._answers.clear()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        patience = self.config.connect_timeout_s
        while True:
            message = await self._line(process, patience)
            received = self.clock.now()
            if "hello" in message:
                patience = 3 * self.config.heartbeat_s + 0.5
                self._process = process
                self._link_up(_described(message["hello"]))
                if self.config.errors:
                    self._stream.put(Condition(_CONDITION, "NORMAL", "", "", None, received))
            elif "v" in message:
                self._take(message["v"], _time(message["t"]), received)
            elif "error" in message:
                self._error(message["error"], _time(message["t"]), received)
            elif "re" in message:
                self._answered(message)
            elif "missing" in message:
                self._lack(set(message["missing"]))
            self._heard()

    def _take(self, values: dict[str, Any], source_time: datetime, received: Moment) -> None:
        self._completed = max(self._completed, values.get("part_count") or 0)
        for key, value in values.items():
            for name in self._by_key.get(key, ()):
                self._value(name, self.config.signals[name], value, source_time, received)

    def _error(self, text: str | None, source_time: datetime, received: Moment) -> None:
        """LinuxCNC's messages have no number and no end: their text is the code, the next start ends them."""
        level, code = ("NORMAL", "") if text is None else ("FAULT", text[:100])
        self._stream.put(Condition(_CONDITION, level, code, text or "", source_time, received))

    def _lack(self, missing: set[str]) -> None:
        for key in self._missing - missing:
            for name in self._by_key.get(key, ()):
                self._solved("missing_signal", name)
        for key in missing - self._missing:
            for name in self._by_key.get(key, ()):
                self._problem(
                    "missing_signal",
                    name,
                    f"{name}: LinuxCNC has no {key}",
                    f"LinuxCNC n'a pas « {key} » : corriger le signal « {name} » dans la configuration.",
                )
                self._value(name, self.config.signals[name], None, None, self.clock.now())
        self._missing = missing

    def _answered(self, message: dict[str, Any]) -> None:
        answer = self._answers.pop(message["re"], None)
        if answer is None or answer.done():
            return
        if "no" in message:
            answer.set_exception(fault(message["no"], message["why"], self.config.address))
        else:
            answer.set_result(message["ok"])

    async def _ask(self, do: str, **more: Any) -> Any:
        process = self._process
        if process is None or process.stdin is None:
            raise fault("not_connected", "no connection now", self.config.address)
        number = next(self._requests)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            process.stdin.write(json.dumps({"id": number, "do": do, **more}).encode() + b"\n")
            async with asyncio.timeout(_ANSWER_S):
                await process.stdin.drain()
                await asyncio.wait([answer])
        except (OSError, TimeoutError) as error:
            raise fault("mute", f"no answer to `{do}`", self.config.address) from error
        finally:
            self._answers.pop(number, None)
        if answer.cancelled():
            raise fault("not_connected", f"the connection was lost during `{do}`", self.config.address)
        return answer.result()

    async def _hold(self) -> None:
        self.hold_sent = _time((await self._ask("hold"))["sent"])

    async def _list_programmes(self) -> list[ProgrammeFile]:
        files = await self._ask("list")
        return [ProgrammeFile(file["name"], file["size"], _time(file["changed"])) for file in files]

    async def _read_programme(self, name: str) -> bytes:
        return base64.b64decode(await self._ask("read", name=name))

    async def _write_programme(self, name: str, content: bytes) -> None:
        await self._ask("write", name=name, content=base64.b64encode(content).decode("ascii"))

    async def probe(self) -> list[Finding]:
        """LinuxCNC's version and machine, the mapped signals with their values, what else could be mapped."""
        missing: set[str] = set()
        values: dict[str, Any] = {}
        async with self._gateway((), errors=False, every=True) as process:
            hello = (await self._line(process, self.config.connect_timeout_s))["hello"]
            while "execution" not in values:
                message = await self._line(process, self.config.connect_timeout_s)
                values |= message.get("v", {})
                missing |= set(message.get("missing", ()))
        found = [Finding("server", self.config.address, _described(hello))]
        for name, source in self.config.signals.items():
            there = source.key not in missing
            shown = f"{source.key} = {values.get(source.key)}" if there else f"{source.key} is not there"
            found.append(Finding("signal", name, shown, there))
        mapped = {source.key for source in self.config.signals.values()}
        return found + [Finding("key", key, str(values[key])) for key in sorted(set(values) - mapped)]

    async def _line(self, process: asyncio.subprocess.Process, patience: float) -> dict[str, Any]:
        """The gateway's next line. Raises DriverFaultError: its own fault, its end, or its silence."""
        assert process.stdout is not None
        try:
            async with asyncio.timeout(patience):
                line = await process.stdout.readline()
        except TimeoutError as error:
            raise fault("mute", f"nothing from the gateway for {patience:g} s", self.config.address) from error
        if not line:
            raise await self._ended(process)
        try:
            message: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise fault("gateway_ended", f"unreadable line {line[:80]!r}", self.config.address) from error
        if "fault" in message:
            raise fault(message["fault"], message["why"], self.config.address)
        return message

    async def _ended(self, process: asyncio.subprocess.Process) -> DriverFaultError:
        if self._words is not None:
            await asyncio.wait([self._words], timeout=1)
        reason = self._last_words or f"exit code {process.returncode}"
        return fault("gateway_ended", f"the gateway ended: {reason}", self.config.address)

    @contextlib.asynccontextmanager
    async def _gateway(
        self, allow: tuple[str, ...], *, errors: bool, every: bool = False
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """The gateway process, gone when the block ends: its input is closed, then it is killed."""
        options = {
            "allow": allow,
            "errors": errors,
            "nml": self.config.nml,
            "task": self.config.task,
            "keys": sorted({*self._by_key, *(KEYS if every else ())}),
            "period_s": self.config.period_s,
            "beat_s": self.config.heartbeat_s,
            "completed": self._completed,
            "extensions": self.config.extensions,
        }
        command = _command(self.config)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_LIMIT,
                start_new_session=True,  # a Ctrl-C or a stop of the agent is no loss of the machine
            )
        except OSError as error:
            raise fault("no_python", f"{command[0]}: {error.strerror}", self.config.address) from error
        self._last_words = ""
        self._words = words = asyncio.create_task(self._keep_last_words(process))
        try:
            assert process.stdin is not None
            process.stdin.write(_SOURCE + json.dumps(options).encode() + b"\n")
            yield process
        finally:
            await _end(process)
            words.cancel()
            await asyncio.wait([words])

    async def _keep_last_words(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while piece := await process.stderr.read(8192):
            lines = (self._last_words + piece.decode("utf-8", "replace")).strip().splitlines()
            self._last_words = lines[-1][-300:] if lines else ""
            _log.debug("%s: gateway says: %s", self.config.address, self._last_words)
        await process.wait()


def _command(config: Settings) -> list[str]:
    """What starts the gateway: the prefix, the change of user, LinuxCNC's Python. Raises DriverFaultError."""
    python = [config.python, "-u", "-c", _BOOT, str(len(_SOURCE))]
    if config.by_ssh:
        become = ["sudo", "-n", "-H", "-u", config.user] if config.user else []
        return [*config.command, shlex.join([*become, *python])]
    if config.user is None or config.command:
        return [*config.command, *python]
    try:
        account = pwd.getpwnam(config.user)
    except KeyError as error:
        raise fault("wrong_user", f"no account named {config.user} here", config.address) from error
    home = ["env", f"HOME={account.pw_dir}"]
    if account.pw_uid == os.geteuid():
        return [*home, *python]
    become = ["runuser", "-u"] if os.geteuid() == 0 else ["sudo", "-n", "-u"]
    return [*become, config.user, "--", *home, *python]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Close its input, and a second later kill it: within 3 s whatever it does."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(1):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _described(hello: dict[str, Any]) -> str:
    return f"LinuxCNC {hello['version']}, machine {hello['machine'] or 'unnamed'}, axes {' '.join(hello['axes'])}"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
