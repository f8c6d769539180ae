"""LinuxCNC's own Python module on one side, JSON lines on the other; run by the Python that LinuxCNC came with.

The driver sends this source to that Python, then one line of options, then one line a request. It imports nothing of
Copeau: it may run as another user, in other namespaces, on another computer. When its input ends, it ends; when a call
into LinuxCNC never returns, its alarm clock ends it.

    -> {"id": 3, "do": "hold"}                      <- {"re": 3, "ok": null}  or  {"re": 3, "no": code, "why": text}
    <- {"hello": {...}}   {"t": 1732180000.1, "v": {"execution": "ACTIVE"}}   {"t": ..., "error": text}
    <- {"beat": 1732180000.6}   {"fault": code, "why": text} and the end
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import re
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

ALARM_S = 5
ALIVE_EVERY_S = 0.2
MAX_PROGRAMME = 32 * 2**20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,119}")
PROGRAM_END = (2, 30)
MODES = {1: "MANUAL", 2: "AUTOMATIC", 3: "MANUAL_DATA_INPUT"}
AXES = "xyzabcuvw"


class Fault(Exception):
    """LinuxCNC cannot be read: said to the driver, then this process ends."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class Refused(Exception):
    """One request cannot be done; the rest goes on."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class Processes:
    """The processes that must live for the shared memory to mean anything: killed or stopped, it keeps its last
    values, and reading it succeeds.
    """

    def __init__(self, task: str) -> None:
        found = {name: pid for name, pid in running().items() if name in (task, "rtapi_app")}
        if task not in found:
            raise Fault("not_running", f"no process named {task}: LinuxCNC is not running here")
        owner = Path(f"/proc/{found[task]}").stat().st_uid
        if owner != os.getuid():
            raise Fault("wrong_user", f"LinuxCNC runs as {user_name(owner)}, this gateway as {user_name(os.getuid())}")
        self._found = found
        self._join_home(found[task])

    def _join_home(self, pid: int) -> None:
        """LinuxCNC keeps its tool table in HOME: whatever ours is, use the one that it was started with."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                if line.startswith(b"HOME="):
                    os.environ["HOME"] = os.fsdecode(line[5:])

    def check(self) -> None:
        for name, pid in self._found.items():
            now = _process(pid)
            if now is None or now[1] != name or now[2] in "ZX":
                raise Fault("ended", f"LinuxCNC has ended ({name} is gone)")
            if now[2] in "Tt":
                raise Fault("stopped", f"LinuxCNC is stopped (process {name}, state {now[2]})")


def running() -> dict[str, int]:
    """The living processes here: name → pid, the oldest of a name."""
    found: dict[str, int] = {}
    for pid in sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        process = _process(pid)
        if process is not None and process[2] not in "ZX":
            found.setdefault(process[1], pid)
    return found


