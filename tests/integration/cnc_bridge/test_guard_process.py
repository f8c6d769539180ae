"""The guard as an agent runs it: its own process over a socket, facts in the outbox, killed, re-armed, not delayed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from bench.guard_latency import run as measure
from cnc_bridge.config import MachineSource, parse
from contracts.control import RearmGuard
from edge_agents.clock import Clock
from edge_agents.commands import CommandRefusedError
from edge_agents.guard_messages import Armed, Disarmed, Tripped
from edge_agents.outbox import Fact, Outbox, OutboxFullError
from edge_agents.parts import guard as guard_part
from edge_agents.parts.guard import GuardPart
from edge_agents.parts.machine import MachinePart
from edge_agents.supervisor import Supervisor

WAIT_S = 40.0
LIMITS = {"spindle_load": {"alert": 100.0, "hold": 130.0}}


class FakeAdapter:
    """An SHDR adapter in this process."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        self.say("avail|AVAILABLE|pexecution|ACTIVE|pprogram|P1|p1CurrentTool|7|p1Fact|1200|S1load|20")
        while line := await reader.readline():
            if line == b"* PING\n":
                writer.write(b"* PONG 1000\n")
        self.writers.remove(writer)

    def say(self, text: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        for writer in self.writers:
            writer.write(f"{now}|{text}\n".encode())

    async def load(self, *values: int) -> None:
        for value in values:
            self.say(f"S1load|{value}")
            await asyncio.sleep(0.02)


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with Outbox.open(tmp_path / "o.db", site="s", agent="a", clock=Clock()) as opened:
        yield opened


async def bodies(outbox: Outbox, kind: str) -> list[dict[str, object]]:
    return [msgspec.json.decode(row.body) for row in await outbox.pending("facts", 0, 1000) if row.kind == kind]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.02)


async def test_from_the_wire_to_a_fact_through_a_kill_and_a_person(outbox: Outbox, tmp_path: Path) -> None:
    adapter = FakeAdapter()
    server = await asyncio.start_server(adapter.serve, "127.0.0.1", 0)
    source = parse({
        "machine": {"id": "tour-1", "guard": {"limits": LIMITS, "after_s": 0.1}},
        "driver": {"kind": "shdr", "host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]},
    })  # fmt: skip
    guard = GuardPart(source, tmp_path)
    machine = MachinePart(source, guard=guard)
    supervisor = Supervisor([guard], outbox)
    supervisor.start()
    try:
        await _seen(outbox, "source.status", 1)
        await adapter.load(*[20] * 8, *[180] * 8, *[20] * 8)
        (trip,) = await _seen(outbox, "machine.guard", 1)
        said = (trip["machine"], trip["level"], trip["signal"], trip["outcome"], trip["programme"], trip["tool"])
        assert said == ("tour-1", "hold", "spindle_load", "shadow", "P1", "7")
        values = trip["v"]
        assert isinstance(values, list)
        assert max(values) == 180.0
        assert values[0] == 20.0

        assert guard._process is not None
        first = guard._process.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: guard._process is not None and guard._process.pid != first)
        statuses = await _seen(outbox, "source.status", 3)
        assert [(s["status"], s["code"]) for s in statuses] == [("ok", "ok"), ("error", "guard_died"), ("ok", "ok")]
        assert {s["machine"] for s in statuses} == {"tour-1"}
        await adapter.load(*[20] * 8, *[180] * 8)
        await _seen(outbox, "machine.guard", 2)

        command = RearmGuard(id="c1", expires=datetime.now(UTC) + timedelta(minutes=1), machine="tour-1", person="p1")
        assert await machine.obey(command) == "Garde déjà armée."
        assert await bodies(outbox, "machine.guard_rearmed") == [{"machine": "tour-1", "person": "p1", "command": "c1"}]

        server.close()
        for writer in list(adapter.writers):
            writer.transport.abort()
        blind = (await _seen(outbox, "source.status", 4))[-1]
        assert (blind["status"], blind["code"]) == ("lost", "guard_no_link")
        assert "aveugle" in str(blind["message"])
    finally:
        await supervisor.stop()
        server.close()


