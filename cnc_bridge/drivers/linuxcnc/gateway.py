"""LinuxCNC's own Python module on one side, JSON lines on the other; run by the Python that LinuxCNC came with.

The driver sends this source to that Python, then one line of options, then one line a request. It imports nothing of
Copeau: it may run as another user, in other namespaces, on another computer. When its input ends, it ends; when a call
into LinuxCNC never returns, its alarm clock ends it.

    -> {"id": 3, "do": "hold"}                      <- {"re": 3, "ok": null}  or  {"re": 3, "no": code, "why": text}
    <- {"hello": {...}}   {"t": 1732180000.1, "v": {"execution": "ACTIVE"}}   {"t": ..., "error": text}
    <- {"beat": 1732180000.6}   {"fault": code, "why": text} and the end
"""

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

ALARM_S = 5
ALIVE_EVERY_S = 0.2
MAX_PROGRAMME = 32 * 2**20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,119}")
PROGRAM_END = (2, 30)
MODES = {1: "MANUAL", 2: "AUTOMATIC", 3: "MANUAL_DATA_INPUT"}
AXES = "xyzabcuvw"


class Fault(Exception):
    """LinuxCNC cannot be read: said to the driver, then this process ends."""

    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


class Refused(Exception):
    """One request cannot be done; the rest goes on."""

    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


class Processes:
    """The processes that must live for the shared memory to mean anything: killed or stopped, it keeps its last
    values, and reading it succeeds.
    """

    def __init__(self, task):
        found = {name: pid for pid, name, _ in _processes() if name in (task, "rtapi_app")}
        if task not in found:
            raise Fault("not_running", "no process named %s: LinuxCNC is not running here" % task)
        owner = os.stat("/proc/%d" % found[task]).st_uid
        if owner != os.getuid():
            raise Fault("wrong_user", "LinuxCNC runs as %s, this gateway as %s" % (_user(owner), _user(os.getuid())))
        self._found = found

    def check(self):
        for name, pid in self._found.items():
            now = _process(pid)
            if now is None or now[1] != name or now[2] in "ZX":
                raise Fault("ended", "LinuxCNC has ended (%s is gone)" % name)
            if now[2] in "Tt":
                raise Fault("stopped", "LinuxCNC is stopped (process %s, state %s)" % (name, now[2]))


def _processes():
    for entry in os.listdir("/proc"):
        found = _process(int(entry)) if entry.isdigit() else None
        if found and found[2] not in "ZX":
            yield found