def _process(pid: int) -> tuple[int, str, str] | None:
    """(pid, name, state letter) of a process that is there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    head, tail = text.rsplit(") ", 1)
    return pid, head.split(" (", 1)[1], tail[0]


def user_name(uid: int) -> str:
    """The account of that number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class Execution:
    """MTConnect's word for what the interpreter does. LinuxCNC says IDLE after M30 and after an abort alike: an abort
    empties `command`, an error leaves its mark in `state`, and M2 or M30 stays among the active M codes.
    """

    def __init__(self, completed: int) -> None:
        self.word: str | None = None
        self.completed = completed
        self._automatic = False
        self._file: str | None = None
        self._looked_again = False

    def see(self, stat: Any, linuxcnc: Any) -> bool:
        """Take one poll into account; returns whether a programme has just begun."""
        before = self.word
        running = stat.interp_state != linuxcnc.INTERP_IDLE
        if running and (stat.task_paused or stat.interp_state == linuxcnc.INTERP_PAUSED):
            if before not in ("FEED_HOLD", "PROGRAM_STOPPED"):
                # at M0 and M1 all before it is done; held by a person, something still waits
                at_m0 = stat.queue == 0 and stat.exec_state == linuxcnc.EXEC_DONE
                self.word = "PROGRAM_STOPPED" if at_m0 else "FEED_HOLD"
        elif running:
            self.word = "ACTIVE"
        elif before in ("ACTIVE", "FEED_HOLD", "PROGRAM_STOPPED"):
            self._end(stat, linuxcnc)
        elif before is None or stat.task_mode != linuxcnc.MODE_AUTO or stat.file != self._file:
            self.word = "READY"
        if running:
            self._automatic = stat.task_mode == linuxcnc.MODE_AUTO
            self._looked_again = False
        self._file = stat.file
        return self.word == "ACTIVE" and before in (None, "READY", "STOPPED", "PROGRAM_COMPLETED")

    def _end(self, stat: Any, linuxcnc: Any) -> None:
        if not self._automatic:
            self.word = "READY"
            return
        aborted = not stat.command or stat.state == linuxcnc.RCS_ERROR
        said_end = stat.mcodes[1] in PROGRAM_END
        if not aborted and not said_end and not self._looked_again:
            self._looked_again = True  # the M codes may follow one cycle later
            return
        # a file between two % signs ends without M30; after an interpreter's error this cannot be told any more
        completed = not aborted and (said_end or stat.interpreter_errcode != 5)
        self.word = "PROGRAM_COMPLETED" if completed else "STOPPED"
        self.completed += completed


