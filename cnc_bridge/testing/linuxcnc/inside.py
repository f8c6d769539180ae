"""The first process of the simulated machine's namespaces, run by Debian's Python: starts LinuxCNC and lives with it.

It imports nothing of Copeau (it runs as another user, in another Python). Its first line of input is what to write and
do; each further line is a command; when its input ends, it ends, and all processes of its PID namespace end with it.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import linuxcnc  # type: ignore[import-not-found]  # only LinuxCNC's own Python has it

HOME = Path("/tmp/home")  # noqa: S108  # nosec B108  # in a mount namespace of its own
CONFIG = HOME / "config"
NC_FILES = HOME / "nc_files"
SHOWN = HOME / "shown"
LOG = HOME / "linuxcnc.log"
PATIENCE_S = 30.0


def main() -> None:
    worker = os.fork()
    if worker:
        reap_until(worker)
    plan = json.loads(sys.stdin.readline())
    for name, text in plan["files"].items():
        write(name, text)
    machine = Machine()
    machine.start()
    say({"ready": True})
    if plan["loop"]:
        threading.Thread(target=machine.loop, args=(plan["loop"], plan["between_s"]), daemon=True).start()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(machine, command["do"])(*command.get("with", []))
            say({"done": command["do"], "answer": answer})
        except (linuxcnc.error, RuntimeError, OSError, subprocess.SubprocessError) as error:
            say({"failed": command["do"], "why": str(error)})


def reap_until(worker: int) -> None:
    """What the first process of a PID namespace owes: collect every orphan; end with the worker."""
    while True:
        pid, status = os.wait()
        if pid == worker:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def write(name: str, text: str) -> None:
    path = HOME / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if path.parent.name == "bin":
        path.chmod(0o755)


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def wait_for(what: str, test: Callable[[], bool]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        if test():
            return
        time.sleep(0.01)
    raise RuntimeError(f"LinuxCNC: {what} within {PATIENCE_S:.0f} s; its log ends:\n{log_end()}")


def log_end() -> str:
    return "\n".join(LOG.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


class Machine:
    """What a person at the machine would do, one method a command."""

    def start(self) -> None:
        SHOWN.unlink(missing_ok=True)
        command = ["/usr/bin/linuxcnc", "-r", str(CONFIG / "machine.ini")]
        with LOG.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603  # nosec B603  # fixed
        # its channels are made, and made again, while it starts: who opens them too early holds dead ones
        wait_for("no display", SHOWN.exists)
        self.stat, self.command = linuxcnc.stat(), linuxcnc.command()
        self._until("no answer", lambda stat: stat.joints == 3 and stat.task_state > 0)
        self.switch_on()

    def switch_on(self) -> None:
        """Out of emergency stop, on, and homed."""
        self.command.state(linuxcnc.STATE_ESTOP_RESET)
        self.command.wait_complete()
        self.command.state(linuxcnc.STATE_ON)
        self.command.wait_complete()
        self._until("not switched on", lambda stat: stat.task_state == linuxcnc.STATE_ON)
        self.command.mode(linuxcnc.MODE_MANUAL)
        self.command.wait_complete()
        if not all(self.stat.homed[: self.stat.joints]):
            self.command.home(-1)
        self._until("not homed", lambda stat: all(stat.homed[: stat.joints]))

    def run(self, name: str) -> None:
        """Start the programme of that name, in AUTO; returns when it has begun, or has failed at once."""
        self.command.mode(linuxcnc.MODE_AUTO)
        self.command.wait_complete()
        self.command.program_open(str(NC_FILES / name))
        self.command.wait_complete()
        self.command.auto(linuxcnc.AUTO_RUN, 0)
        self._until(
            "the programme does not start",
            lambda stat: stat.interp_state != linuxcnc.INTERP_IDLE or stat.state == linuxcnc.RCS_ERROR,
        )

    def loop(self, name: str, between_s: float) -> None:
        while True:
            try:
                self.run(name)
                self.finish()
            except (RuntimeError, linuxcnc.error) as error:
                say({"failed": "loop", "why": str(error)})
            time.sleep(between_s)

    def finish(self) -> None:
        self._until("the programme does not end", lambda stat: stat.interp_state == linuxcnc.INTERP_IDLE)

    def resume(self) -> None:
        self.command.auto(linuxcnc.AUTO_RESUME)

    def pause(self) -> None:
        self.command.auto(linuxcnc.AUTO_PAUSE)

    def abort(self) -> None:
        self.command.abort()
        self.command.wait_complete()

    def mdi(self, line: str) -> None:
        self.command.mode(linuxcnc.MODE_MDI)
        self.command.wait_complete()
        self.command.mdi(line)

    def emergency_stop(self) -> None:
        self.command.state(linuxcnc.STATE_ESTOP)
        self.command.wait_complete()

    def switch_off(self) -> None:
        self.command.state(linuxcnc.STATE_OFF)
        self.command.wait_complete()

    def feed_override(self, percent: float) -> None:
        self.command.feedrate(percent / 100)

    def set_signal(self, name: str, value: float) -> None:
        command = ["/usr/bin/halcmd", "sets", name, str(value)]
        subprocess.run(command, check=True, capture_output=True, timeout=10)  # noqa: S603  # nosec B603  # a test's own words

    def write_file(self, name: str, text: str) -> None:
        write(name, text)

    def close(self) -> None:
        """Close its screen: LinuxCNC ends as a person ends it."""
        for pid in self._pids("sleep"):
            os.kill(pid, signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        del self.stat, self.command

    def open(self) -> None:
        self.start()

    def kill(self) -> None:
        """What `kill -9` of all that is LinuxCNC leaves: its memory, its lock and nobody."""
        for pid in self._pids():
            os.kill(pid, signal.SIGKILL)
        wait_for("still alive", lambda: not self._pids())

    def restart(self) -> None:
        """As after the computer was started again: what the killed processes left in memory is gone."""
        subprocess.run(["/usr/bin/ipcrm", "--all"], check=True, capture_output=True, timeout=10)  # nosec B603  # fixed words
        Path("/tmp/linuxcnc.lock").unlink(missing_ok=True)  # noqa: S108  # nosec B108  # LinuxCNC's own name for it
        (HOME / ".rtapi_fifo").unlink(missing_ok=True)
        self.start()

    def _pids(self, *wanted: str) -> list[int]:
        names = wanted or ("milltask", "linuxcncsvr", "io", "rtapi_app", "linuxcnc", "sleep", "halcmd")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    name, state = (entry / "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
                except OSError:
                    continue
                if name in names and not state.startswith("Z"):
                    found.append(int(entry.name))
        return found

    def _until(self, what: str, test: Callable[[Any], bool]) -> None:
        def look() -> bool:
            self.stat.poll()
            return test(self.stat)

        wait_for(what, look)


main()
