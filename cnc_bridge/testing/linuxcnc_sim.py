"""A real LinuxCNC without hardware or screen, shut in namespaces of its own.

    python -m cnc_bridge.testing.linuxcnc_sim run FILE [--loop]    one JSON line {"listening": FILE} when ready
    python -m cnc_bridge.testing.linuxcnc_sim enter FILE COMMAND…  run COMMAND where that LinuxCNC lives

LinuxCNC listens on all interfaces, shares memory under fixed keys and locks /tmp/linuxcnc.lock: here it gets a network,
IPC, PID and mount namespace, with a /tmp of its own in memory. So several run side by side, nothing but FILE touches
the disk, and when this process ends, however it ends, the kernel ends everything inside. LinuxCNC refuses to be root:
started by root, it runs as the account `nobody`; otherwise as the user, in a user namespace.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_FILES = Path(__file__).parent / "linuxcnc"
_PYTHON = "/usr/bin/python3"
_HOME = "/tmp/home"  # noqa: S108  # nosec B108  # inside the mount namespace, where /tmp is its own
_NOBODY = "65534"
_SPACES = ("--net", "--ipc", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_PREPARE = (
    f'mount -t tmpfs tmpfs /tmp && ip link set lo up && mkdir -m 700 {_HOME} && chown "$1" {_HOME} && cd {_HOME} && '
    'shift && exec "$@"'
)
PROGRAMME = "two_tools.ngc"
"""The programme that is there from the start: two tools, about five seconds, M30."""
LINUXCNC = frozenset({"milltask", "linuxcncsvr", "io", "rtapi_app", "linuxcnc"})
"""Names of LinuxCNC's own processes."""


class SimulationError(RuntimeError):
    """LinuxCNC did not start, or refused a command; the message says which."""


@cache
def missing() -> str:
    """Why LinuxCNC cannot run here, in one sentence; empty when it can."""
    for tool in ("linuxcnc", "unshare", "nsenter", "setpriv", "ip", _PYTHON):
        if shutil.which(tool) is None:
            return f"{tool} is not installed: apt-get install linuxcnc-uspace util-linux iproute2"
    trial = [*_unshare(), "sh", "-c", _PREPARE, "sh", _owner(), *_unprivileged(), "true"]
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603  # our own words
    if tried.returncode:
        return f"no namespaces for LinuxCNC on this system: {tried.stderr.strip() or tried.returncode}"
    return ""


def _is_root() -> bool:
    return os.geteuid() == 0


def _unshare() -> list[str]:
    return [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        *([] if _is_root() else ["--user", "--map-root-user"]),
        *_SPACES,
    ]


def _owner() -> str:
    return f"{_NOBODY}:{_NOBODY}" if _is_root() else "0:0"


def _unprivileged() -> list[str]:
    """From the (real or mapped) root that makes the namespaces to the account that LinuxCNC accepts."""
    if _is_root():
        change = ["setpriv", "--reuid", _NOBODY, "--regid", _NOBODY, "--clear-groups", "--pdeathsig", "KILL"]
    else:
        change = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    return [*change, "env", "-i", f"HOME={_HOME}", f"PATH={path}", "LANG=C.UTF-8"]


def command(state_file: Path, *, loop: bool = False, between_s: float = 1.0) -> list[str]:
    """What starts one as a process of its own; it ends with that process."""
    how = ["run", str(state_file), "--between", str(between_s), *(["--loop"] if loop else [])]
    return [sys.executable, "-m", "cnc_bridge.testing.linuxcnc_sim", *how]


def entrance(state_file: Path, *, as_root: bool = False) -> list[str]:
    """The command prefix that runs something where the LinuxCNC of this state file lives, as its user."""
    how = ["enter", *(["--as-root"] if as_root else []), str(state_file)]
    return [sys.executable, "-m", "cnc_bridge.testing.linuxcnc_sim", *how]