class Gateway:
    """One LinuxCNC, read at a period; what has changed is sent."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.linuxcnc = _module()
        if options["nml"]:
            self.linuxcnc.nmlfile = options["nml"]
        self.alive = Processes(options["task"])
        self.stat = self._opened(self.linuxcnc.stat)
        self.poll()
        self.errors: Any = self._opened(self.linuxcnc.error_channel) if options["errors"] else None
        self.command: Any = self._opened(self.linuxcnc.command) if "hold" in options["allow"] else None
        self.execution = Execution(options["completed"])
        self.pins = [key for key in options["keys"] if key.startswith("hal:")]
        self.hal: Any = None
        self.component: Any = None
        if self.pins:
            self.hal, self.component = _hal()
            leave_signals_to_the_agent()  # HAL's library brings handlers of its own
        self.last: dict[str, Any] = {}
        self.missing: list[str] | None = None

    def _opened(self, channel: Any) -> Any:
        try:
            return channel()
        except self.linuxcnc.error as error:
            raise Fault("not_running", f"LinuxCNC's channels cannot be opened: {error}") from error

    def poll(self) -> None:
        try:
            self.stat.poll()
        except self.linuxcnc.error as error:
            raise Fault("ended", f"LinuxCNC's status cannot be read: {error}") from error
        except SystemError as error:  # its way to say: tool mmap not available
            text = f"LinuxCNC's tool table is not in HOME={os.environ.get('HOME', '')} (yet)"
            raise Fault("no_tool_table", text) from error

    def hello(self) -> dict[str, Any]:
        stat = self.stat
        ini = self.linuxcnc.ini(stat.ini_filename) if stat.ini_filename else None
        machine = ini.find("EMC", "MACHINE") if ini else None
        axes = [AXES[index] for index in range(9) if stat.axis_mask & (1 << index)]
        return {"version": self.linuxcnc.version, "machine": machine or "", "axes": axes, "pid": os.getpid()}

    def look(self) -> bool:
        """Poll once; send what is new. LinuxCNC's units are turned into mm."""
        self.poll()
        now = time.time()
        stat = self.stat
        began = self.execution.see(stat, self.linuxcnc)
        values = self._values(stat)
        changed = {key: value for key, value in values.items() if self.last.get(key, self) != value}
        powered = values["availability"] == "AVAILABLE" != self.last.get("availability")
        self.last = values
        if self.errors is not None:
            if began or powered:  # its messages have no end of their own
                say({"t": now, "error": None})
            self._errors(now)
        wanted = {key: value for key, value in changed.items() if key in self.options["keys"]}
        if wanted:
            say({"t": now, "v": wanted})
        return bool(wanted)

    def _values(self, stat: Any) -> dict[str, Any]:
        linuxcnc = self.linuxcnc
        to_mm = 1 / (stat.linear_units or 1)
        estop = stat.task_state == linuxcnc.STATE_ESTOP
        powered = estop or stat.task_state == linuxcnc.STATE_ON
        spindle = stat.spindle[0] if stat.spindle else {}
        values = {
            "availability": "AVAILABLE" if powered else "UNAVAILABLE",
            "emergency_stop": "TRIGGERED" if estop else "ARMED",
            "mode": MODES.get(stat.task_mode),
            "programme": Path(stat.file).name or None,
            "tool": str(stat.tool_in_spindle) if stat.tool_in_spindle > 0 else None,
            "part_count": self.execution.completed,
            "execution": self.execution.word,
            "line": stat.motion_line,
            "feed": round(stat.current_vel * 60 * to_mm, 3),
            "feed_override": round(stat.feedrate * 100, 2),
            "spindle_speed": round(abs(spindle.get("speed", 0.0)), 2),
            "rapid_override": round(stat.rapidrate * 100, 2),
            "spindle_override": round(spindle.get("override", 0.0) * 100, 2),
        }
        for index, name in enumerate(AXES):
            if stat.axis_mask & (1 << index):
                linear = to_mm if name not in "abc" else 1.0
                values["position." + name] = round(stat.actual_position[index] * linear, 5)
        missing = []
        for key in self.pins:
            try:
                value = self.hal.get_value(key[4:])
            except (RuntimeError, self.hal.error):
                missing.append(key)
            else:
                values[key] = round(value, 5) if isinstance(value, float) else value
        missing += [key for key in self.options["keys"] if key not in values and key not in missing]
        if missing != self.missing:
            self.missing = missing
            say({"missing": missing})
        return values

    def _errors(self, now: float) -> None:
        kinds = (self.linuxcnc.NML_ERROR, self.linuxcnc.OPERATOR_ERROR)
        while True:
            message = self.errors.poll()
            if not message:
                return
            if message[0] in kinds:
                say({"t": now, "error": message[1].strip()[:2000]})

    def do(self, request: dict[str, Any]) -> Any:
        """One request of the driver; only what the machine's settings allow."""
        what = request.get("do")
        if what == "hold":
            self._require("hold")
            return self.hold()
        self._require("programme")
        files = Programmes(self.stat, self.linuxcnc, self.options["extensions"])
        if what == "list":
            return files.list()
        if what == "read":
            return files.read(request["name"])
        if what == "write":
            files.write(request["name"], request["content"])
            return None
        raise Refused("unknown_request", f"no request named {what}")

    def _require(self, capability: str) -> None:
        if capability not in self.options["allow"]:
            raise Refused("not_allowed", f"{capability} is not allowed on this machine")

    def hold(self) -> dict[str, float]:
        """Feed hold, where a programme runs in AUTO. Its module looks every 10 ms whether LinuxCNC has taken it."""
        self.poll()
        automatic = self.stat.task_mode == self.linuxcnc.MODE_AUTO
        if not automatic or self.stat.interp_state == self.linuxcnc.INTERP_IDLE:
            raise Refused("nothing_to_hold", "no programme runs in AUTO")
        sent = time.time()
        self.command.auto(self.linuxcnc.AUTO_PAUSE)
        return {"sent": sent}


