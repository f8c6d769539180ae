"""What goes wrong between Copeau and a real LinuxCNC: killed, stopped, the wrong account, no module, a mute gateway."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.linuxcnc import discovery, gateway
from cnc_bridge.port import DriverEvent, DriverFaultError, Link, Problem, Reading
from cnc_bridge.probing import parse_address
from cnc_bridge.testing import linuxcnc_sim
from cnc_bridge.testing.linuxcnc_sim import SimulatedController

needs_linuxcnc = pytest.mark.skipif(bool(linuxcnc_sim.missing()), reason=linuxcnc_sim.missing() or "it is there")
PYTHON = "/usr/bin/python3"


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[SimulatedController]:
    async with linuxcnc_sim.simulated(tmp_path / "linuxcnc.json") as controller:
        yield controller


def source(**settings: Any) -> MachineSource:
    driver = {"kind": "linuxcnc", "reconnect_max_s": 0.5, "heartbeat_s": 0.2} | settings
    return parse({"machine": {"id": "m", "stale_after_s": 3.0}, "driver": driver})


async def first_problem(wanted: MachineSource) -> Problem:
    async with asyncio.timeout(60), wanted.create_driver().open() as stream:
        async for batch in stream:
            for event in batch:
                if isinstance(event, Problem):
                    return event
    raise AssertionError("the stream ended by itself")


class Story:
    """What a driver says, as words: link up, link down, problem codes, part counts."""

    def __init__(self, stream: AsyncIterator[list[DriverEvent]]) -> None:
        self._stream = stream
        self.links: list[bool] = []
        self.codes: list[str] = []
        self.counts: list[object] = []
        self.executions: list[object] = []

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not enough():
                for event in await anext(self._stream):
                    if isinstance(event, Link):
                        self.links.append(event.up)
                    elif isinstance(event, Problem):
                        self.codes.append(event.code)
                    elif isinstance(event, Reading) and event.signal == "part_count":
                        self.counts.append(event.value)
                    elif isinstance(event, Reading) and event.signal == "execution":
                        self.executions.append(event.value)


@contextlib.asynccontextmanager
async def story(machine: SimulatedController) -> AsyncIterator[Story]:
    signals = {"spindle_load": "hal:spindle-load"}
    wanted = source(command=linuxcnc_sim.entrance(machine.state_file), signals=signals)
    async with wanted.create_driver().open() as stream:
        told = Story(stream)
        await told.until(lambda: bool(told.executions))
        yield told


def gateways(machine: SimulatedController) -> list[int]:
    """The gateway processes beside this LinuxCNC, by their pid out here."""
    inside = linuxcnc_sim.inhabitants(machine.state_file)
    return [pid for pid in inside if b"gateway.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@needs_linuxcnc
async def test_a_killed_gateway_is_started_again_and_the_count_goes_on(machine: SimulatedController) -> None:
    async with story(machine) as told:
        await machine.do("run", linuxcnc_sim.PROGRAMME)
        await told.until(lambda: told.counts[-1] == 1)
        for pid in gateways(machine):
            os.kill(pid, signal.SIGKILL)
        await told.until(lambda: told.links == [True, False, True])
        await told.until(lambda: len(told.counts) == 3)
        assert told.counts == [0, 1, 1]
        assert told.codes == ["gateway_ended"]


@needs_linuxcnc
async def test_a_gateway_that_hangs_is_noticed_and_replaced(machine: SimulatedController) -> None:
    async with story(machine) as told:
        (first,) = gateways(machine)
        os.kill(first, signal.SIGSTOP)
        await told.until(lambda: told.links == [True, False, True])
        assert told.codes == ["mute"]
        os.kill(first, signal.SIGCONT)  # it finds its input closed and ends
        async with asyncio.timeout(20):
            while first in gateways(machine):  # noqa: ASYNC110 - another process's end gives no event
                await asyncio.sleep(0.05)


@needs_linuxcnc
async def test_linuxcnc_killed_and_started_again(machine: SimulatedController) -> None:
    """Its shared memory stays readable after kill -9, with its last values."""
    async with story(machine) as told:
        await machine.do("kill")
        await told.until(lambda: told.links == [True, False] and "not_running" in told.codes)
        assert told.codes[0] == "ended"
        said = len(told.executions)
        await machine.do("restart")
        await told.until(lambda: told.links == [True, False, True])
        await told.until(lambda: len(told.executions) > said)


@needs_linuxcnc
async def test_linuxcnc_closed_and_opened_by_its_operator(machine: SimulatedController) -> None:
    """It closes although we read its HAL, and we find the new one."""
    async with story(machine) as told:
        await machine.do("close")
        await told.until(lambda: "not_running" in told.codes)
        await machine.do("open")
        await told.until(lambda: told.links == [True, False, True])
        await machine.do("run", linuxcnc_sim.PROGRAMME)
        await told.until(lambda: told.executions[-1] == "ACTIVE")


@needs_linuxcnc
async def test_a_stopped_linuxcnc_is_not_shown_by_its_last_values(machine: SimulatedController) -> None:
    async with story(machine) as told:
        (task,) = [pid for pid, name in linuxcnc_sim.inhabitants(machine.state_file).items() if name == "milltask"]
        os.kill(task, signal.SIGSTOP)
        await told.until(lambda: told.links == [True, False])
        assert told.codes == ["stopped"]
        os.kill(task, signal.SIGCONT)
        await told.until(lambda: told.links[-1])


@needs_linuxcnc
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_account_is_named(machine: SimulatedController) -> None:
    problem = await first_problem(source(command=linuxcnc_sim.entrance(machine.state_file, as_root=True)))
    assert problem.code == "wrong_user"
    assert "nobody" in problem.message
    assert "`user`" in problem.message_fr


@needs_linuxcnc
async def test_a_foreign_home_does_not_matter(machine: SimulatedController) -> None:
    """LinuxCNC's status cannot be read without its tool table, which lives in the HOME that it was started with."""
    wanted = source(command=[*linuxcnc_sim.entrance(machine.state_file), "env", "HOME=/"])
    findings = await wanted.create_driver().probe()
    assert all(finding.ok for finding in findings)


