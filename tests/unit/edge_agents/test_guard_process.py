"""The guard's runner over a fake driver: what it commands, what it says, and what it never does."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cnc_bridge.config import ConfigError, MachineSource, parse
from cnc_bridge.guard import Guard, GuardSettings, Memory
from cnc_bridge.guard.acting import Relay
from cnc_bridge.port import Driver, DriverFaultError, Finding, Heard, Moment, Reading
from contracts.control import RearmGuard
from edge_agents import guard_process
from edge_agents.agent import make_parts
from edge_agents.commands import CommandRefusedError
from edge_agents.config import ConfigError as AgentConfigError
from edge_agents.config import load
from edge_agents.guard_messages import Blind, Disarmed, Forget, Noted, Order, Said, Tripped, Watching
from edge_agents.guard_runner import GuardRunner
from edge_agents.parts.guard import tables
from edge_agents.parts.machine import MachinePart

LIMITS = {"spindle_load": {"alert": 100.0, "hold": 130.0}}


class FakeDriver(Driver):
    """A controller in this process: `script` drives it, `on_hold` answers a hold."""

    def __init__(self, source: MachineSource, script: Callable[[FakeDriver], Any]) -> None:
        super().__init__(source.driver)
        self._script = script
        self.holds: list[float] = []
        self.on_hold: Callable[[], None] = lambda: None

    async def _session(self) -> None:
        self._link_up("fake")
        await self._script(self)
        await asyncio.Event().wait()

    async def probe(self) -> list[Finding]:
        return []

    async def _hold(self) -> None:
        self.holds.append(time.monotonic())
        self.on_hold()

    def say(self, signal: str, value: float | str | None) -> None:
        self._stream.put(Reading(signal, value, None, Moment(datetime.now(UTC), time.monotonic())))

    async def samples(self, signal: str, *values: float | None) -> None:
        for value in values:
            self.say(signal, value)
            await asyncio.sleep(0.01)


class FakeRelay(Relay):
    def __init__(self) -> None:
        self.closed = 0

    def close_contact(self) -> None:
        self.closed += 1


def machine(**guard: object) -> MachineSource:
    table = {
        "machine": {"id": "tour-1", "guard": {"limits": LIMITS, "after_s": 0.05, "held_within_s": 0.5, **guard}},
        "driver": {"kind": "linuxcnc", "allow": ["hold"]},
    }
    return parse(table)


async def crash(driver: FakeDriver) -> None:
    driver.say("execution", "ACTIVE")
    driver.say("feed", 1200.0)
    await driver.samples("spindle_load", *[20.0] * 6, *[180.0] * 6)


async def run(
    source: MachineSource,
    script: Callable[[FakeDriver], Any],
    until: Callable[[list[Said]], bool],
    *,
    relay: Relay | None = None,
    prepare: Callable[[GuardRunner, FakeDriver], None] = lambda _runner, _driver: None,
) -> tuple[list[Said], FakeDriver, GuardRunner]:
    """Run until what was said satisfies `until`."""
    said: list[Said] = []
    driver = FakeDriver(source, script)
    assert source.machine.guard is not None
    runner = GuardRunner(source, Guard(source.machine.guard), driver, said.append, relay=relay)
    prepare(runner, driver)
    task = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(20):
            while not until(said):
                await asyncio.sleep(0.01)
                if task.done():
                    task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])
    return said, driver, runner


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


def trips(said: list[Said]) -> list[Tripped]:
    return [one for one in said if isinstance(one, Tripped)]


def tripped(said: list[Said]) -> bool:
    return bool(trips(said))


async def test_in_shadow_mode_nothing_is_commanded() -> None:
    said, driver, runner = await run(machine(), crash, tripped)
    (trip,) = trips(said)
    assert (trip.level, trip.outcome, driver.holds, runner.guard.armed) == ("hold", "shadow", [], True)
    assert (trip.latency_ms, trip.stop_ms, trip.travel_mm, trip.feed) == (None, None, None, 1200.0)


async def test_in_alert_mode_neither() -> None:
    said, driver, _ = await run(machine(mode="alert"), crash, tripped)
    (trip,) = trips(said)
    assert (trip.level, trip.outcome, driver.holds) == ("hold", "none", [])
    assert "mode alerte" in trip.why


async def test_a_hold_is_held_when_velocity_0_is_seen() -> None:
    source = machine(mode="hold")
    said, driver, runner = await run(
        source,
        crash,
        tripped,
        prepare=lambda _, d: setattr(
            d, "on_hold", lambda: asyncio.get_running_loop().call_later(0.03, d.say, "feed", 0.0)
        ),
    )
    (trip,) = trips(said)
    assert (trip.level, trip.outcome, len(driver.holds), runner.guard.armed) == ("hold", "held", 1, False)
    assert trip.latency_ms is not None
    assert trip.stop_ms is not None
    assert trip.stop_ms >= 25
    assert trip.travel_mm == pytest.approx(1200 / 60 * (trip.latency_ms + trip.stop_ms) / 1000, abs=0.01)
    assert any(isinstance(one, Disarmed) for one in said)
    assert max(value for _, value, _ in trip.points) == 180.0
    assert trip.points[0][0] == 0


async def test_a_machine_that_goes_on_is_said_deferred() -> None:
    said, driver, _ = await run(machine(mode="hold"), crash, tripped)
    (trip,) = trips(said)
    assert (trip.outcome, trip.stop_ms, trip.travel_mm, len(driver.holds)) == ("deferred", None, None, 1)


async def test_a_velocity_of_0_before_the_command_is_no_proof() -> None:
    async def standing(driver: FakeDriver) -> None:
        driver.say("execution", "ACTIVE")
        driver.say("feed", 0.0)
        await driver.samples("spindle_load", *[20.0] * 6, *[180.0] * 6)

    said, _, _ = await run(machine(mode="hold"), standing, tripped)
    assert trips(said)[0].outcome == "deferred"


async def crash_and_calm(driver: FakeDriver) -> None:
    await crash(driver)
    await driver.samples("spindle_load", *[20.0] * 200)


async def test_a_hold_that_does_not_arrive_is_said_failed_and_the_guard_stays_armed() -> None:
    def fail() -> None:
        raise DriverFaultError("closed", "not connected", "Machine non connectée.")

    said, _, runner = await run(
        machine(mode="hold"), crash_and_calm, tripped, prepare=lambda _, d: setattr(d, "on_hold", fail)
    )
    assert (trips(said)[0].outcome, runner.guard.armed) == ("failed", True)


async def test_a_hold_that_fails_in_an_unexpected_way_is_told_and_the_guard_goes_on() -> None:
    def prepare(_: GuardRunner, driver: FakeDriver) -> None:
        def bug() -> None:
            raise ZeroDivisionError("a bug in a protocol library")

        driver.on_hold = bug

    said, _, runner = await run(machine(mode="hold"), crash_and_calm, tripped, prepare=prepare)
    assert ([trip.outcome for trip in trips(said)], runner.guard.armed) == (["failed"], True)


async def test_a_hold_that_does_not_pass_is_sent_again_until_it_does_and_told_once() -> None:
    async def stuck(driver: FakeDriver) -> None:
        await crash(driver)
        while True:
            await driver.samples("spindle_load", 180.0)

    def prepare(_: GuardRunner, driver: FakeDriver) -> None:
        def answer() -> None:
            if len(driver.holds) < 3:
                raise DriverFaultError("closed", "not connected", "Machine non connectée.")
            asyncio.get_running_loop().call_later(0.03, driver.say, "feed", 0.0)

        driver.on_hold = answer

    said, driver, runner = await run(machine(mode="hold"), stuck, tripped, prepare=prepare)
    (trip,) = trips(said)
    assert (trip.level, trip.outcome, len(driver.holds), runner.guard.armed) == ("hold", "held", 3, False)
    assert all(later - sooner >= 0.5 for sooner, later in zip(driver.holds, driver.holds[1:], strict=False))
    assert trip.latency_ms is not None
    assert trip.latency_ms >= 1000
    assert "3 essais" in trip.why
    assert [one.french != "" for one in said if isinstance(one, Noted)] == [True, False]
    assert sum(isinstance(one, Disarmed) for one in said) == 1


async def test_a_relay_that_breaks_does_not_keep_the_driver_from_holding() -> None:
    class BrokenRelay(Relay):
        def close_contact(self) -> None:
            raise OSError("the pin is gone")

    said, driver, runner = await run(machine(mode="hold"), crash, tripped, relay=BrokenRelay())
    assert ([trip.outcome for trip in trips(said)], len(driver.holds), runner.guard.armed) == (["deferred"], 1, False)


async def test_one_signal_that_is_lost_while_others_come_blinds_for_it() -> None:
    source = machine(blind_after_s=5.0)
    said: list[Said] = []
    guard = Guard(GuardSettings.model_validate({"limits": LIMITS}))
    runner = GuardRunner(source, guard, FakeDriver(source, crash), said.append)
    now = time.monotonic()
    runner._up, runner._up_since = True, now - 60.0
    for values in ({"spindle_load": 20.0, "x_load": 10.0}, {"spindle_load": 20.0, "x_load": None}, {"x_load": 10.0}):
        received = Moment(datetime.now(UTC), now)
        await runner._take([Reading(name, value, None, received) for name, value in values.items()])
        runner._look()
    assert [one.code if isinstance(one, Blind) else type(one).__name__ for one in said] == [
        "Watching", "guard_signal_missing", "Watching",
    ]  # fmt: skip


async def test_samples_that_come_late_do_not_make_the_guard_forget_what_is_above() -> None:
    """One signal's samples were a second and a half longer on their way than the other's."""
    said: list[Said] = []
    source = machine()
    guard = Guard(GuardSettings.model_validate({"limits": LIMITS}))
    runner = GuardRunner(source, guard, FakeDriver(source, crash), said.append)
    start, wall, session = time.monotonic(), datetime.now(UTC), guard.context

    def moment(seconds: float) -> Moment:
        return Moment(wall + timedelta(seconds=seconds), start + seconds)

    for number in range(40):
        at, late = number * 0.1, 1.5 if number >= 5 else 0.0
        value = 180.0 if number >= 10 else 20.0
        await runner._take([Reading("feed", 500.0, None, moment(at + late))])
        await runner._take([Reading("spindle_load", value, moment(at).wall, moment(at + late))])
    runner._tell(flush=True)
    assert [trip.level for trip in trips(said)] == ["hold"]
    assert guard.context is session  # no new one: cycles and streaks go on


async def test_the_relay_holds_when_the_driver_may_not() -> None:
    table = {
        "machine": {
            "id": "tour-1",
            "guard": {"mode": "hold", "limits": LIMITS, "after_s": 0.05, "held_within_s": 0.3, "relay": {"pin": 17}},
        },
        "driver": {"kind": "linuxcnc"},
    }
    relay = FakeRelay()
    said, driver, _ = await run(parse(table), crash, tripped, relay=relay)
    assert (relay.closed, driver.holds, trips(said)[0].outcome) == (1, [], "deferred")


async def test_after_a_hold_it_watches_and_holds_again_only_when_re_armed() -> None:
    relay = FakeRelay()
    runners: list[GuardRunner] = []

    async def twice(driver: FakeDriver) -> None:
        await crash(driver)
        await asyncio.sleep(0.1)
        await driver.samples("spindle_load", *[20.0] * 130)
        await crash(driver)
        await asyncio.sleep(0.1)
        runners[0].rearm()
        await driver.samples("spindle_load", *[20.0] * 130)
        await crash(driver)

    said, driver, _ = await run(
        machine(mode="hold", held_within_s=0.1), twice, lambda s: len(trips(s)) == 3, relay=relay,
        prepare=lambda runner, _: runners.append(runner),
    )  # fmt: skip
    assert [trip.level for trip in trips(said)] == ["hold"] * 3
    assert (relay.closed, len(driver.holds)) == (2, 2)
    assert "réarmer" in trips(said)[1].why
    assert trips(said)[1].outcome == "none"


async def test_blindness_is_said_and_its_end() -> None:
    async def signals_come_and_go(driver: FakeDriver) -> None:
        driver.say("spindle_load", 20.0)
        await asyncio.sleep(0.3)
        driver.say("spindle_load", None)
        await asyncio.sleep(0.3)
        driver.say("spindle_load", 20.0)
        await asyncio.sleep(0.3)  # and then nothing at all
        await asyncio.Event().wait()

    source = machine(blind_after_s=1.0)
    said, _, _ = await run(source, signals_come_and_go, lambda s: len(s) >= 4)
    kinds = [one.code if isinstance(one, Blind) else type(one).__name__ for one in said]
    assert kinds == ["Watching", "guard_no_signal", "Watching", "guard_silent"]
    assert all("aveugle" in one.french for one in said if isinstance(one, Blind))
    assert isinstance(said[0], Watching)
    assert said[0].signals == ["spindle_load"]


async def test_a_lost_link_blinds() -> None:
    async def cut(driver: FakeDriver) -> None:
        driver.say("spindle_load", 20.0)
        await asyncio.sleep(0.2)
        raise DriverFaultError("closed", "cut", "Coupée.", retry_after_s=30.0)

    said, _, _ = await run(machine(blind_after_s=0.3), cut, lambda s: any(isinstance(one, Blind) for one in s))
    assert [one.code for one in said if isinstance(one, Blind)] == ["guard_no_link"]


async def test_readings_of_one_batch_are_judged_in_the_order_of_their_own_times() -> None:
    """A publishing server sends all samples of one signal, then all of another: that makes no spike an alert."""
    said: list[Said] = []
    source = machine()
    runner = GuardRunner(
        source, Guard(GuardSettings.model_validate({"limits": LIMITS})), FakeDriver(source, crash), said.append
    )
    start = time.monotonic()
    wall = datetime.now(UTC)

    def reading(signal: str, number: int, value: float, received: float) -> Reading:
        at = datetime.fromtimestamp(wall.timestamp() + number * 0.01, UTC)
        return Reading(
            signal, value, at, Moment(datetime.fromtimestamp(wall.timestamp() + received, UTC), start + received)
        )

    for publish in range(10):
        numbers = range(publish * 10, publish * 10 + 10)
        received = numbers[-1] * 0.01
        batch = [reading("feed", n, 500.0 + n, received) for n in numbers]
        batch += [reading("spindle_load", n, 180.0 if n == 89 else 20.0, received) for n in numbers]
        await runner._take(batch)
    runner._tell(flush=True)
    assert [trip.level for trip in trips(said)] == ["watch"]


async def test_a_value_that_does_not_change_is_still_above_as_long_as_the_machine_is_heard() -> None:
    said: list[Said] = []
    source = machine()
    guard = Guard(GuardSettings.model_validate({"limits": LIMITS}))
    runner = GuardRunner(source, guard, FakeDriver(source, crash), said.append)
    start, wall = time.monotonic(), datetime.now(UTC)
    for number, value in enumerate([20.0] * 5 + [180.0]):
        moment = Moment(wall, start + number * 0.01)
        await runner._take([Reading("spindle_load", value, None, moment)])
    await runner._take([Heard(Moment(wall, start + 0.07))])
    runner._tell(flush=True)
    assert [trip.level for trip in trips(said)] == ["watch"]
    for tenth in range(6, 12):
        await runner._take([Heard(Moment(wall, start + tenth / 10))])
    runner._tell(flush=True)
    assert [trip.level for trip in trips(said)] == ["watch", "hold"]


async def test_a_damaged_memory_is_said_and_learnt_anew(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"
    path.write_text("{")
    said: list[Said] = []
    order = Order(tables(machine()), str(path), armed=True)
    driver: list[FakeDriver] = []

    def prepare(order: Order) -> tuple[MachineSource, Driver]:
        source = parse(order.machine)
        driver.append(FakeDriver(source, crash))
        return source, driver[0]

    task = asyncio.create_task(guard_process.guard_machine(order, said.append, asyncio.Queue(), prepare))
    await until(lambda: tripped(said))
    task.cancel()
    await asyncio.wait([task])
    assert isinstance(said[0], Noted)
    assert (tmp_path / "guard.json.damaged").read_text() == "{"


async def test_what_is_learnt_is_written_and_a_changed_programme_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "guard.json"

    async def cycles(driver: FakeDriver) -> None:
        driver.say("programme", "P1")
        for _ in range(2):
            driver.say("execution", "ACTIVE")
            await driver.samples("spindle_load", *[20.0] * 5)
            driver.say("execution", "PROGRAM_COMPLETED")

    source = machine()
    driver = FakeDriver(source, cycles)
    assert source.machine.guard is not None
    runner = GuardRunner(source, Guard(source.machine.guard), driver, lambda _: None, memory=path)
    task = asyncio.create_task(runner.run())
    await until(lambda: path.exists() and runner.guard.learnt_cycles == 2)
    await until(lambda: len(Memory.load(path)) == 1)
    runner.obey(Forget("P2"))
    assert len(runner.guard.memory) == 1
    runner.obey(Forget("P1"))
    await until(lambda: len(Memory.load(path)) == 0)
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize(
    ("driver", "guard", "said"),
    [
        ({"kind": "linuxcnc"}, {"mode": "hold"}, "needs `allow"),
        ({"kind": "shdr", "host": "h", "allow": ["hold"]}, {"mode": "hold"}, "cannot hold"),
        ({"kind": "shdr", "host": "h"}, {"mode": "stop"}, "mode"),
        ({"kind": "shdr", "host": "h"}, {"limits": {"spindle_load": {"alert": 9, "hold": 5}}}, "must not be below"),
        ({"kind": "shdr", "host": "h"}, {"marge": 1}, "marge"),
        (
            {"kind": "shdr", "host": "h"},
            {"driver": {"heartbeat": 1}},
            r"guard\.driver\.heartbeat: unknown key",
        ),
    ],
)
def test_a_guard_that_cannot_do_what_it_is_told_is_refused_at_start(driver: object, guard: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({"machine": {"id": "tour-1", "guard": guard}, "driver": driver})


def test_the_guards_driver_settings_come_over_the_machines() -> None:
    table = {
        "machine": {"id": "tour-1", "guard": {"driver": {"publishing_ms": 20.0}}},
        "driver": {"kind": "opcua", "endpoint": "opc.tcp://h:4840", "user": "u", "password": "secret",
                   "signals": {"execution": "ns=2;s=e"}},
    }  # fmt: skip
    made = tables(parse(table))
    assert made["driver"]["publishing_ms"] == 20.0
    assert made["driver"]["password"] == "secret"
    assert parse(made).driver.kind == "opcua"


def test_an_agent_that_does_not_read_does_not_hold_up_the_guard() -> None:
    reading, writing = os.pipe()
    mouth = guard_process.Mouth(os.fdopen(writing, "wb"))
    for number in range(200):
        mouth.say(Noted("code", f"{number} " + "x" * 5000))  # a pipe holds 64 KiB
    told = []
    with os.fdopen(reading, "rb") as pipe:
        for _ in range(200):
            length = int.from_bytes(pipe.read(4), "big")
            told.append(msgspec.msgpack.decode(pipe.read(length), type=Noted))
    assert [one.french.split()[0] for one in told] == [str(number) for number in range(200)]
    mouth.close()


def test_an_agents_file_carries_the_guard(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        '[agent]\nname = "pi-1"\n[[machine]]\nname = "tour-1"\ndriver = "linuxcnc"\nallow = ["hold"]\n'
        '[machine.guard]\nmode = "hold"\nmemory = "learnt.json"\n[machine.guard.limits]\n'
        "spindle_load = { alert = 120, hold = 150 }\n"
    )
    (machine,) = load(path).machine
    assert machine.machine.guard is not None
    assert machine.machine.guard.memory == tmp_path / "learnt.json"
    assert machine.machine.guard.limits["spindle_load"].hold == 150.0
    path.write_text(path.read_text().replace('allow = ["hold"]\n', ""))
    with pytest.raises(AgentConfigError, match=r"line 7: machine\[1\]\.guard\.mode: .*allow"):
        load(path)


def test_parts_of_a_guarded_machine(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        '[agent]\nname = "pi-1"\n[[machine]]\nname = "tour-1"\ndriver = "shdr"\nhost = "h"\n[machine.guard]\n'
        '[[machine]]\nname = "tour-2"\ndriver = "shdr"\nhost = "h"\n'
    )
    assert [part.name for part in make_parts(load(path))] == ["tour-1", "tour-1-garde", "tour-2"]


def test_a_machine_cannot_be_called_like_another_ones_guard(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text(
        '[agent]\nname = "pi-1"\n[[machine]]\nname = "tour-1"\ndriver = "shdr"\nhost = "h"\n[machine.guard]\n'
        '[[machine]]\nname = "tour-1-garde"\ndriver = "shdr"\nhost = "h"\n'
    )
    with pytest.raises(AgentConfigError, match="two parts are called `tour-1-garde`"):
        load(path)


async def test_a_machine_without_a_guard_refuses_to_re_arm_it() -> None:
    command = RearmGuard(id="c", expires=datetime.now(UTC), machine="tour-1")
    with pytest.raises(CommandRefusedError, match="pas de garde"):
        await MachinePart(machine()).obey(command)