async def test_a_guard_that_is_stuck_is_noticed_and_another_is_started(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_part, "_MUTE_S", 4.0)
    adapter = FakeAdapter()
    server = await asyncio.start_server(adapter.serve, "127.0.0.1", 0)
    guard = GuardPart(guarded(server, after_s=0.1), tmp_path)
    supervisor = Supervisor([guard], outbox)
    supervisor.start()
    try:
        await _seen(outbox, "source.status", 1)
        assert guard._process is not None
        first = guard._process.pid
        os.kill(first, signal.SIGSTOP)
        statuses = await _seen(outbox, "source.status", 3)
        assert [s["code"] for s in statuses] == ["ok", "guard_stuck", "ok"]
        assert guard._process is not None
        assert guard._process.pid != first
    finally:
        await supervisor.stop()
        server.close()


async def test_a_trip_that_still_waits_for_its_curve_is_told_when_the_agent_stops(
    outbox: Outbox, tmp_path: Path
) -> None:
    adapter = FakeAdapter()
    server = await asyncio.start_server(adapter.serve, "127.0.0.1", 0)
    supervisor = Supervisor([GuardPart(guarded(server, after_s=60.0), tmp_path)], outbox)
    supervisor.start()
    try:
        await _seen(outbox, "source.status", 1)
        await adapter.load(*[20] * 8, *[180] * 8)
        await asyncio.sleep(0.5)
        assert await bodies(outbox, "machine.guard") == []
    finally:
        await supervisor.stop()
        server.close()
    (trip,) = await bodies(outbox, "machine.guard")
    assert (trip["level"], trip["outcome"]) == ("hold", "shadow")


async def test_a_full_outbox_costs_the_trip_not_the_guard(outbox: Outbox, tmp_path: Path) -> None:
    class FullDesk:
        async def put(self, new: list[Fact], cursor: object = None) -> None:
            if new:
                raise OutboxFullError("full", "Mémoire de l'agent pleine.")

        clock = outbox.clock

    source = parse({"machine": {"id": "tour-1", "guard": {}}, "driver": {"kind": "shdr", "host": "127.0.0.1"}})
    part, now = GuardPart(source, tmp_path), datetime.now(UTC)
    trip = Tripped(now, "alert", "spindle_load", "%", 150.0, 100.0, "au-dessus", "none", None, None, None, None, None,
                   None, None, now, [(0, 150.0, 100.0)])  # fmt: skip
    await part._take(trip, FullDesk())  # type: ignore[arg-type]  # a fake at the port
    await part._take(Disarmed(), FullDesk())  # type: ignore[arg-type]  # a fake at the port
    assert part._state.armed is False
    await part._take(Armed(), FullDesk())  # type: ignore[arg-type]  # a fake at the port
    assert part._state.armed is True


async def test_a_guard_that_has_not_started_does_not_say_that_it_is_re_armed(tmp_path: Path) -> None:
    """It may start disarmed: only its cursor knows."""
    source = parse({"machine": {"id": "tour-1", "guard": {}}, "driver": {"kind": "shdr", "host": "127.0.0.1"}})
    command = RearmGuard(id="c1", expires=datetime.now(UTC), machine="tour-1", person="p1")
    with pytest.raises(CommandRefusedError, match="recommencer"):
        await GuardPart(source, tmp_path).rearm(command)


def guarded(server: asyncio.Server, **guard: object) -> MachineSource:
    return parse({
        "machine": {"id": "tour-1", "guard": {"limits": LIMITS, **guard}},
        "driver": {"kind": "shdr", "host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]},
    })  # fmt: skip


async def _seen(outbox: Outbox, kind: str, count: int) -> list[dict[str, object]]:
    async with asyncio.timeout(WAIT_S):
        while True:
            found = await bodies(outbox, kind)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


def test_the_latency_bench_measures_holds_that_are_held() -> None:
    result = measure(5, stress=0)
    assert result["outcomes"] == {"held": 5}
    assert result["sample_in_to_hold_out"]["p50_ms"] > 0
    assert result["sample_written_to_hold_received"]["p50_ms"] >= result["sample_in_to_hold_out"]["p50_ms"]
