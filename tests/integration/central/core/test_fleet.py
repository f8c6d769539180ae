"""Agents and their sources: there, silent, back; trouble shown until it is over, whatever the order of arrival."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from central.alerts import service as alerts
from central.core.uow import UnitOfWork
from central.fleet import service as fleet
from contracts.control import AgentState, PartState, StreamState
from contracts.envelope import Envelope
from contracts.facts import SourceStatus
from tests.support.centre import bench
from tests.support.facts import START, Source


class SetClock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment


def state(*, online: bool = True) -> AgentState:
    return AgentState(
        online=online,
        agent="rack-1",
        boot="boot0001",
        run="run0001",
        ts=START,
        facts=StreamState(last=9, acked=4, pending=5),
        parts=[PartState(name="rack-a", kind="rack", status="running")],
    )


async def keys(uow: UnitOfWork) -> set[str]:
    return {alert.key for alert in await alerts.open_alerts(uow)}


async def test_a_state_that_cannot_be_kept_does_not_keep_the_others_from_being_heard(database_url: str) -> None:
    async with bench(database_url, SetClock()) as centre:
        notebook = fleet.Notebook()
        absurd = StreamState(last=9, acked=4, pending=10**20)
        notebook.note(msgspec.structs.replace(state(), agent="rack-0", facts=absurd), retained=False)
        notebook.note(state(), retained=False)
        async with centre.units.begin() as uow:
            await notebook.write(uow)
        async with centre.units.begin() as uow:
            await notebook.write(uow)
            assert [(a.agent, a.online) for a in await fleet.agents(uow)] == [("rack-1", True)]


async def test_an_agent_that_falls_silent_is_shown_and_alerted_until_it_speaks(database_url: str) -> None:
    clock = SetClock()
    async with bench(database_url, clock) as centre:
        async with centre.units.begin() as uow:
            await fleet.record(uow, state())
        async with centre.units.reading() as uow:
            [agent] = await fleet.agents(uow)
        assert (agent.online, agent.facts_pending, agent.parts[0]["name"]) == (True, 5, "rack-a")
        clock.moment += timedelta(seconds=31)
        async with centre.units.begin() as uow:
            await fleet.mark_silent(uow)
            assert [a.online for a in await fleet.agents(uow)] == [False]
            assert await keys(uow) == {"agent-silent:rack-1"}
        async with centre.units.begin() as uow:
            await fleet.record(uow, state(), retained=True)
            assert [a.online for a in await fleet.agents(uow)] == [False], "a retained state is no sign of life"
            await fleet.record(uow, state())
            assert [a.online for a in await fleet.agents(uow)] == [True]
            assert await keys(uow) == set()


async def test_the_last_will_is_believed_at_once(database_url: str) -> None:
    async with bench(database_url) as centre:
        notebook = fleet.Notebook()
        notebook.note(state(), retained=False)
        async with centre.units.begin() as uow:
            await notebook.write(uow)
        notebook.note(state(online=False), retained=False)
        async with centre.units.begin() as uow:
            await notebook.write(uow)
            assert [a.online for a in await fleet.agents(uow)] == [False]


async def test_the_newest_status_of_a_source_wins_in_any_order(database_url: str) -> None:
    from central.fleet import consumers

    source = Source()
    lost: Envelope = source.fact(SourceStatus(source="rack-a", status="lost", code="camera", message="Caméra muette"))
    back: Envelope = source.fact(SourceStatus(source="rack-a", status="ok"))
    async with bench(database_url) as centre:
        consumers.register(centre.consumers)
        await centre.send(back)
        await centre.send(lost)
        async with centre.units.reading() as uow:
            assert await fleet.sources(uow) == []
        await centre.send(source.fact(SourceStatus(source="rack-a", status="covered", message="Objectif couvert")))
        async with centre.units.reading() as uow:
            assert [(s.source, s.status) for s in await fleet.sources(uow)] == [("rack-a", "covered")]
            assert await keys(uow) == {"source:rack-1:rack-a"}
