"""The outbox against a real file; what a disk does wrong is done to the file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.control import Lost, Thinned, TimeReply, Withdrawn
from contracts.facts import CodeScanned, MachineSamples, RackRead, SlotSeen, StockObserved
from edge_agents.clock import Clock, Moment
from edge_agents.outbox import (
    Fact,
    FactRefusedError,
    Outbox,
    OutboxBrokenError,
    OutboxFullError,
    OutboxLockedError,
)
from edge_agents.store import WINDOW

MIB = 1024 * 1024


@asynccontextmanager
async def opened(path: Path, *, max_bytes: int = 64 * MIB, clock: Clock | None = None) -> AsyncIterator[Outbox]:
    async with Outbox.open(path, site="atelier", agent="rack-1", clock=clock or Clock(), max_bytes=max_bytes) as outbox:
        yield outbox


def scan(code: str = "IT-1") -> Fact:
    return Fact(CodeScanned(code=code, format="QRCode", post="poste-1"))


def samples(count: int = 1, values: int = 100) -> list[Fact]:
    body = MachineSamples(
        machine="tour-1", signal="load", unit="%", t0=datetime(2026, 3, 2, tzinfo=UTC),
        dt=list(range(values)), v=[0.123456789 * i for i in range(values)],
    )  # fmt: skip
    return [Fact(body)] * count


async def codes(outbox: Outbox, after: int = 0) -> list[str]:
    rows = await outbox.pending("facts", after, 10_000)
    return [msgspec.json.decode(row.body)["code"] for row in rows]


async def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        boot = outbox.boot
        assert await outbox.put([scan("A"), scan("B")], {"rack-a": {"A1": 4}}) == [1, 2]
    async with opened(tmp_path / "o.db") as outbox:
        assert outbox.boot == boot
        assert outbox.was_clean
        assert await codes(outbox) == ["A", "B"]
        assert msgspec.json.decode(await outbox.cursor("rack-a") or b"") == {"A1": 4}
        assert await outbox.put([scan("C")]) == [3]


async def test_each_stream_counts_by_itself(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        assert await outbox.put([scan(), *samples(), scan()]) == [1, 1, 2]
        assert [row.kind for row in await outbox.pending("samples", 0, 10)] == ["machine.samples"]


async def test_callers_that_come_together_share_transactions(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        seqs = await asyncio.gather(*[outbox.put([scan(str(n))]) for n in range(500)])
        assert sorted(seq for (seq,) in seqs) == list(range(1, 501))
        found = await codes(outbox)
        assert [found[seq - 1] for (seq,) in seqs] == [str(n) for n in range(500)]


async def test_a_bad_fact_is_refused_and_its_cursor_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        for bad in (
            CodeScanned(code="", format="QRCode", post="p"),
            StockObserved(source="camera", qty=10**13),
            RackRead(rack="r", why="start", slots=[SlotSeen(place="p" * 120, item="i" * 120)] * 400),
            Lost(first=1, last=2, why=""),
        ):
            with pytest.raises(FactRefusedError):
                await outbox.put([scan(), Fact(bad)], {"s": 1})
        assert await outbox.cursor("s") is None
        assert await outbox.pending("facts", 0, 10) == []


async def test_two_agents_cannot_open_one_outbox(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db"):
        with pytest.raises(OutboxLockedError, match=str(os.getpid())):
            async with opened(tmp_path / "o.db"):
                pass
    async with opened(tmp_path / "o.db"):
        pass


async def test_a_time_that_was_unknown_is_filled_in_when_it_becomes_known(tmp_path: Path) -> None:
    clock = Clock()
    two_hours = timedelta(hours=2)
    async with opened(tmp_path / "o.db", clock=clock) as outbox:
        await outbox.put(
            [Fact(scan().body, Moment(clock.now().wall - timedelta(minutes=5), clock.now().mono - 300_000))]
        )
        row = (await outbox.pending("facts", 0, 1))[0]
        assert row.off is None
        clock.heard(TimeReply(run=clock.run, mono=clock.now().mono, now=clock.now().wall + two_hours))
        await outbox.save_anchor()
        corrected = (await outbox.pending("facts", 0, 1))[0]
        assert corrected.off == pytest.approx(7_200_000, abs=50)
        assert corrected.body_hash() == row.body_hash()
    async with opened(tmp_path / "o.db") as outbox:  # another run: it is the stamped run's offset that counts
        assert (await outbox.pending("facts", 0, 1))[0].off == corrected.off


async def test_acknowledged_rows_are_kept_a_week_then_deleted(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    async with opened(path) as outbox:
        await outbox.put([scan("A"), scan("B"), scan("C")])
        outbox.ack("facts", 2)
        assert (await outbox.position("facts")).acked == 2
        assert await codes(outbox) == ["A", "B", "C"]
    with sqlite3.connect(path) as db:
        db.execute("UPDATE acks SET at = at - 8 * 86400 * 1000000")
    db.close()
    async with opened(path) as outbox:
        await outbox.put([scan("D")])  # the writer cleans after its first batch
        await outbox.put([])
        rows = await outbox.pending("facts", 0, 10)
        assert [(row.kind, row.seq) for row in rows] == [("stream.lost", 2), ("code.scanned", 3), ("code.scanned", 4)]
        assert msgspec.json.decode(rows[0].body, type=Lost).first == 1
        assert (await outbox.position("facts")).first == 3


async def test_a_withdrawn_row_is_kept_aside(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        await outbox.put([scan("A"), scan("B")])
        assert await outbox.withdraw("facts", 1, "why not")
        assert not await outbox.withdraw("facts", 1, "again")
        assert not await outbox.withdraw("facts", 9, "nothing there")
        rows = await outbox.pending("facts", 0, 10)
        assert msgspec.json.decode(rows[0].body, type=Withdrawn) == Withdrawn(first=1, last=1, why="why not")
        assert await outbox.aside() == [("facts", outbox.boot, 1, "code.scanned", "why not")]


async def test_samples_are_thinned_oldest_first_and_facts_still_enter(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db", max_bytes=12 * MIB) as outbox:
        for _ in range(20):
            await outbox.put(samples(500))
            await outbox.put([scan()])
        assert outbox.used < 0.9
        last = outbox.last["samples"]
        assert last == 10_000
        rows, after = [], 0
        while batch := await outbox.pending("samples", after, 5_000):
            rows += batch
            after = batch[-1].seq
        # what may already be on its way is never touched; then one row stands for all that was given up
        assert [row.seq for row in rows[:WINDOW]] == list(range(1, WINDOW + 1))
        assert rows[WINDOW].kind == "stream.thinned"
        given_up = msgspec.json.decode(rows[WINDOW].body, type=Thinned)
        assert (given_up.first, given_up.last) == (WINDOW + 1, rows[WINDOW].seq)
        assert [row.seq for row in rows[WINDOW + 1 :]] == list(range(given_up.last + 1, last + 1))
        assert all(row.kind == "machine.samples" for row in rows[WINDOW + 1 :])
        assert len(await codes(outbox)) == 20


async def test_room_is_first_taken_from_what_the_centre_has(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db", max_bytes=12 * MIB) as outbox:
        for _ in range(30):
            await outbox.put(samples(500))
            outbox.ack("samples", outbox.last["samples"])
        assert outbox.used < 0.9
        assert (await outbox.pending("samples", outbox.last["samples"] - 1, 1))[0].kind == "machine.samples"


async def test_a_full_outbox_refuses_loudly_and_writes_nothing(tmp_path: Path) -> None:
    big = Fact(CodeScanned(code="X", format="QRCode", post="p" * 120))
    async with opened(tmp_path / "o.db", max_bytes=MIB) as outbox:
        accepted = 0
        with pytest.raises(OutboxFullError) as refused:  # noqa: PT012 - which of the calls refuses is not the point
            for _ in range(100_000):
                accepted += len(await outbox.put([big] * 50, {"cursor": accepted}))
        assert "PAS enregistré" in refused.value.french
        assert outbox.last["facts"] == accepted
        assert msgspec.json.decode(await outbox.cursor("cursor") or b"") == accepted - 50
        outbox.ack("facts", accepted)
        await outbox.position("facts")  # written: room is made, and facts enter again
        for _ in range(100):
            if outbox.used < 0.85:
                break
            await asyncio.sleep(0.05)
        assert await outbox.put([big]) == [accepted + 1]


async def test_a_full_disk_refuses_loudly_and_recovers(tmp_path: Path) -> None:
    """SQLite itself says FULL: its page limit is lowered under the outbox, as a disk does."""
    async with opened(tmp_path / "o.db") as outbox:
        await outbox.put([scan("A")])
        await limit_pages(outbox, 1)
        with pytest.raises(OutboxFullError):
            await outbox.put([scan("x" * 120) for _ in range(200)], {"s": 1})
        assert await codes(outbox) == ["A"]
        assert await outbox.cursor("s") is None
        await limit_pages(outbox, 10_000)
        assert await outbox.put([scan("B")]) == [2]


async def limit_pages(outbox: Outbox, pages: int) -> None:
    def lower(store: Any) -> None:
        store._db.execute(f"PRAGMA max_page_count = {pages}")

    await outbox._do(lower)


async def test_one_caller_s_failure_is_not_another_s(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:

        def boom(_store: Any) -> None:
            raise RuntimeError("boom")

        results = await asyncio.gather(
            outbox.put([scan("A")]), outbox._do(boom), outbox.put([scan("B")]), return_exceptions=True
        )
        assert results[0] == [1]
        assert isinstance(results[1], RuntimeError)
        assert results[2] == [2]
        assert await codes(outbox) == ["A", "B"]


@pytest.mark.parametrize("damage", ["header", "page", "not-a-database"])
async def test_a_damaged_file_is_set_aside_and_a_new_boot_begins(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "o.db"
    async with opened(path) as outbox:
        boot = outbox.boot
        await outbox.put([scan(str(n)) for n in range(2000)])
    content = bytearray(path.read_bytes())
    if damage == "header":
        content[:64] = b"\xff" * 64
    elif damage == "page":
        with sqlite3.connect(path) as db:
            db.execute("UPDATE meta SET value = '0' WHERE key = 'clean'")
        db.close()
        content = bytearray(path.read_bytes())
        content[4096 * 8 : 4096 * 12] = os.urandom(4096 * 4)
    else:
        content = bytearray(b"hello " * 1000)
    path.write_bytes(content)
    async with opened(path) as outbox:
        assert outbox.boot != boot
        assert outbox.set_aside is not None
        assert outbox.set_aside.read_bytes() == content
        assert await outbox.put([scan()]) == [1]


async def test_a_file_of_a_newer_agent_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    async with opened(path):
        pass
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    db.close()
    with pytest.raises(OutboxBrokenError, match="schema 99"):
        async with opened(path):
            pass
    assert not [name for name in os.listdir(tmp_path) if "damaged" in name]  # noqa: PTH208 - one look, in a test


async def test_a_new_boot_gives_unsent_rows_new_numbers_from_one(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        old = outbox.boot
        await outbox.put([scan(c) for c in "ABCDE"])
        new = await outbox.new_boot({"facts": 3, "samples": 0})
        assert new != old
        assert [(row.seq, row.boot) for row in await outbox.pending("facts", 0, 10)] == [(1, new), (2, new)]
        assert await codes(outbox) == ["D", "E"]
        assert await outbox.put([scan("F")]) == [3]
        rows = await outbox.range(old, "facts", 0, 10)
        assert [(row.seq, row.boot) for row in rows] == [(1, old), (2, old), (3, old)]
        assert await outbox.range(old, "facts", 3, 10, upto=5) == []
        assert await outbox.older_boots() == [old]
    async with opened(tmp_path / "o.db") as outbox:
        assert outbox.boot == new
        assert await codes(outbox) == ["D", "E", "F"]


async def test_withdrawing_number_0_leaves_the_older_boot_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        old = outbox.boot
        await outbox.put([scan("A")])
        await outbox.new_boot({"facts": 1, "samples": 0})
        assert not await outbox.withdraw("facts", 0, "nothing there")
        assert [row.kind for row in await outbox.range(old, "facts", 0, 10)] == ["code.scanned"]


async def test_an_unknown_boot_has_no_rows(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        assert await outbox.range("deadbeefdeadbeef", "facts", 0, 10) == []
        lost = outbox.gone("deadbeefdeadbeef", "facts", 3, 7)
        assert (lost.kind, lost.seq, lost.boot) == ("stream.lost", 7, "deadbeefdeadbeef")


async def test_closing_refuses_what_comes_later(tmp_path: Path) -> None:
    async with opened(tmp_path / "o.db") as outbox:
        pass
    with pytest.raises(OutboxBrokenError):
        await outbox.put([scan()])