def _process(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            head, tail = file.read().rsplit(") ", 1)
    except OSError:
        return None
    return pid, head.split(" (", 1)[1], tail[0]


def _user(uid):
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


class Execution:
    """MTConnect's word for what the interpreter does. LinuxCNC says IDLE after M30 and after an abort alike: an abort
    empties `command`, an error leaves its mark in `state`, and M2 or M30 stays among the active M codes.
    """

    def __init__(self, completed):
        self.word = None
        self.completed = completed
        self._automatic = False
        self._file = None
        self._looked_again = False

    def see(self, stat, linuxcnc):
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

    def _end(self, stat, linuxcnc):
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

    def __init__(self, options):
        self.options = options
        self.linuxcnc = _module()
        if options["nml"]:
            self.linuxcnc.nmlfile = options["nml"]
        self.alive = Processes(options["task"])
        self.stat = self._opened(self.linuxcnc.stat)
        self.poll()
        self.errors = self._opened(self.linuxcnc.error_channel) if options["errors"] else None
        self.command = self._opened(self.linuxcnc.command) if "hold" in options["allow"] else None
        self.execution = Execution(options["completed"])
        self.pins = [key for key in options["keys"] if key.startswith("hal:")]
        self.hal, self.component = _hal() if self.pins else (None, None)
        self.last = {}
        self.missing = None

    def _opened(self, channel):
        try:
            return channel()
        except self.linuxcnc.error as error:
            raise Fault("not_running", "LinuxCNC's channels cannot be opened: %s" % error) from error

    def poll(self):
        try:
            self.stat.poll()
        except self.linuxcnc.error as error:
            raise Fault("ended", "LinuxCNC's status cannot be read: %s" % error) from error
        except SystemError as error:  # its way to say: tool mmap not available
            text = "LinuxCNC's tool table is not in HOME=%s (yet)" % os.environ.get("HOME", "")
            raise Fault("wrong_home", text) from error

    def hello(self):
        stat = self.stat
        ini = self.linuxcnc.ini(stat.ini_filename) if stat.ini_filename else None
        machine = ini.find("EMC", "MACHINE") if ini else None
        axes = [AXES[index] for index in range(9) if stat.axis_mask & (1 << index)]
        return {"version": self.linuxcnc.version, "machine": machine or "", "axes": axes, "pid": os.getpid()}

    def look(self):
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

    def _values(self, stat):
        linuxcnc = self.linuxcnc
        to_mm = 1 / (stat.linear_units or 1)
        estop = stat.task_state == linuxcnc.STATE_ESTOP
        powered = estop or stat.task_state == linuxcnc.STATE_ON
        spindle = stat.spindle[0] if stat.spindle else {}
        values = {
            "availability": "AVAILABLE" if powered else "UNAVAILABLE",
            "emergency_stop": "TRIGGERED" if estop else "ARMED",
            "mode": MODES.get(stat.task_mode),
            "programme": os.path.basename(stat.file) or None,
            "tool": str(stat.tool_in_spindle) if stat.tool_in_spindle > 0 else None,
            "part_count": self.execution.completed,
            "execution": self.execution.word,
            "line": stat.motion_line,
            "feed": round(stat.current_vel * 60 * to_mm, 3),
            "feed_override": round(stat.feedrate * 100, 2),
            "spindle_speed": round(abs(spindle.get("speed", 0.0)), 2),
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

    def _errors(self, now):
        kinds = (self.linuxcnc.NML_ERROR, self.linuxcnc.OPERATOR_ERROR)
        while True:
            message = self.errors.poll()
            if not message:
                return
            if message[0] in kinds:
                say({"t": now, "error": message[1].strip()[:2000]})

    def do(self, request):
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
            return files.write(request["name"], request["content"])
        raise Refused("unknown_request", "no request named %s" % what)

    def _require(self, capability):
        if capability not in self.options["allow"]:
            raise Refused("not_allowed", "%s is not allowed on this machine" % capability)

    def hold(self):
        """Feed hold, where a programme runs in AUTO. Returns as soon as LinuxCNC has the command."""
        self.poll()
        automatic = self.stat.task_mode == self.linuxcnc.MODE_AUTO
        if not automatic or self.stat.interp_state == self.linuxcnc.INTERP_IDLE:
            raise Refused("nothing_to_hold", "no programme runs in AUTO")
        self.command.auto(self.linuxcnc.AUTO_PAUSE)


class Programmes:
    """The files of [DISPLAY]PROGRAM_PREFIX: no sub-folder, no link, no other extension."""

    def __init__(self, stat, linuxcnc, extensions):
        prefix = linuxcnc.ini(stat.ini_filename).find("DISPLAY", "PROGRAM_PREFIX")
        if not prefix:
            raise Refused("no_folder", "[DISPLAY]PROGRAM_PREFIX is not set in %s" % stat.ini_filename)
        self.folder = os.path.join(os.path.dirname(stat.ini_filename), os.path.expanduser(prefix))
        self.extensions = extensions

    def _path(self, name):
        if not NAME.fullmatch(name) or ".." in name or not name.lower().endswith(tuple(self.extensions)):
            raise Refused("bad_name", "%r is no programme name (%s)" % (name[:120], ", ".join(self.extensions)))
        return os.path.join(self.folder, name)

    def list(self):
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                usable = NAME.fullmatch(entry.name) and entry.name.lower().endswith(tuple(self.extensions))
                if usable and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    found.append({"name": entry.name, "size": status.st_size, "changed": status.st_mtime})
        return sorted(found, key=lambda file: file["name"])

    def read(self, name):
        try:
            handle = os.open(self._path(name), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError as error:
            raise Refused("no_programme", "%s: %s" % (name, error.strerror)) from error
        with open(handle, "rb") as file:
            content = file.read(MAX_PROGRAMME + 1)
        if len(content) > MAX_PROGRAMME:
            raise Refused("too_large", "%s is larger than %d bytes" % (name, MAX_PROGRAMME))
        return base64.b64encode(content).decode("ascii")

    def write(self, name, content):
        path = self._path(name)
        beside = os.path.join(self.folder, ".copeau-%d.part" % os.getpid())
        try:
            with open(beside, "wb") as file:
                file.write(base64.b64decode(content, validate=True))
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise Refused("not_written", "%s: %s" % (name, error.strerror)) from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)


def _module():
    try:
        import linuxcnc
    except ImportError as error:
        raise Fault("no_module", "%s has no linuxcnc module (%s)" % (sys.executable, error)) from error
    return linuxcnc


def _hal():
    import hal

    try:
        component = hal.component("copeau-%d" % os.getpid())
        component.ready()
    except hal.error as error:
        raise Fault("no_hal", "HAL cannot be joined: %s" % error) from error
    return hal, component


_out = 1


def say(message):
    """One line to the driver, whole."""
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(_out, data) :]


def serve(gateway, options):
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


def answer(gateway, request):
    signal.alarm(60)  # a large programme on a slow card
    try:
        say({"re": request["id"], "ok": gateway.do(request)})
    except Refused as refused:
        say({"re": request["id"], "no": refused.code, "why": str(refused)})


def main():
    global _out  # noqa: PLW0603 - LinuxCNC's libraries print on descriptor 1: it becomes stderr, the lines keep their own
    _out = os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
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