class Programmes:
    """The files of [DISPLAY]PROGRAM_PREFIX: no sub-folder, no link, no other extension."""

    def __init__(self, stat: Any, linuxcnc: Any, extensions: list[str]) -> None:
        prefix = linuxcnc.ini(stat.ini_filename).find("DISPLAY", "PROGRAM_PREFIX")
        if not prefix:
            raise Refused("no_folder", f"[DISPLAY]PROGRAM_PREFIX is not set in {stat.ini_filename}")
        self.folder = Path(stat.ini_filename).parent / Path(prefix).expanduser()
        self.extensions = extensions

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name) or ".." in name or not name.lower().endswith(tuple(self.extensions)):
            known = ", ".join(self.extensions)
            raise Refused("bad_name", f"{name[:120]!r} is no programme name (letters, digits, {known})")
        return self.folder / name

    def list(self) -> list[dict[str, Any]]:
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                usable = NAME.fullmatch(entry.name) and entry.name.lower().endswith(tuple(self.extensions))
                if usable and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append({"name": entry.name, "size": status.st_size, "changed": status.st_mtime})
        return sorted(found, key=lambda file: file["name"])

    def read(self, name: str) -> str:
        try:
            handle = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise Refused("no_programme", f"{name}: {error.strerror}") from error
        with os.fdopen(handle, "rb") as file:
            content = file.read(MAX_PROGRAMME + 1)
        if len(content) > MAX_PROGRAMME:
            raise Refused("too_large", f"{name} is larger than {MAX_PROGRAMME} bytes")
        return base64.b64encode(content).decode("ascii")

    def write(self, name: str, content: str) -> None:
        path = self._path(name)
        for left in self.folder.glob(".copeau-*.part"):  # by one that was killed
            if not Path("/proc", left.name[8:-5]).exists():
                left.unlink(missing_ok=True)
        beside = self.folder / f".copeau-{os.getpid()}.part"
        try:
            with beside.open("wb") as file:
                file.write(base64.b64decode(content, validate=True))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Refused("not_written", f"{name}: {error.strerror}") from error
        finally:
            beside.unlink(missing_ok=True)


def _module() -> Any:
    try:
        import linuxcnc  # type: ignore[import-not-found]  # only LinuxCNC's own Python has it
    except ImportError as error:
        raise Fault("no_module", f"{sys.executable} has no linuxcnc module ({error})") from error
    return linuxcnc


def _hal() -> Any:
    import hal  # type: ignore[import-not-found]  # only LinuxCNC's own Python has it

    try:
        component = hal.component(f"copeau-{os.getpid()}")
        component.ready()
    except hal.error as error:
        raise Fault("no_hal", f"HAL cannot be joined: {error}") from error
    return hal, component


_out = 1


def say(message: dict[str, Any]) -> None:
    """One line to the driver, whole."""
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(_out, data) :]


def serve(gateway: Gateway, options: dict[str, Any]) -> None:
    say({"hello": gateway.hello()})
    period, beat_s = options["period_s"], options["beat_s"]
    waiting = b""
    next_look = next_alive = said = 0.0
    while True:
        signal.alarm(ALARM_S)
        now = time.monotonic()
        if now >= next_alive:
            gateway.alive.check()
            next_alive = now + ALIVE_EVERY_S
        if now >= next_look:
            next_look = max(next_look + period, now)
            if gateway.look():
                said = now
        if now - said >= beat_s:
            say({"beat": time.time()})
            said = now
        ready, _, _ = select.select([0], [], [], max(0.0, next_look - time.monotonic()))
        if ready:
            data = os.read(0, 2**20)
            if not data:
                return
            *lines, waiting = (waiting + data).split(b"\n")
            for line in lines:
                answer(gateway, json.loads(line))


def answer(gateway: Gateway, request: dict[str, Any]) -> None:
    signal.alarm(60)  # a large programme on a slow card
    try:
        say({"re": request["id"], "ok": gateway.do(request)})
    except Refused as refused:
        say({"re": request["id"], "no": refused.code, "why": str(refused)})


def leave_signals_to_the_agent() -> None:
    """It ends us by closing our input; a closing LinuxCNC signals its HAL components, and is noticed anyway."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def main() -> None:
    global _out  # noqa: PLW0603 - LinuxCNC's libraries print on descriptor 1: it becomes stderr, the lines keep their own
    _out = os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    leave_signals_to_the_agent()
    signal.alarm(ALARM_S)
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            return
        line += piece
    options = json.loads(line)
    gateway = None
    try:
        gateway = Gateway(options)
        serve(gateway, options)
    except Fault as fault:
        say({"fault": fault.code, "why": str(fault)})
    except BrokenPipeError:
        pass
    finally:
        if gateway is not None and gateway.component is not None:
            gateway.component.exit()


if __name__ == "__main__":
    main()
