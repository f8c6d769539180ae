"""The inbox over SQLite and PostgreSQL: once, whatever arrives, in whatever order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from sqlalchemy import func, select

from central.inbox import quarantine
from central.inbox.models import StoredFact
from contracts.control import AgentState, Lost, StreamState, Thinned, TimeRequest
from contracts.envelope import Envelope, encode, encode_pack
from contracts.facts import MachineSamples, MachineStateChanged, StockObserved, WorkClocked
from tests.support.centre import Bench, bench
from tests.support.facts import START, Source

GOOD = MachineStateChanged(machine="tour-1", state="running")
BOOM = MachineStateChanged(machine="tour-1", state="running", detail="boom")


async def stored(centre: Bench, state: str = "accepted") -> int:
    async with centre.units.reading() as uow:
        count = await uow.session.scalar(select(func.count()).where(StoredFact.state == state))
    return count or 0


async def quarantined(centre: Bench) -> list[quarantine.QuarantineRow]:
    async with centre.units.reading() as uow:
        return await quarantine.listing(uow)


def seqs(centre: Bench) -> list[int]:
    return [fact.seq for fact in centre.collector.facts]


async def test_new_facts_are_consumed_once_and_acknowledged(database_url: str) -> None:
    source = Source()
    facts = [source.fact() for _ in range(5)]
    async with bench(database_url) as centre:
        await centre.send(*facts)
        assert centre.link.upto() == 5
        await centre.send(*facts)
        await centre.send(*facts[2:])
        assert centre.link.upto() == 5
        assert seqs(centre) == [1, 2, 3, 4, 5]
        assert await stored(centre) == 5
        assert await quarantined(centre) == []


async def test_a_restart_remembers_what_was_settled(database_url: str) -> None:
    source = Source()
    facts = [source.fact() for _ in range(4)]
    async with bench(database_url) as first:
        await first.send(facts[0], facts[1], facts[3])
    async with bench(database_url) as second:
        await second.send(*facts)
        assert seqs(second) == [3]
        assert second.link.upto() == 4


async def test_the_ack_never_jumps_a_hole_and_the_hole_is_asked(database_url: str) -> None:
    source = Source()
    facts = [source.fact() for _ in range(6)]
    async with bench(database_url) as centre:
        await centre.send(facts[0], facts[3], facts[5])
        assert centre.link.upto() == 1
        assert [(r.first, r.last) for r in centre.link.resends()] == [(2, 3)]
        await centre.send(facts[1], facts[2])
        assert centre.link.upto() == 4
        await centre.send(facts[4])
        assert centre.link.upto() == 6
        assert sorted(seqs(centre)) == [1, 2, 3, 4, 5, 6]


async def test_what_is_lost_settles_the_hole_and_alerts_while_thinning_does_not(database_url: str) -> None:
    source = Source()
    for _ in range(4):
        source.fact()
    async with bench(database_url) as centre:
        await centre.send(source.fact(Lost(first=1, last=5, why="disque remplacé"), kind="stream.lost"))
        assert centre.link.upto() == 5
        assert len(centre.alarms.raised) == 1
        await centre.send(
            source.fact(
                Thinned(first=1, last=900, why="disque plein"), kind="stream.thinned", stream="samples", seq=900
            )
        )
        assert centre.link.upto(stream="samples") == 900
        assert len(centre.alarms.raised) == 1


async def test_a_row_that_was_declared_lost_is_welcome_when_it_comes_after_all(database_url: str) -> None:
    source = Source()
    early = source.fact()
    async with bench(database_url) as centre:
        await centre.send(source.fact(Lost(first=1, last=2, why="?"), kind="stream.lost"))
        await centre.send(early)
        await centre.send(early)
        assert seqs(centre) == [1]


@pytest.mark.parametrize("span", [(9, 1), (1, 10**18), (5, 4)])
async def test_an_absurd_settlement_is_quarantined_under_its_number(database_url: str, span: tuple[int, int]) -> None:
    source = Source()
    bad = source.fact(Lost(first=span[0], last=span[1], why="?"), kind="stream.lost")
    async with bench(database_url) as centre:
        await centre.send(bad, source.fact())
        assert centre.link.upto() == 2
        assert [row.cause for row in await quarantined(centre)] == ["body"]
        assert seqs(centre) == [2]


async def test_a_huge_but_coherent_settlement_hurts_nobody(database_url: str) -> None:
    source = Source()
    huge = source.fact(Lost(first=1, last=10**18, why="?"), kind="stream.lost", seq=10**18)
    async with bench(database_url) as centre:
        await centre.send(huge)
        assert centre.link.upto() == 10**18
        await centre.send(source.fact(), source.fact())
        assert seqs(centre) == [1, 2]


async def test_one_bad_body_in_a_batch_of_a_thousand_costs_that_fact_only(database_url: str) -> None:
    source = Source()
    facts = [source.fact(BOOM if n == 637 else GOOD) for n in range(1000)]
    async with bench(database_url) as centre:
        centre.collector.calls.clear()
        messages = [encode_pack(facts[start : start + 250]) for start in range(0, 1000, 250)]
        for message in messages:
            centre.inbox.accept("atelier", "rack-1", message)
        await centre.send(source.fact())
        assert centre.link.upto() == 1001
        assert await stored(centre) == 1000
        assert await stored(centre, "quarantined") == 1
        rows = await quarantined(centre)
        assert [(row.cause, row.identity) for row in rows] == [("consumer", "rack-1/boot0001/facts/638")]
        assert "boom" in rows[0].reason


async def test_unknown_kind_wrong_type_and_bytes_that_are_not_utf8_keep_their_number(database_url: str) -> None:
    source = Source()
    unknown = source.fact(kind="coffee.brewed", raw=b'{"cups":2}')
    wrong = source.fact(kind="machine.state", raw=b'{"machine":7,"state":"running"}')
    not_text = encode(source.fact(raw=b'{"machine":"tour-1","state":"running","x":"?"}')).replace(b'"?"', b'"\xff\xfe"')
    async with bench(database_url) as centre:
        await centre.send(unknown, wrong)
        await centre.inbox.deliver("rack-1", not_text)
        await centre.send(source.fact())
        assert centre.link.upto() == 4
        assert sorted(row.cause for row in await quarantined(centre)) == ["body", "body", "kind"]
        assert seqs(centre) == [4]


async def test_a_fact_too_big_is_settled_and_kept_cut(database_url: str) -> None:
    source = Source()
    big = encode(
        source.fact(StockObserved(source="manual", qty=-1000, item="x"), raw=b'{"x":"' + b"a" * 70_000 + b'"}')
    )
    async with bench(database_url) as centre:
        await centre.inbox.deliver("rack-1", big)
        assert centre.link.upto() == 1
        [row] = await quarantined(centre)
        assert row.length == len(big)
        assert row.cause == "illegible"


async def test_without_identity_it_is_kept_once_and_not_acknowledged(database_url: str) -> None:
    async with bench(database_url) as centre:
        megabyte = b"\xff" * 1_000_000
        for payload in (megabyte, b"not json", b'{"seq":', megabyte, b"not json"):
            await centre.inbox.deliver("rack-1", payload)
        rows = await quarantined(centre)
        assert sorted((row.length, row.times) for row in rows) == [(7, 1), (8, 2), (1_000_000, 2)]
        assert {row.identity for row in rows} == {None}
        assert centre.link.sent == []


async def test_an_envelope_of_another_site_or_agent_settles_nothing(database_url: str) -> None:
    honest, liar = Source("rack-1"), Source("rack-2", boot="boot0002")
    other_site = Source("rack-1", site="ailleurs")
    async with bench(database_url) as centre:
        await centre.send(honest.fact())
        await centre.send(liar.fact(), agent="rack-1")
        await centre.send(other_site.fact(seq=2))
        assert [row.cause for row in await quarantined(centre)] == ["stranger", "stranger"]
        assert centre.link.upto("rack-2", "boot0002") is None
        assert centre.link.upto("rack-1") == 1
        assert len(centre.collector.facts) == 1


async def test_same_identity_other_content_changes_nothing_and_alerts(database_url: str) -> None:
    source = Source()
    first = source.fact(GOOD)
    other = source.fact(MachineStateChanged(machine="tour-1", state="alarm"), seq=1)
    async with bench(database_url) as centre:
        await centre.send(first)
        await centre.send(other)
        await centre.send(other)
        assert [fact.body.state for fact in centre.collector.facts] == ["running"]
        [row] = await quarantined(centre)
        assert (row.cause, row.times) == ("conflict", 2)
        assert centre.alarms.raised
        assert centre.link.upto() == 1


async def test_samples_keep_their_identity_but_not_their_body(database_url: str) -> None:
    source = Source()
    block = source.fact(
        MachineSamples(machine="tour-1", signal="spindle_load", t0=START, dt=[0, 100], v=[1.0, 2.0]), stream="samples"
    )
    async with bench(database_url) as centre:
        await centre.send(block)
        await centre.send(block)
        assert centre.link.upto(stream="samples") == 1
        assert [fact.body.v for fact in centre.collector.facts] == [[1.0, 2.0]]
        async with centre.units.reading() as uow:
            assert (await uow.session.scalars(select(StoredFact.body))).all() == [None]


async def test_a_clock_two_hours_off_then_corrected_gives_right_durations(database_url: str) -> None:
    source = Source(clock_error=timedelta(hours=2))
    start = source.fact(WorkClocked(action="start", operation="OF1-10", person="p1", post="poste-1"), at=START)
    source.clock_error = timedelta()
    end = source.fact(
        WorkClocked(action="end", operation="OF1-10", person="p1", post="poste-1"), at=START + timedelta(minutes=30)
    )
    async with bench(database_url) as centre:
        await centre.send(start, end)
        began, ended = (fact.at for fact in centre.collector.facts)
        assert (began, ended) == (START, START + timedelta(minutes=30))
        assert not any(fact.uncertain for fact in centre.collector.facts)


async def test_facts_made_before_the_first_time_answer_are_placed_by_their_run(database_url: str) -> None:
    source = Source(clock_error=timedelta(hours=-2))
    source.knows_offset = False
    blind = source.fact(GOOD, at=START)
    alone = Source("rack-9", boot="boot0009", clock_error=timedelta(hours=-2))
    alone.knows_offset = False
    async with bench(database_url) as centre:
        centre.inbox.heard(
            AgentState(
                online=True,
                agent="rack-1",
                boot="boot0001",
                run="run0001",
                ts=START + timedelta(hours=-2, seconds=60),
                time=TimeRequest(run="run0001", mono=60_000),
                off=7_200_000,
            )
        )
        await centre.send(blind)
        await centre.send(alone.fact(at=START))
        by_agent = {fact.agent: fact for fact in centre.collector.facts}
        assert (by_agent["rack-1"].at, by_agent["rack-1"].uncertain) == (START, False)
        assert (by_agent["rack-9"].at, by_agent["rack-9"].uncertain) == (START - timedelta(hours=2), True)


async def test_an_impossible_date_is_quarantined(database_url: str) -> None:
    source = Source()
    async with bench(database_url) as centre:
        await centre.send(source.fact(ts=datetime(9999, 12, 31, 23, 59, tzinfo=UTC)), source.fact())
        assert [row.cause for row in await quarantined(centre)] == ["clock"]
        assert centre.link.upto() == 2


async def test_a_state_is_answered_with_the_time_and_the_acks(database_url: str) -> None:
    source = Source()
    async with bench(database_url) as centre:
        await centre.send(source.fact())
        centre.link.sent.clear()
        centre.inbox.heard(state(source, acked=1))
        await centre.send(source.fact())
        topics = [topic.rpartition("rack-1/")[2] for topic, _ in centre.link.sent]
        assert topics[0] == "cmd/time"
        assert centre.link.upto(stream="samples") == 0
        assert centre.link.upto() == 2


async def test_a_restored_centre_asks_back_what_the_agent_had_been_told(database_url: str) -> None:
    source = Source()
    facts = [source.fact() for _ in range(10)]
    async with bench(database_url) as centre:
        await centre.send(*facts[:4])
        centre.inbox.heard(state(source, acked=9))
        await centre.send(source.fact(seq=4), agent="rack-1")
        assert [(r.stream, r.first, r.last) for r in centre.link.resends()] == [("facts", 5, 9)]
        await centre.send(*facts[4:])
        assert centre.link.upto() == 10
        assert sorted(seqs(centre)) == list(range(1, 11))


async def test_quarantine_is_run_again_under_the_same_identity(database_url: str) -> None:
    source = Source()
    bad: Envelope = source.fact(BOOM)
    async with bench(database_url) as centre:
        await centre.send(bad, source.fact())
        [row] = await quarantined(centre)
        assert await centre.inbox.rerun([row.id]) == 0
        assert len(await quarantined(centre)) == 1

        async def mended(_uow: object, facts: object) -> None:
            centre.collector.facts.extend(facts)  # type: ignore[call-overload]  # a sequence of facts

        centre.consumers._by_kind["machine.state"] = [mended]
        assert await centre.inbox.rerun([row.id]) == 1
        assert await quarantined(centre) == []
        assert sorted(seqs(centre)) == [1, 2]
        assert await stored(centre) == 2
        await centre.send(bad)
        assert sorted(seqs(centre)) == [1, 2]


def state(source: Source, acked: int) -> AgentState:
    return AgentState(
        online=True,
        agent=source.agent,
        boot=source.boot,
        run=source.run,
        ts=START,
        time=TimeRequest(run=source.run, mono=0),
        facts=StreamState(last=acked, acked=acked, pending=0),
    )


def test_the_collector_would_notice_a_wrong_payload() -> None:
    assert msgspec.json.decode(encode(Source().fact(BOOM)), type=Envelope).kind == "machine.state"
