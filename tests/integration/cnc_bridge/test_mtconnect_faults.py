"""What an MTConnect agent may do that it should not. The far side is our own agent, in this process."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from cryptography.x509.oid import ExtendedKeyUsageOID

from cnc_bridge import probing
from cnc_bridge.config import MachineSource, parse
from cnc_bridge.drivers.mtconnect import discovery
from cnc_bridge.drivers.mtconnect.driver import ControllerDriver
from cnc_bridge.drivers.shdr import discovery as shdr_discovery
from cnc_bridge.events import (
    AlarmCleared,
    AlarmRaised,
    CycleEnded,
    Event,
    PartsCounted,
    SourceTrouble,
    StateChanged,
)
from cnc_bridge.follow import follow
from cnc_bridge.port import Condition, DriverEvent, Link, Problem, Reading, Solved
from cnc_bridge.replay import Recording, RecordingAdapter, stamp_of
from cnc_bridge.testing.mtconnect_agent import MTConnectAgent
from cnc_bridge.tracking import TrackerState

LONG = 60


@pytest.fixture
async def agent() -> AsyncIterator[MTConnectAgent]:
    async with MTConnectAgent() as made:
        says(made, "avail|AVAILABLE|pexecution|READY|ppartcount|3|pprogram|O1")
        yield made


def says(agent: MTConnectAgent, *lines: str) -> None:
    stamp = stamp_of(datetime.now(UTC))
    agent.feed(stamp + b"|" + line.encode() for line in lines)


def source(agent: MTConnectAgent, **settings: object) -> MachineSource:
    table: dict[str, object] = {"kind": "mtconnect", "url": agent.url, "heartbeat_s": 0.3, "interval_ms": 10}
    table |= {"reconnect_max_s": 0.3, "timeout_s": 2.0, "check_s": 60.0}
    return parse({"machine": {"id": "m", "stale_after_s": 3.0}, "driver": table | settings})


class Listening:
    """An open driver and everything it has said."""

    def __init__(self, machine: MachineSource) -> None:
        driver = machine.create_driver()
        assert isinstance(driver, ControllerDriver)
        self.driver = driver
        self.seen: list[DriverEvent] = []

    async def until(self, enough: Callable[[], bool], doing: Callable[[], Awaitable[None]] | None = None) -> None:
        """Listen until `enough`; `doing` happens beside it, once the first values are there."""
        task: asyncio.Future[None] | None = None
        async with asyncio.timeout(LONG), self.driver.open() as stream:
            async for batch in stream:
                self.seen += batch
                if task is None and doing is not None and any(isinstance(event, Reading) for event in batch):
                    task = asyncio.ensure_future(doing())
                if (doing is None or (task is not None and task.done())) and enough():
                    break
        if task is not None:
            await task

    def values(self, signal: str) -> list[object]:
        return [event.value for event in self.seen if isinstance(event, Reading) and event.signal == signal]

    @property
    def links(self) -> list[bool]:
        return [event.up for event in self.seen if isinstance(event, Link)]

    @property
    def problems(self) -> list[str]:
        return [event.code for event in self.seen if isinstance(event, Problem)]


async def test_nothing_is_missing_and_nothing_comes_twice_over_lost_connections(agent: MTConnectAgent) -> None:
    """150 values, the connection cut ten times in between; values come also while there is none."""
    says(agent, "S1load|0")
    listening = Listening(source(agent))

    async def machine() -> None:
        for number in range(1, 151):
            says(agent, f"S1load|{number}")
            if number % 15 == 0:
                agent.cut()
            await asyncio.sleep(0.01)

    await listening.until(lambda: 150.0 in listening.values("spindle_load"), machine)
    assert listening.values("spindle_load") == [float(number) for number in range(151)]
    assert listening.links.count(True) > 3
    assert set(listening.problems) <= {"closed", "unreachable", "no_answer"}


async def test_what_happened_while_the_connection_was_lost_is_told_with_its_time(agent: MTConnectAgent) -> None:
    listening = Listening(source(agent))

    async def machine() -> None:
        agent.raw = b"<html>restarting</html>"  # what comes in between is only in the buffer
        agent.cut()
        says(agent, "pexecution|ACTIVE", "ppartcount|4", "pexecution|PROGRAM_COMPLETED", "pexecution|READY")
        await asyncio.sleep(0.2)
        agent.raw = None

    await listening.until(lambda: len(listening.values("programme")) > 1, machine)
    kept = [(event.signal, event.value) for event in listening.seen if isinstance(event, Reading) and event.kept]
    assert kept == [
        ("execution", "ACTIVE"),
        ("part_count", 4),
        ("execution", "PROGRAM_COMPLETED"),
        ("execution", "READY"),
    ]
    assert listening.values("programme") == ["O1", "O1"], "what did not change is said again: the link was lost"


async def test_a_bridge_that_was_killed_goes_on_where_its_saved_state_was(agent: MTConnectAgent) -> None:
    """Every step is saved; the process dies after any of them, and another goes on: parts, cycles and values agree."""
    says(agent, "S1load|0")
    state: TrackerState | None = None
    events: list[Event] = []
    for life in range(6):
        async with asyncio.timeout(LONG), follow(source(agent), state) as machine:
            async for step in machine.steps():
                events += step.events
                state = msgspec.json.decode(msgspec.json.encode(step.state), type=TrackerState)
                if state.part_count == 3 + life:
                    break  # whatever was under way is gone
        says(agent, "pexecution|ACTIVE", f"S1load|{life + 1}", f"ppartcount|{4 + life}")
        says(agent, "pexecution|PROGRAM_COMPLETED", "pexecution|READY")
    assert [event.delta for event in events if isinstance(event, PartsCounted)] == [1] * 5
    assert [event.completed for event in events if isinstance(event, CycleEnded)] == [True] * 5
    assert not [event for event in events if isinstance(event, SourceTrouble) and event.status == "error"]


async def test_an_agent_that_restarts_is_read_from_its_present_state(agent: MTConnectAgent) -> None:
    listening = Listening(source(agent))

    async def machine() -> None:
        agent.restart()
        says(agent, "avail|AVAILABLE|pexecution|ACTIVE|ppartcount|3|S1load|7")

    await listening.until(lambda: "ACTIVE" in listening.values("execution"), machine)
    assert listening.links == [True, False, True]
    assert not any(event.kept for event in listening.seen if isinstance(event, Reading))
    assert "lost_range" not in listening.problems


async def test_an_outage_longer_than_the_buffer_is_said_as_a_lost_range(agent: MTConnectAgent) -> None:
    async with MTConnectAgent(buffer_size=64) as small:
        says(small, "avail|AVAILABLE|pexecution|READY|S1load|0")
        listening = Listening(source(small))

        async def machine() -> None:
            small.cut()
            says(small, *(f"S1load|{number}" for number in range(1, 200)), "pexecution|ACTIVE")

        await listening.until(lambda: "ACTIVE" in listening.values("execution"), machine)
    assert listening.problems.count("lost_range") == 1
    assert [event.code for event in listening.seen if isinstance(event, Solved)].count("lost_range") == 1
    assert listening.values("spindle_load")[-1] == 199.0
    (said,) = [event for event in listening.seen if isinstance(event, Problem) and event.code == "lost_range"]
    assert "BufferSize" in said.message_fr


async def test_a_stream_that_only_heartbeats_is_found_and_left(agent: MTConnectAgent) -> None:
    listening = Listening(source(agent, check_s=0.3))

    async def machine() -> None:
        agent.deaf = True
        says(agent, "pexecution|ACTIVE")

    await listening.until(lambda: "ACTIVE" in listening.values("execution"), machine)
    assert "stream_dead" in listening.problems


async def test_a_stream_that_dribbles_bytes_and_never_a_document_is_left(agent: MTConnectAgent) -> None:
    listening = Listening(source(agent))

    agent.dribbling = True

    def enough() -> bool:
        if agent.dribbling and "heartbeat_lost" in listening.problems:
            agent.dribbling = False
            says(agent, "pexecution|ACTIVE")
        return "ACTIVE" in listening.values("execution")

    await listening.until(enough)
    assert listening.links[:3] == [True, False, True]


async def test_a_quiet_machine_is_not_taken_for_a_dead_stream(agent: MTConnectAgent) -> None:
    listening = Listening(source(agent, check_s=0.2))
    await listening.until(lambda: sum("/current" in request for request in agent.requests) > 5)
    assert listening.links == [True]
    assert listening.problems == []


async def test_an_agent_that_hangs_makes_the_machine_silent_and_one_that_answers_again_does_not(
    agent: MTConnectAgent,
) -> None:
    states: list[str] = []
    async with asyncio.timeout(LONG), follow(source(agent)) as machine:
        async for step in machine.steps():
            states += [event.state for event in step.events if isinstance(event, StateChanged)]
            if states == ["ready"] and not agent.frozen:
                agent.frozen = True
                agent.cut()
            if states[-1:] == ["silent"] and agent.frozen:
                assert machine.current == {}
                agent.frozen = False
                agent.cut()
            if states == ["ready", "silent", "ready"]:
                break


async def test_unavailable_is_no_value_and_no_state(agent: MTConnectAgent) -> None:
    says(agent, "pexecution|ACTIVE|S1load|12")
    states: list[str] = []
    async with asyncio.timeout(LONG), follow(source(agent)) as machine:
        async for step in machine.steps():
            states += [event.state for event in step.events if isinstance(event, StateChanged)]
            if states == ["running"]:
                says(agent, "pexecution|UNAVAILABLE|S1load|UNAVAILABLE")
            if states == ["running", "silent"]:
                assert machine.current["spindle_load"] is None
                break


async def test_alarms_that_ended_during_the_absence_are_over_and_the_others_are_not_raised_again(
    agent: MTConnectAgent,
) -> None:
    says(agent, "system|FAULT|1|||one", "system|FAULT|2|||two", "system|WARNING|3|||three")
    events: list[Event] = []
    async with asyncio.timeout(LONG), follow(source(agent)) as machine:
        state = None
        async for step in machine.steps():
            events += step.events
            if sum(isinstance(event, AlarmRaised) for event in events) == 3:
                state = step.state
                break
    says(agent, "system|NORMAL|1|||", "system|FAULT|4|||four")
    events.clear()
    async with asyncio.timeout(LONG), follow(source(agent), state) as machine:  # another process: no cursor
        async for step in machine.steps():
            events += step.events
            if any(isinstance(event, AlarmRaised) for event in events):
                break
    said = [(type(event).__name__, event.code) for event in events if isinstance(event, AlarmRaised | AlarmCleared)]
    assert said == [("AlarmCleared", "1"), ("AlarmRaised", "4")]


BOMB = b"<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]><MTConnectDevices>&b;</MTConnectDevices>"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (BOMB, "document type"),
        (b"<MTConnectDevices" + b"><a" * 200, "deeper"),
        (b"<MTConnectDevices>" + b" " * 70_000, "more than 65536 bytes"),
        (b"<MTConnectDevices><Header", "unreadable XML"),
        (b"<html><body>printer</body></html>", "'html'"),
        (b"", "unreadable XML"),
        (b"<MTConnectDevices></MTConnectDevices>", "no header"),
        (b"<MTConnectDevices><Header instanceId='many'/></MTConnectDevices>", "header"),
    ],
    ids=["entities", "deep", "huge", "cut", "html", "empty", "no-header", "bad-header"],
)
async def test_what_is_no_agent_is_refused_with_a_sentence(agent: MTConnectAgent, answer: bytes, said: str) -> None:
    agent.raw = answer
    listening = Listening(source(agent, max_document=65_536))
    await listening.until(lambda: bool(listening.problems))
    (problem,) = [event for event in listening.seen if isinstance(event, Problem)]
    assert problem.code == "not_mtconnect"
    assert said in problem.message
    assert "5000" in problem.message_fr
    assert listening.links == []


async def test_of_several_devices_one_must_be_named() -> None:
    devices = "".join(
        f"<Device id='d{n}' name='tour {n}' uuid='u-{n}'><DataItems>"
        f"<DataItem id='e{n}' category='EVENT' type='EXECUTION'/></DataItems></Device>"
        for n in (1, 2)
    )
    model = f"<MTConnectDevices><Devices><Agent id='a' name='agent'/>{devices}</Devices></MTConnectDevices>".encode()
    async with MTConnectAgent(model) as agent:
        says(agent, "e1|READY", "e2|ACTIVE")
        listening = Listening(source(agent))
        await listening.until(lambda: bool(listening.problems))
        (problem,) = [event for event in listening.seen if isinstance(event, Problem)]
        assert problem.code == "which_device"
        assert "tour 1, tour 2" in problem.message_fr
        for device in ("tour 2", "u-2"):
            chosen = Listening(source(agent, device=device))
            await chosen.until(lambda chosen=chosen: bool(chosen.values("execution")))  # type: ignore[misc]  # lambda
            assert chosen.values("execution") == ["ACTIVE"]


async def test_series_and_data_sets_become_samples() -> None:
    model = b"""<MTConnectDevices><Devices><Device id='d' name='d' uuid='d'><DataItems>
        <DataItem id='e' category='EVENT' type='EXECUTION'/>
        <DataItem id='v' name='vib' category='SAMPLE' type='ACCELERATION' representation='TIME_SERIES'/>
        <DataItem id='s' name='vars' category='EVENT' type='VARIABLE' representation='DATA_SET'/>
        </DataItems></Device></Devices></MTConnectDevices>"""
    header = "<Header instanceId='7' version='2.0' firstSequence='1' lastSequence='3' nextSequence='4'/>"
    current = f"""<MTConnectStreams xmlns='urn:mtconnect.org:MTConnectStreams:1.3'>{header}<Streams><DeviceStream
        name='d' uuid='d'><ComponentStream component='Device' componentId='d'><Samples><AccelerationTimeSeries
        dataItemId='v' sequence='1' timestamp='2026-01-01T00:00:01Z' sampleCount='3' sampleRate='2'>1 2 3
        </AccelerationTimeSeries></Samples><Events><Execution dataItemId='e' sequence='2'
        timestamp='2026-01-01T00:00:00Z'>READY</Execution><VariableDataSet dataItemId='s' sequence='3' count='2'
        timestamp='2026-01-01T00:00:00Z'><Entry key='500'>12.5</Entry><Entry key='501'>x</Entry></VariableDataSet>
        </Events></ComponentStream></DeviceStream></Streams></MTConnectStreams>""".encode()
    async with MTConnectAgent(model) as agent:
        signals = {"vibration": {"item": "vib", "unit": "mm/s2"}, "offset_x": {"item": "vars", "entry": "500"}}
        machine = source(agent, signals=signals)
        listening = Listening(machine)
        answer = agent._answer

        async def answered(target: str, writer: asyncio.StreamWriter, *, packed: bool) -> None:
            agent.raw = current if "/current" in target else None
            await answer(target, writer, packed=packed)

        agent._answer = answered  # type: ignore[method-assign]  # this agent's own answer to one request
        await listening.until(lambda: bool(listening.values("offset_x")))
    series = [event for event in listening.seen if isinstance(event, Reading) and event.signal == "vibration"]
    assert [event.value for event in series] == [1.0, 2.0, 3.0]
    times = [event.source_time for event in series]
    assert [time.isoformat() for time in times if time] == [
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00.500000+00:00",
        "2026-01-01T00:00:01+00:00",
    ]
    assert listening.values("offset_x") == [12.5]
    assert machine.units == {"vibration": "mm/s2"}


async def test_https_with_the_shops_own_authority_and_without_it(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "agent.der"
    await setup_self_signed_certificate(
        key, certificate, "urn:agent", "localhost", [ExtendedKeyUsageOID.SERVER_AUTH], {}
    )
    pem = tmp_path / "agent.pem"
    pem.write_bytes(load_der_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.PEM))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem, key)
    async with MTConnectAgent(tls=tls) as agent:
        url = agent.url.replace("127.0.0.1", "localhost")
        refused = Listening(source(agent, url=url))
        await refused.until(lambda: bool(refused.problems))
        assert refused.problems == ["tls"]
        trusted = Listening(source(agent, url=url, ca_file=str(pem)))
        await trusted.until(lambda: trusted.links == [True])
        assert trusted.problems == []


async def test_a_whole_recording_means_the_same_as_over_shdr() -> None:
    events: list[Event] = []
    async with MTConnectAgent(buffer_size=40_000) as agent:

        async def machine() -> None:
            fed = 0
            async for lines in Recording(speed=0).once():
                stamp = stamp_of(datetime.now(UTC))
                agent.feed(stamp + line if line.startswith(b"|") else line for line in lines)
                fed += 1
                await asyncio.sleep(0.02 if fed % 250 == 0 else 0)

        task: asyncio.Future[None] | None = None
        async with asyncio.timeout(LONG), follow(source(agent)) as following:
            async for step in following.steps():
                events += step.events
                task = task or asyncio.ensure_future(machine())
                if task.done() and sum(isinstance(event, PartsCounted) for event in events) >= 6:
                    break
    assert [event.programme for event in events if isinstance(event, CycleEnded)] == [
        "IMTS-2022-2-HOB.MIN",
        "IMTS-2022-1E-mm.MIN",
        "IMTS-2022-4B-mm.MIN",
        "IMTS-2022-3-TRAN.MIN",
    ]
    assert [event.delta for event in events if isinstance(event, PartsCounted) if event.delta] == [1, 1, 1, 1]
    states = [event.state for event in events if isinstance(event, StateChanged)]
    assert states.count("running") == 4
    assert not [event for event in events if isinstance(event, AlarmRaised)]


async def test_both_protocols_are_recognised_at_their_address(agent: MTConnectAgent) -> None:
    offer = await discovery.discover(probing.parse_address(f"127.0.0.1:{agent.port}"))
    assert offer is not None
    assert await discovery.discover(probing.parse_address(f"{agent.url}/probe")) == offer
    assert 'kind = "mtconnect"' in offer.driver
    assert agent.url in offer.driver
    assert {finding.name for finding in offer.findings if finding.kind == "signal"} >= {"execution", "part_count"}
    assert await shdr_discovery.discover(probing.parse_address(agent.url)) is None
    async with RecordingAdapter(port=0, speed=50) as adapter:
        address = probing.parse_address(f"127.0.0.1:{adapter.port}")
        found = await shdr_discovery.discover(address)
        assert found is not None
        assert 'kind = "shdr"' in found.driver
        assert await discovery.discover(address) is None
    assert await discovery.discover(probing.parse_address("/dev/ttyUSB0")) is None
    assert probing.parse_address("127.0.0.1").port is None, "the ports of habit: 5000 and 7878"
    assert (discovery.PORT, shdr_discovery.PORT) == (5000, 7878)


async def test_conditions_have_the_name_of_the_model_and_their_text(agent: MTConnectAgent) -> None:
    listening = Listening(source(agent))

    async def machine() -> None:
        says(agent, "system|FAULT|1042|||SPINDLE OVERLOAD")

    def told() -> list[Condition]:
        return [event for event in listening.seen if isinstance(event, Condition) and event.level == "FAULT"]

    await listening.until(lambda: bool(told()), machine)
    assert [(one.key, one.code, one.text) for one in told()] == [("system", "1042", "SPINDLE OVERLOAD")]