class SimulatedController:
    """One LinuxCNC, from `start` to `stop`. Its commands are what a person does at the machine."""

    def __init__(self, state_file: Path, *, loop: bool = False, between_s: float = 1.0) -> None:
        self.state_file = state_file
        self._plan = {"loop": PROGRAMME if loop else "", "between_s": between_s, "files": _files()}
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def pid(self) -> int:
        """The process that holds the namespaces: when it dies, all of LinuxCNC dies."""
        assert self._process is not None, "not started"
        return self._process.pid

    async def start(self) -> None:
        """Up, switched on and homed. Raises SimulationError."""
        if missing():
            raise SimulationError(missing())
        inside = [_PYTHON, "-u", "-c", (_FILES / "inside.py").read_text(encoding="utf-8")]
        command = [*_unshare(), "sh", "-c", _PREPARE, "sh", _owner(), *_unprivileged(), *inside]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20
        )
        self.state_file.write_text(json.dumps({"pid": self.pid}), encoding="utf-8")
        await self._send(self._plan)
        await self._answer()

    async def do(self, command: str, *arguments: Any) -> Any:
        """One of the commands of `linuxcnc/inside.py`. Raises SimulationError with LinuxCNC's own reason."""
        async with self._one_at_a_time:
            await self._send({"do": command, "with": arguments})
            return (await self._answer()).get("answer")

    async def wait(self) -> None:
        """Until LinuxCNC ends by itself."""
        assert self._process is not None, "not started"
        await self._process.wait()

    async def stop(self) -> None:
        """No process of it is left when this returns; safe to call twice."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        with contextlib.suppress(OSError):
            self.state_file.unlink()

    async def _send(self, words: dict[str, Any]) -> None:
        assert self._process is not None, "not started"
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        await self._process.stdin.drain()

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None, "not started"
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise SimulationError(f"LinuxCNC ended with exit code {await self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "why" in answer:
            raise SimulationError(f"{answer['failed']}: {answer['why']}")
        return answer


@contextlib.asynccontextmanager
async def simulated(
    state_file: Path, *, loop: bool = False, between_s: float = 1.0
) -> AsyncIterator[SimulatedController]:
    """A LinuxCNC for as long as the block lasts."""
    controller = SimulatedController(state_file, loop=loop, between_s=between_s)
    try:
        await controller.start()
        yield controller
    finally:
        await controller.stop()


def _files() -> dict[str, str]:
    """What is written into its home before it starts: path → text."""
    texts = {f"config/{path.name}": path for path in _FILES.glob("machine.*")} | {
        f"nc_files/{path.name}": path for path in _FILES.glob("*.ngc")
    }
    files = {name: path.read_text(encoding="utf-8") for name, path in texts.items()}
    return files | {"config/bin/wait-here": f"#!/bin/sh\ntouch {_HOME}/shown\nexec sleep infinity\n"}


def inhabitants(state_file: Path) -> dict[int, str]:
    """The processes inside that LinuxCNC's PID namespace: pid out here → name. Empty when it does not run."""
    try:
        pid = json.loads(state_file.read_text(encoding="utf-8"))["pid"]
        space = Path(f"/proc/{pid}/ns/pid_for_children").stat().st_ino
    except (OSError, ValueError):
        return {}
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "ns" / "pid").stat().st_ino == space:
                found[int(entry.name)] = (entry / "comm").read_text(encoding="utf-8").strip()
    return found


def enter(state_file: Path, command: Sequence[str], *, as_root: bool = False) -> None:
    """Become `command` inside; what it reads and writes is ours. Never returns."""
    try:
        pid = json.loads(state_file.read_text(encoding="utf-8"))["pid"]
    except (OSError, ValueError) as error:
        raise SystemExit(f"the simulated LinuxCNC does not run: {error}") from error
    spaces = Path(f"/proc/{pid}/ns")
    if not spaces.exists():
        raise SystemExit(f"the simulated LinuxCNC does not run: process {pid} is gone")
    words = ["nsenter", *([] if _is_root() else ["--user=" + str(spaces / "user"), "--preserve-credentials"])]
    words += [f"--{name}={spaces / name}" for name in ("net", "ipc")] + [f"--mount={spaces / 'mnt'}"]
    words += [f"--pid={spaces / 'pid_for_children'}", "--wdns=/", *([] if as_root else _unprivileged()), *command]
    os.execvp(words[0], words)  # noqa: S606  # nosec B606  # no shell is wanted


async def _run(state_file: Path, *, loop: bool, between_s: float) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):  # through the loop: the kernel may give them to another thread
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with simulated(state_file, loop=loop, between_s=between_s) as controller:
        sys.stdout.write(json.dumps({"listening": str(state_file)}) + "\n")
        sys.stdout.flush()
        await controller.wait()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="linuxcnc_sim", description="A real LinuxCNC without hardware or screen.")
    does = parser.add_subparsers(dest="does", required=True)
    run = does.add_parser("run", help="start it, until this process ends")
    run.add_argument("state_file", type=Path)
    run.add_argument("--loop", action="store_true", help="run a programme with two tools again and again")
    run.add_argument("--between", type=float, default=1.0, help="seconds between two programmes")
    inside = does.add_parser("enter", help="run a command where it lives")
    inside.add_argument("--as-root", action="store_true", help="not as the user of LinuxCNC")
    inside.add_argument("state_file", type=Path)
    inside.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if given.does == "enter":
        enter(given.state_file, given.command, as_root=given.as_root)
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run(given.state_file, loop=given.loop, between_s=given.between))


if __name__ == "__main__":
    main()
