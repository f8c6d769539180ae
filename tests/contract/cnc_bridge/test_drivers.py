"""What every driver must do, against a real server in its own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cnc_bridge import catalogue
from cnc_bridge.config import MachineSource
from cnc_bridge.follow import follow
from cnc_bridge.port import DriverEvent, DriverFaultError, Finding, Link, NotAllowedError, Problem, Reading
from cnc_bridge.tracking import CycleEnded, Event, PartsCounted, SamplesReady, SourceTrouble, StateChanged, TrackerState
from tests.contract.cnc_bridge.far_sides import FarSide, kinds

LONG = 90
"""Seconds after which waiting is given up; nothing here is a measure of speed."""


async def readings(source: MachineSource, enough: Callable[[list[DriverEvent]], bool]) -> list[DriverEvent]:
    seen: list[DriverEvent] = []
    async with asyncio.timeout(LONG), source.create_driver().open() as stream:
        async for batch in stream:
            seen += batch
            if enough(seen):
                return seen
    raise AssertionError("the driver's stream ended by itself")


async def events_until(
    source: MachineSource, enough: Callable[[list[Event]], bool], state: TrackerState | None = None
) -> tuple[list[Event], TrackerState]:
    seen: list[Event] = []
    async with asyncio.timeout(LONG), follow(source, state) as machine:
        async for step in machine.steps():
            seen += step.events
            if enough(seen):
                return seen, step.state
    raise AssertionError("the machine's events ended by themselves")


def signals(seen: list[DriverEvent]) -> set[str]:
    return {event.signal for event in seen if isinstance(event, Reading) and event.value is not None}


def states(seen: list[Event]) -> list[str]:
    return [event.state for event in seen if isinstance(event, StateChanged)]


def test_the_contract_covers_every_driver() -> None:
    assert catalogue.kinds() == kinds(), "add the new driver's far side to far_sides/"


async def test_it_delivers_readings_with_the_controllers_time(far_side: FarSide) -> None:
    await far_side.start()
    seen = await readings(far_side.source(), lambda seen: far_side.signals <= signals(seen))
    assert isinstance(next(event for event in seen if not isinstance(event, Problem)), Link)
    stamped = [event.source_time for event in seen if isinstance(event, Reading) and event.source_time]
    assert bool(stamped) == far_side.source_time
    if not stamped:
        return
    assert max(stamped) - datetime.now(UTC) < timedelta(minutes=5)
    assert all(time.tzinfo is not None for time in stamped)


async def test_it_makes_states_cycles_parts_and_samples(far_side: FarSide) -> None:
    await far_side.start()
    made: set[type[Event]] = {StateChanged, CycleEnded}
    made |= {PartsCounted} if "part_count" in far_side.signals else set()
    made |= {SamplesReady} if "spindle_load" in far_side.signals else set()
    seen, _ = await events_until(far_side.source(), lambda seen: made <= {type(event) for event in seen})
    assert "running" in states(seen)
    samples = [event for event in seen if isinstance(event, SamplesReady)]
    assert all(event.unit for event in samples), "a sample without unit"


async def test_it_comes_back_after_the_server_is_killed(far_side: FarSide) -> None:
    await far_side.start()
    links: list[bool] = []
    values_after = False
    async with asyncio.timeout(LONG), far_side.source().create_driver().open() as stream:
        async for batch in stream:
            links += [event.up for event in batch if isinstance(event, Link)]
            if links == [True] and signals(batch):
                await far_side.kill()
            elif links == [True, False]:
                links.append(False)  # start once
                await far_side.start()
            elif links == [True, False, False, True] and signals(batch):
                values_after = True
                break
    assert values_after


async def test_it_is_silent_while_the_server_hangs_and_comes_back(far_side: FarSide) -> None:
    if not far_side.can_hang:
        pytest.skip("there is no process that could hang")
    await far_side.start()
    said: list[str] = []
    links: list[str] = []
    sampled: list[datetime] = []
    hung = False
    async with asyncio.timeout(LONG), follow(far_side.source()) as machine:
        async for step in machine.steps():
            before = len(said)
            said += states(step.events)
            sampled += [event.t0 for event in step.events if isinstance(event, SamplesReady)]
            links += [event.status for event in step.events if isinstance(event, SourceTrouble)]
            lively = "spindle_load" not in far_side.signals or (
                bool(sampled) and sampled[-1] - sampled[0] > timedelta(seconds=2)
            )
            if not hung and said and lively:
                hung = True
                far_side.hang()
            if "silent" in said[before:]:
                assert machine.current == {}, "old values shown as current"
                far_side.go_on()
            if "silent" in said and said[-1] != "silent":
                break
    assert said.count("silent") == 1
    assert "lost" in links, "the half-open connection was not noticed"


async def test_it_closes_while_the_server_hangs(far_side: FarSide) -> None:
    if not far_side.can_hang:
        pytest.skip("there is no process that could hang")
    await far_side.start()
    async with asyncio.timeout(LONG):
        async with far_side.source().create_driver().open() as stream:
            async for batch in stream:
                if signals(batch):
                    break
            far_side.hang()
        far_side.go_on()
    await asyncio.sleep(0.1)
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert left == []


async def test_a_part_counted_during_the_absence_is_one_event(far_side: FarSide) -> None:
    if "part_count" not in far_side.signals:
        pytest.skip("this protocol has no part counter")
    await far_side.start()
    _, state = await events_until(
        far_side.source(), lambda seen: any(isinstance(event, PartsCounted) for event in seen)
    )
    assert state.part_count is not None
    earlier = TrackerState(part_count=0, programme=state.programme)
    seen, _ = await events_until(
        far_side.source(), lambda seen: any(isinstance(event, PartsCounted) for event in seen), earlier
    )
    first = next(event for event in seen if isinstance(event, PartsCounted))
    assert first.delta == first.last
    if far_side.counts_up:  # its first answer differs from the saved 0
        assert first.during_absence


@pytest.mark.parametrize(
    ("host", "code"), [("no-such-machine.invalid", "unknown_host"), ("127.0.0.1", "refused")], ids=["host", "port"]
)
async def test_an_address_that_does_not_work_is_explained(far_side: FarSide, host: str, code: str) -> None:
    if not far_side.has_host:
        pytest.skip("not reached over the network")
    source = far_side.source(host=host)
    seen = await readings(source, lambda seen: any(isinstance(event, Problem) for event in seen))
    (problem,) = [event for event in seen if isinstance(event, Problem)]
    assert problem.code == code
    assert source.driver.address in problem.message
    assert "vérifier" in problem.message_fr or "corriger" in problem.message_fr
    with pytest.raises(DriverFaultError) as fault:
        await source.create_driver().probe()
    assert fault.value.code == code


async def test_it_says_nothing_listens_until_something_does(far_side: FarSide) -> None:
    if not far_side.has_host:
        pytest.skip("not reached over the network")
    troubles: list[tuple[str, str]] = []
    async with asyncio.timeout(LONG), follow(far_side.source()) as machine:
        async for step in machine.steps():
            before = len(troubles)
            troubles += [(e.status, e.code) for e in step.events if isinstance(e, SourceTrouble)]
            if before == 0 and troubles:
                await far_side.start()
            if ("ok", "connected") in troubles:
                break
    assert troubles[0] == ("error", "refused")


async def test_a_signal_that_is_not_there_does_not_stop_the_others(far_side: FarSide) -> None:
    gone = next((name for name in ("tool", "programme", "part_count") if name in far_side.signals), None)
    if gone is None:
        pytest.skip("nothing but the state is read")
    await far_side.start(without=gone)
    source = far_side.source(without=gone)
    seen = await readings(source, lambda seen: far_side.signals - {gone} <= signals(seen))
    assert gone not in signals(seen)
    findings = await source.create_driver().probe()
    assert [finding.name for finding in findings if not finding.ok] == [gone]


async def test_a_probe_tells_what_answers(far_side: FarSide) -> None:
    await far_side.start()
    findings = await far_side.source().create_driver().probe()
    assert findings[0].kind == "server"
    found = {finding.name: finding for finding in findings if finding.kind == "signal"}
    assert isinstance(found["execution"], Finding)
    assert found["execution"].ok


async def test_a_machine_that_did_not_opt_in_is_only_read(far_side: FarSide) -> None:
    driver = far_side.source().create_driver()
    with pytest.raises(NotAllowedError, match="hold"):
        await driver.hold()
    with pytest.raises(NotAllowedError, match="programme"):
        await driver.write_programme("O1", b"%\nM30\n%\n")
    with pytest.raises(NotAllowedError, match="programme"):
        await driver.list_programmes()
