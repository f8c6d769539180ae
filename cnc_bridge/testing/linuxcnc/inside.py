"""The first process of the simulated machine's namespaces, run by Debian's Python: starts LinuxCNC and lives with it.

It imports nothing of Copeau (it runs as another user, in another Python). Its first line of input is what to write and
do; each further line is a command; when its input ends, it ends, and all processes of its PID namespace end with it.
"""

import json
import os
import subprocess
import sys
import threading
import time

import linuxcnc

HOME = "/tmp/home"
CONFIG = HOME + "/config"
NC_FILES = HOME + "/nc_files"
SHOWN = HOME + "/shown"
PATIENCE_S = 30.0


def main():
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


def reap_until(worker):
    """What the first process of a PID namespace owes: collect every orphan; end with the worker."""
    while True:
        pid, status = os.wait()
        if pid == worker:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def write(name, text):
    path = os.path.join(HOME, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if "/bin/" in path:
        os.chmod(path, 0o755)


def say(answer):
    print(json.dumps(answer), flush=True)


def wait_for(what, test):
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        if test():
            return
        time.sleep(0.01)
    raise RuntimeError("LinuxCNC: %s within %.0f s; its log ends:\n%s" % (what, PATIENCE_S, log_end()))


def log_end():
    with open(HOME + "/linuxcnc.log", encoding="utf-8", errors="replace") as file:
        return "".join(file.readlines()[-15:])


class Machine:
    """What a person at the machine would do, one method a command."""

    def start(self):
        if os.path.exists(SHOWN):
            os.remove(SHOWN)
        log = open(HOME + "/linuxcnc.log", "ab")
        subprocess.Popen(["linuxcnc", "-r", CONFIG + "/machine.ini"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # its channels are made, and made again, while it starts: who opens them too early holds dead ones
        wait_for("no display", lambda: os.path.exists(SHOWN))
        self.stat, self.command = linuxcnc.stat(), linuxcnc.command()
        self._until("no answer", lambda stat: stat.joints == 3 and stat.task_state > 0)
        self.switch_on()

    def switch_on(self):
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

    def run(self, name):
        """Start the programme of that name, in AUTO; returns when it has begun, or has failed at once."""
        self.command.mode(linuxcnc.MODE_AUTO)
        self.command.wait_complete()
        self.command.program_open(os.path.join(NC_FILES, name))
        self.command.wait_complete()
        self.command.auto(linuxcnc.AUTO_RUN, 0)
        self._until(
            "the programme does not start",
            lambda stat: stat.interp_state != linuxcnc.INTERP_IDLE or stat.state == linuxcnc.RCS_ERROR,
        )

    def loop(self, name, between_s):
        while True:
            try:
                self.run(name)
                self.finish()
            except (RuntimeError, linuxcnc.error) as error:
                say({"failed": "loop", "why": str(error)})
            time.sleep(between_s)

    def finish(self):
        self._until("the programme does not end", lambda stat: stat.interp_state == linuxcnc.INTERP_IDLE)

    def resume(self):
        self.command.auto(linuxcnc.AUTO_RESUME)

    def pause(self):
        self.command.auto(linuxcnc.AUTO_PAUSE)

    def abort(self):
        self.command.abort()
        self.command.wait_complete()

    def mdi(self, line):
        self.command.mode(linuxcnc.MODE_MDI)
        self.command.wait_complete()
        self.command.mdi(line)

    def emergency_stop(self):
        self.command.state(linuxcnc.STATE_ESTOP)
        self.command.wait_complete()

    def switch_off(self):
        self.command.state(linuxcnc.STATE_OFF)
        self.command.wait_complete()

    def feed_override(self, percent):
        self.command.feedrate(percent / 100)

    def set_signal(self, name, value):
        subprocess.run(["halcmd", "sets", name, str(value)], check=True, capture_output=True, timeout=10)

    def write_file(self, name, text):
        write(name, text)

    def kill(self):
        """kill -9 of all that is LinuxCNC, as after a power cut of its process alone."""
        for pid in self._pids():
            os.kill(pid, 9)
        wait_for("still alive", lambda: not self._pids())

    def restart(self):
        self.start()

    def _pids(self):
        names = ("milltask", "linuxcncsvr", "io", "rtapi_app", "linuxcnc", "sleep", "halcmd")
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open("/proc/%s/stat" % entry) as file:
                        pid, rest = file.read().split(" (", 1)
                except OSError:
                    continue
                name, state = rest.rsplit(") ", 1)
                if name in names and not state.startswith("Z"):
                    found.append(int(pid))
        return found

    def _until(self, what, test):
        def look():
            self.stat.poll()
            return test(self.stat)

        wait_for(what, look)


main()
