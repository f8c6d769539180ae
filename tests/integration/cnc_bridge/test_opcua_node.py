"""OPC UA against a third party's server (node-opcua, MachineTool 1.02): what is found, and what goes wrong there."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from cnc_bridge.follow import follow
from cnc_bridge.port import DriverEvent, Finding, Solved
from cnc_bridge.testing import node_opcua
from cnc_bridge.tracking import AlarmCleared, AlarmRaised, StateChanged
from tests.integration.cnc_bridge.opcua_far_side import (
    LONG,
    codes,
    conditions,
    links,
    node_server,
    problem,
    read,
    values,
)

pytestmark = pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing())

BRISK = ("--cycle", "1", "--between", "0.2")
STANDARD = {"execution", "availability", "mode", "functional_mode", "programme", "part_count"} | {
    "feed_override",
    "spindle_override",
}


async def test_what_the_standard_names_is_found_without_a_mapping(tmp_path: Path) -> None:
    async with node_server(tmp_path, *BRISK) as server:
        source = server.source(signals={})
        seen = await read(
            source,
            lambda seen: (
                all(values(seen, name) for name in STANDARD)
                and {"ACTIVE", "PROGRAM_COMPLETED"} <= set(values(seen, "execution"))
                and len(set(values(seen, "part_count"))) > 1
            ),
        )
        findings = await source.create_driver().probe()
    assert codes(seen) == []
    assert {name: values(seen, name)[0] for name in ("mode", "functional_mode", "programme", "feed_override")} == {
        "mode": "AUTOMATIC",
        "functional_mode": "PRODUCTION",
        "programme": "O1234",
        "feed_override": 100.0,
    }
    assert Finding("machine", "Lathe", "MachineToolType (OPC 40501-1), ns=8;i=1000") in findings
    assert {finding.name for finding in findings if finding.kind == "signal"} == STANDARD


async def test_without_its_programme_state_the_item_state_tells_whether_it_runs(tmp_path: Path) -> None:
    async with node_server(tmp_path, *BRISK, "--omit", "execution") as server:
        seen = await read(server.source(signals={}), lambda seen: {"ACTIVE", "READY"} <= set(values(seen, "execution")))
    assert codes(seen) == []


async def test_the_configuration_overrides_what_was_found_and_adds_to_it(tmp_path: Path) -> None:
    async with node_server(tmp_path, *BRISK) as server:
        words = {"node": "ns=8;i=1040", "unit": "x", "scale": 0.01}
        source = server.source(signals={"feed_override": words, "tool": "ns=8;s=Tool.Number"})
        seen = await read(source, lambda seen: bool(values(seen, "feed_override")) and bool(values(seen, "tool")))
    assert values(seen, "feed_override") == [1.0]
    assert values(seen, "execution"), "the others are still found"


async def test_of_several_machines_one_must_be_chosen(tmp_path: Path) -> None:
    async with node_server(tmp_path, *BRISK, "--second") as server:
        seen = await read(server.source(), lambda seen: bool(codes(seen)))
        assert codes(seen) == ["several_machines"]
        assert "Lathe, Mill" in problem(seen, "several_machines").message_fr
        seen = await read(server.source(machine="Lathe"), lambda seen: bool(values(seen, "execution")))
        assert codes(seen) == []
        seen = await read(server.source(machine="Milling"), lambda seen: bool(codes(seen)))
        assert codes(seen) == ["no_such_machine"]


async def test_a_server_without_such_a_machine_says_what_to_map(tmp_path: Path) -> None:
    async with node_server(tmp_path, "--no-machine", "--items", "3") as server:
        seen = await read(server.source(signals={}), lambda seen: bool(codes(seen)))
        assert codes(seen) == ["no_machine"]
        assert "`signals`" in problem(seen, "no_machine").message_fr


async def test_a_robot_is_read_through_the_same_port(tmp_path: Path) -> None:
    async with node_server(tmp_path, "--no-machine", "--robot") as server:
        seen = await read(
            server.source(signals={}),
            lambda seen: {"ACTIVE", "READY"} <= set(values(seen, "execution")) and bool(values(seen, "programme")),
        )
    assert codes(seen) == []
    assert values(seen, "programme") == ["PICK_1"]
    assert values(seen, "mode") == ["AUTOMATIC"]
    assert values(seen, "emergency_stop") == ["ARMED"]


async def test_alarms_come_as_events_and_are_known_after_a_reconnect(tmp_path: Path) -> None:
    """An error makes the state an alarm, a warning and a message do not; one that ended unseen is cleared."""
    async with node_server(tmp_path, "--cycle", "1", "--between", "600") as server:
        seen: list[AlarmRaised | AlarmCleared] = []
        states: list[str] = []
        stage = 0
        async with asyncio.timeout(LONG), follow(server.source()) as machine:
            async for step in machine.steps():
                seen += [event for event in step.events if isinstance(event, (AlarmRaised, AlarmCleared))]
                states += [event.state for event in step.events if isinstance(event, StateChanged)]
                if stage == 0 and states:
                    stage = 1
                    await server.ask("say", text="Plateau 2 prêt")
                    await server.ask("alert", code="2001", text="Niveau d'huile bas", severity=400)
                elif stage == 1 and seen:
                    stage = 2
                    await server.ask("alert", code="1042", text="Surcharge broche", severity=800)
                elif stage == 2 and "alarm" in states:
                    stage = 3
                    await server.kill()
                    await server.start("--cycle", "1", "--between", "600")
                    await server.ask("alert", code="2001", text="Niveau d'huile bas", severity=400)
                elif stage == 3 and states[-1] == "ready":
                    break
    raised = {(event.code, event.text, event.severity) for event in seen if isinstance(event, AlarmRaised)}
    assert raised == {("2001", "Niveau d'huile bas", "warning"), ("1042", "Surcharge broche", "fault")}
    assert "1042" in [event.code for event in seen if isinstance(event, AlarmCleared)]


async def test_conditions_that_hold_at_the_start_are_asked_for(tmp_path: Path) -> None:
    async with node_server(tmp_path) as server:
        await server.ask("alert", code="1042", text="Surcharge broche", severity=800)
        await server.ask("alert", code="1043", text="Lunette", severity=800)
        await server.ask("calm", code="1043")
        seen = await read(server.source(), lambda seen: ("FAULT", "1042") in conditions(seen))
    assert conditions(seen) == [("NORMAL", ""), ("FAULT", "1042")]


async def test_a_restarted_server_is_followed_again_even_with_nodes_missing(tmp_path: Path) -> None:
    """A new server process knows nothing of our session; the tool is gone, and comes back later."""
    async with node_server(tmp_path, *BRISK) as server:
        seen: list[DriverEvent] = []
        stage = 0
        async with asyncio.timeout(LONG), server.source().create_driver().open() as stream:
            async for batch in stream:
                seen += batch
                if stage == 0 and values(seen, "tool"):
                    stage = 1
                    await server.kill()
                    await server.start(*BRISK, "--omit", "tool")
                elif stage == 1 and links(seen) == [True, False, True] and "missing_node" in codes(seen):
                    stage = 2
                    await server.ask("add", signal="tool")
                    seen.clear()
                elif stage == 2 and any(values(seen, "tool")):
                    break
    assert [event.about for event in seen if isinstance(event, Solved)] == ["tool"]
    assert links(seen) == [], "the other nodes went on"


async def test_a_node_that_goes_while_subscribed_and_comes_back(tmp_path: Path) -> None:
    async with node_server(tmp_path, *BRISK) as server:
        seen: list[DriverEvent] = []
        stage = 0
        async with asyncio.timeout(LONG), server.source().create_driver().open() as stream:
            async for batch in stream:
                seen += batch
                if stage == 0 and any(values(seen, "tool")):
                    stage = 1
                    await server.ask("remove", signal="tool")
                elif stage == 1 and "missing_node" in codes(seen) and values(seen, "tool")[-1] is None:
                    stage = 2
                    await server.ask("add", signal="tool")
                elif stage == 2 and values(seen, "tool")[-1] not in (None, "0"):
                    break
    assert links(seen) == [True]
    assert codes(seen) == ["missing_node"]


@pytest.mark.parametrize("how", ["mute", "forget"])
async def test_a_subscription_that_dies_at_the_server_is_made_again(tmp_path: Path, how: str) -> None:
    """`mute`: reads are answered, nothing is published; `forget`: the subscription is deleted without a word."""
    async with node_server(tmp_path, *BRISK) as server:
        seen: list[DriverEvent] = []
        asked = False
        async with asyncio.timeout(LONG), server.source().create_driver().open() as stream:
            async for batch in stream:
                seen += batch
                if not asked and values(seen, "spindle_load"):
                    asked = True
                    await server.ask(how)
                elif links(seen) == [True, False, True] and values(batch, "spindle_load"):
                    break
    assert set(codes(seen)) <= {"subscription_lost", "subscription_dead"}
    assert codes(seen)


async def test_a_server_that_hangs_is_left_and_found_again(tmp_path: Path) -> None:
    async with node_server(tmp_path, *BRISK) as server:
        seen: list[DriverEvent] = []
        stage = 0
        async with asyncio.timeout(LONG), server.source().create_driver().open() as stream:
            async for batch in stream:
                seen += batch
                if stage == 0 and values(seen, "execution"):
                    stage = 1
                    server.signal(signal.SIGSTOP)
                elif stage == 1 and links(seen) == [True, False]:
                    stage = 2
                    server.signal(signal.SIGCONT)
                elif stage == 2 and links(seen)[-1] and values(batch, "execution"):
                    break
    assert links(seen)[:3] == [True, False, True]


@pytest.mark.parametrize("limit", [0, 100])
async def test_thousands_of_nodes_are_subscribed_in_few_requests(tmp_path: Path, limit: int) -> None:
    """Also where the server takes only a hundred a request, and refuses more."""
    many = 5000 if limit == 0 else 1000
    options = ("--no-machine", "--items", str(many), "--rate", "1", "--max-per-call", str(limit))
    signals: dict[str, object] = {f"tag_{number}": f"ns=8;s=Tag.{number}" for number in range(many)}
    signals["execution"] = {"node": "i=2259", "words": {"0": "ACTIVE"}}
    async with node_server(tmp_path, *options) as server:
        source = server.source(signals=signals, timeout_s=10.0)
        got: set[str] = set()

        def enough(seen: list[DriverEvent]) -> bool:
            got.update(event.signal for event in seen if hasattr(event, "signal"))
            seen[:] = [event for event in seen if not hasattr(event, "signal")]
            return len(got) == len(signals)

        seen = await read(source, enough)
    assert codes(seen) == []
