"""The recording of a real Okuma lathe over TCP, against an independent reading of the file."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re

import pytest

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.shdr.driver import ControllerDriver
from cnc_bridge.follow import follow
from cnc_bridge.replay import OKUMA, RecordingAdapter
from cnc_bridge.tracking import AlarmRaised, CycleEnded, Event, PartsCounted, SamplesReady, SourceTrouble, StateChanged

CONDITIONS = re.compile(r"_cond$|^system$")
SHOWN = {"READY": "ready", "ACTIVE": "running", "PROGRAM_COMPLETED": "ready"}


def read_independently() -> tuple[int, list[str], list[int], list[float], int]:
    """Observations, execution words, part counts, spindle loads and assets, by a plain walk over the file."""
    observations, words, counts, loads, assets = 0, list[str](), list[int](), list[float](), 0
    for line in OKUMA.read_text(encoding="utf-8").split("\n"):
        if not re.match(r"\d{4}-", line):
            continue  # an asset's XML, its end, or the adapter's own words
        fields = line.split("|")[1:]
        if fields[0].startswith("@"):
            assets += 1
            continue
        while fields:
            key, value = fields[0], fields[1]
            observations += 1
            fields = fields[6:] if CONDITIONS.search(key) else fields[2:]
            if key == "pexecution":
                words.append(value)
            elif key == "ppartcount":
                counts.append(int(value))
            elif key == "S1load":
                loads.append(float(value))
    return observations, words, counts, loads, assets


def source(port: int) -> MachineSource:
    return parse({"machine": {"id": "tour-1"}, "driver": {"kind": "shdr", "host": "127.0.0.1", "port": port}})


@pytest.fixture(scope="module")
def truth() -> tuple[int, list[str], list[int], list[float], int]:
    return read_independently()


async def test_everything_recorded_arrives_once_and_means_what_the_file_says(
    truth: tuple[int, list[str], list[int], list[float], int],
) -> None:
    observations, words, counts, loads, assets = truth
    assert (observations > 20_000, len(words), len(counts), assets) == (True, 16, 8, 152)
    seen: list[Event] = []
    async with asyncio.timeout(120), RecordingAdapter(port=0, speed=0, loop=False, wait_for_client=True) as adapter:
        machine = source(adapter.port)
        driver = machine.create_driver()
        assert isinstance(driver, ControllerDriver)
        async with follow(machine, driver=driver) as following:
            steps_taken = following.steps()
            async for step in steps_taken:
                seen += step.events
                if adapter.finished.is_set() and driver.observations >= observations:
                    break
            with contextlib.suppress(TimeoutError):  # what was read and not yet followed; the machine then stays quiet
                while True:
                    async with asyncio.timeout(3):
                        seen += (await anext(steps_taken)).events
            seen += following.rest().events
    assert driver.observations == observations
    assert driver.garbage == 0

    shown = [SHOWN[word] for word in words]
    expected = [state for state, before in zip(shown, ["", *shown], strict=False) if state != before]
    assert [event.state for event in seen if isinstance(event, StateChanged)] == expected

    steps = [(a, b) for a, b in itertools.pairwise(counts) if a != b]
    counted = [event for event in seen if isinstance(event, PartsCounted)]
    assert [(event.first, event.last) for event in counted] == steps
    # one part a cycle: where the recording goes on with another programme, its counter is another too (1 → 2, 1 → 0)
    assert [event.delta for event in counted if event.delta] == [1] * words.count("ACTIVE")
    assert all(event.reset for event in counted if not event.delta)
    assert [event.completed for event in seen if isinstance(event, CycleEnded)] == [True] * words.count("ACTIVE")
    assert [event.programme for event in seen if isinstance(event, CycleEnded)] == [
        "IMTS-2022-2-HOB.MIN",
        "IMTS-2022-1E-mm.MIN",
        "IMTS-2022-4B-mm.MIN",
        "IMTS-2022-3-TRAN.MIN",
    ]

    heard = [
        value
        for event in seen
        if isinstance(event, SamplesReady) and event.signal == "spindle_load"
        for value in event.values
    ]
    assert heard == loads
    assert not [event for event in seen if isinstance(event, AlarmRaised)]
    assert [event.status for event in seen if isinstance(event, SourceTrouble)] == ["ok"]


async def test_bytes_in_small_pieces_change_nothing(
    truth: tuple[int, list[str], list[int], list[float], int],
) -> None:
    """The same recording through a connection that cuts lines anywhere."""
    observations = truth[0]

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = OKUMA.read_bytes()
        for at in range(0, len(data), 997):
            writer.write(data[at : at + 997])
            await writer.drain()
        await asyncio.Event().wait()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    driver = source(server.sockets[0].getsockname()[1]).create_driver()
    assert isinstance(driver, ControllerDriver)
    async with asyncio.timeout(120), driver.open() as stream:
        async for _ in stream:
            if driver.observations >= observations:
                break
    server.close()
    assert (driver.observations, driver.garbage) == (observations, 0)


async def test_a_client_that_comes_late_is_told_the_present_state() -> None:
    async with asyncio.timeout(120), RecordingAdapter(port=0, speed=200, loop=True) as adapter:
        await asyncio.sleep(0.5)
        findings = await source(adapter.port).create_driver().probe()
    known = {finding.name for finding in findings if finding.kind == "signal" and finding.ok}
    assert {"execution", "programme", "part_count", "availability"} <= known
