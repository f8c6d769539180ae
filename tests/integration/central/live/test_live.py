"""Pages that listen: told after the commit, resumed where they were, told to read again when too far behind."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from central.core.access import DEMO
from central.core.uow import Outgoing
from central.link import LinkDown
from central.live import routes
from central.live.hub import QUEUE_LIMIT, Frame
from central.live.routes import _events
from central.live.service import MOST_REPLAYED, Live
from central.live.watching import Watch
from tests.support.centre import Bench, bench, eventually


async def _always() -> bool:
    return True


WATCH = Watch(DEMO, _always)


class FakeDeliverer:
    """A broker that is away until `there`."""

    def __init__(self) -> None:
        self.there = True
        self.delivered: list[tuple[str, bytes]] = []

    async def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if not self.there:
            raise LinkDown("away")
        self.delivered.append((topic, payload))


async def tell(centre: Bench, topic: str, **data: object) -> None:
    async with centre.units.begin() as uow:
        uow.tell(topic, **data)


async def next_text(events: object) -> str:
    return await asyncio.wait_for(anext(events), 30)  # type: ignore[call-overload,no-any-return]  # an async iterator


async def test_a_commit_is_told_and_a_rollback_is_not(database_url: str) -> None:
    async with bench(database_url) as centre:
        live = Live(centre.units, FakeDeliverer(), (LinkDown,))
        events = _events(live, None, WATCH)
        await next_text(events)
        waiting = asyncio.ensure_future(next_text(events))
        await eventually(lambda: len(live.hub) == 1)
        with contextlib.suppress(LookupError):
            async with centre.units.begin() as uow:
                uow.tell("stock", item="never")
                {}["rolled back"]
        await tell(centre, "stock", item="x")
        text = await waiting
        assert 'data: {"stock":{"item":"x"}}' in text
        await events.aclose()
        assert len(live.hub) == 0


async def test_a_page_resumes_after_the_last_event_it_saw(database_url: str) -> None:
    async with bench(database_url) as centre:
        live = Live(centre.units, FakeDeliverer(), (LinkDown,))
        for n in range(5):
            await tell(centre, "stock", n=n)
        frames = await live.since(0)
        assert [frame.data for frame in frames] == [f'{{"stock":{{"n":{n}}}}}' for n in range(5)]
        events = _events(live, frames[2].id, WATCH)
        await next_text(events)
        assert '"n":3' in await next_text(events)
        assert '"n":4' in await next_text(events)
        await events.aclose()


async def test_too_far_behind_is_told_to_read_again(sqlite_url: str) -> None:
    async with bench(sqlite_url) as centre:
        live = Live(centre.units, FakeDeliverer(), (LinkDown,))
        for n in range(MOST_REPLAYED + 2):
            await tell(centre, "stock", n=n)
        assert [frame.data for frame in await live.since(0)] == [None]
        assert [frame.data for frame in await live.since(10**9)] == [None], "the database was restored"
        listener = live.hub.join()
        for n in range(QUEUE_LIMIT + 1):
            live.hub.send(Frame(n, "{}"))
        assert [frame.data for frame in await listener.take(1)] == [None]


async def test_what_is_old_is_forgotten(sqlite_url: str) -> None:
    class LaterClock:
        late = timedelta()

        def now(self) -> datetime:
            return datetime.now(UTC) + self.late

    clock = LaterClock()
    async with bench(sqlite_url, clock) as centre:
        live = Live(centre.units, FakeDeliverer(), (LinkDown,))
        await tell(centre, "stock")
        clock.late = timedelta(hours=1)
        await tell(centre, "machines")
        async with centre.units.begin() as uow:
            await live.purge(uow)
        async with centre.units.reading() as uow:
            assert await uow.session.scalar(select(func.count()).select_from(Outgoing)) == 1


async def test_a_message_waits_for_the_broker_and_is_sent_in_order(database_url: str) -> None:
    async with bench(database_url) as centre:
        broker = FakeDeliverer()
        broker.there = False
        live = Live(centre.units, broker, (LinkDown,))
        live.start()
        for n in range(3):
            async with centre.units.begin() as uow:
                uow.publish("a", str(n).encode())
        broker.there = True
        live.wake()
        await eventually(lambda: len(broker.delivered) == 3)
        assert [payload for _, payload in broker.delivered] == [b"0", b"1", b"2"]

        async def all_sent() -> bool:
            async with centre.units.reading() as uow:
                return await uow.session.scalar(select(func.count()).where(Outgoing.sent_at.is_(None))) == 0

        await eventually(all_sent)
        await live.stop()


async def test_a_stream_with_much_to_tell_ends_with_its_session(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over by its time, or a device retired: nobody says a word of it, and frames keep coming."""
    monkeypatch.setattr(routes, "HEARTBEAT_S", 0.2)
    known = True

    async def still() -> bool:
        return known

    async with bench(sqlite_url) as centre:
        live = Live(centre.units, FakeDeliverer(), (LinkDown,))
        events = _events(live, None, Watch(DEMO, still))
        await next_text(events)
        told = 0
        async with asyncio.timeout(60):
            while True:
                waiting = asyncio.ensure_future(anext(events, None))
                await asyncio.sleep(0.05)
                await tell(centre, "stock", n=told)
                if await waiting is None:
                    break
                told += 1
                known = told < 3
        assert 3 <= told < 40


async def test_a_retired_terminal_is_told_nothing_more(sqlite_url: str) -> None:
    async def gone() -> bool:
        return False

    async with bench(sqlite_url) as centre:
        live = Live(centre.units, FakeDeliverer(), (LinkDown,))
        events = _events(live, None, Watch(DEMO, gone))
        await next_text(events)
        waiting = asyncio.ensure_future(anext(events, None))
        await eventually(lambda: len(live.hub) == 1)
        await tell(centre, "devices")
        assert await waiting is None