@needs_linuxcnc
async def test_through_a_remote_shell_the_words_arrive_whole(machine: SimulatedController, tmp_path: Path) -> None:
    """A stand-in for ssh: it hands one string to a shell on the other side, as ssh does."""
    ssh = tmp_path / "ssh"
    inside = " ".join(linuxcnc_sim.entrance(machine.state_file))
    ssh.write_text(f'#!/bin/sh\nshift\nexec {inside} sh -c "$*"\n')
    ssh.chmod(ssh.stat().st_mode | stat.S_IXUSR)
    wanted = source(command=[str(ssh), "cnc@atelier-3"])
    assert wanted.driver.address == "linuxcnc at atelier-3"
    findings = await wanted.create_driver().probe()
    assert findings[0].value.startswith("LinuxCNC 2.")
    assert all(finding.ok for finding in findings)


@needs_linuxcnc
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.skipif(sys.executable.startswith("/tmp/"), reason="the simulated machine has a /tmp of its own")
async def test_a_probe_finds_the_linuxcnc_of_its_own_computer_and_its_account(machine: SimulatedController) -> None:
    ask = [sys.executable, "-c", "from copeau.commands.cnc import command; command()", "probe", "localhost"]
    command = [*linuxcnc_sim.entrance(machine.state_file, as_root=True), *ask]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=Path.cwd())
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert b'kind = "linuxcnc"' in said
    assert b'user = "nobody"' in said


async def test_no_linuxcnc_is_offered_for_another_address() -> None:
    assert await discovery.discover(parse_address("192.0.2.1")) is None
    assert await discovery.discover(parse_address("localhost:7878")) is None


async def test_a_python_without_linuxcnc_is_explained() -> None:
    problem = await first_problem(source(python=sys.executable))
    assert problem.code == "no_module"
    assert "linuxcnc-uspace" in problem.message_fr


async def test_a_python_that_is_not_there_is_explained() -> None:
    problem = await first_problem(source(python="/no/such/python3"))
    assert problem.code == "no_python"
    with pytest.raises(DriverFaultError):
        await source(python="/no/such/python3").create_driver().probe()


async def test_an_account_that_does_not_exist_is_explained() -> None:
    problem = await first_problem(source(user="no-such-account"))
    assert problem.code == "wrong_user"


async def test_a_gateway_that_says_nothing_is_given_up() -> None:
    problem = await first_problem(source(command=["sh", "-c", "exec sleep 60"], connect_timeout_s=0.5))
    assert problem.code == "mute"


async def test_a_gateway_that_talks_nonsense_is_given_up() -> None:
    problem = await first_problem(source(command=["sh", "-c", "echo welcome; exec sleep 60"]))
    assert problem.code == "gateway_ended"
    assert "welcome" in problem.message


async def test_the_last_words_of_a_failing_command_are_passed_on() -> None:
    problem = await first_problem(source(command=["sh", "-c", "echo no route to cnc-3 >&2; exit 7"]))
    assert "no route to cnc-3" in problem.message


FAKE_MODULE = """
import time
class error(Exception): pass
class stat:
    def poll(self): time.sleep(3600)
"""


async def test_a_call_into_linuxcnc_that_never_returns_ends_the_gateway(tmp_path: Path) -> None:
    """The module here is a fake whose first call hangs; any process of ours plays the task."""
    (tmp_path / "linuxcnc.py").write_text(FAKE_MODULE)
    text = inspect.getsource(gateway).replace("ALARM_S = 5", "ALARM_S = 1")
    _, task, _ = gateway._process(os.getpid()) or (0, "", "")
    options = {"nml": None, "task": task, "errors": False, "allow": [], "completed": 0, "keys": []}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        text,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(options).encode() + b"\n")
    async with asyncio.timeout(60):
        assert await process.wait() == -signal.SIGALRM
