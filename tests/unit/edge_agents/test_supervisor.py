from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest

from contracts.facts import CodeScanned
from edge_agents.clock import Clock
from edge_agents.outbox import Fact, Outbox
from edge_agents.supervisor import Desk, SourceFault, Supervisor


class FakePart:
    """Does as it is told each time that it is started."""

    kind = "fake"
    about: Mapping[str, str] = {}

    def __init__(self, name: str, *fates: Exception | None) -> None:
        self.name = name
        self.fates = list(fates)
        self.starts = 0
        self.beats = 0

    async def run(self, desk: Desk) -> None:
        self.starts += 1
        await desk.works()
        if self.fates:
            fate = self.fates.pop(0)
            if fate is None:
                return
            raise fate
        while True:
            self.beats += 1
            await asyncio.sleep(0.01)


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    async with Outbox.open(tmp_path / "o.db", site="s", agent="a", clock=Clock()) as opened:
        yield opened


async def statuses(outbox: Outbox, source: str) -> list[tuple[str, str]]:
    bodies = [msgspec.json.decode(row.body) for row in await outbox.pending("facts", 0, 1000)]
    return [(body["status"], body["code"]) for body in bodies if body.get("source") == source]


async def until(condition: object, seconds: float = 20.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.01)


async def test_a_part_that_crashes_is_started_again_and_the_others_do_not_notice(outbox: Outbox) -> None:
    bad, good = FakePart("bad", ZeroDivisionError(), ZeroDivisionError()), FakePart("good")
    supervisor = Supervisor([bad, good], outbox)
    supervisor.start()
    await until(lambda: bad.starts == 3 and bad.beats)
    states = {state.name: state for state in supervisor.states}
    assert (states["bad"].status, states["bad"].restarts) == ("running", 2)
    assert (good.starts, states["good"].status, states["good"].restarts) == (1, "running", 0)
    assert await statuses(outbox, "bad") == [("ok", "ok"), ("error", "crashed")] * 2 + [("ok", "ok")]
    assert await statuses(outbox, "good") == [("ok", "ok")]
    await supervisor.stop()
    assert {state.status for state in supervisor.states} == {"stopped"}


async def test_a_source_that_is_gone_waits_and_says_what_to_do(outbox: Outbox) -> None:
    gone = FakePart("cam", SourceFault("camera_gone", "no answer", "Caméra sans réponse : vérifier son câble."))
    seen: list[str] = []
    supervisor = Supervisor([gone], outbox, lambda: seen.extend(f"{s.status} {s.detail}" for s in supervisor.states))
    supervisor.start()
    await until(lambda: gone.beats)
    assert "waiting Caméra sans réponse : vérifier son câble." in seen
    assert await statuses(outbox, "cam") == [("ok", "ok"), ("lost", "camera_gone"), ("ok", "ok")]
    await supervisor.stop()


async def test_a_source_that_ends_is_stopped_and_not_started_again(outbox: Outbox) -> None:
    part = FakePart("film", None)
    supervisor = Supervisor([part], outbox)
    supervisor.start()
    await until(lambda: supervisor.states[0].status == "stopped")
    assert part.starts == 1
    await supervisor.stop()


async def test_one_part_is_restarted_on_command(outbox: Outbox) -> None:
    one, other = FakePart("one"), FakePart("other")
    supervisor = Supervisor([one, other], outbox)
    supervisor.start()
    await until(lambda: one.beats and other.beats)
    assert await supervisor.restart("one")
    assert not await supervisor.restart("none")
    await until(lambda: one.starts == 2)
    assert other.starts == 1
    await supervisor.stop()


async def test_a_part_whose_fact_is_refused_shows_it_in_red(outbox: Outbox) -> None:
    class Writer(FakePart):
        async def run(self, desk: Desk) -> None:
            self.starts += 1
            await desk.put([Fact(CodeScanned(code="A", format="QR", post="p"))], cursor=self.starts)
            await super().run(desk)

    part = Writer("writer")
    await outbox._do(lambda file: file._db.execute("PRAGMA max_page_count = 1"))
    big = [Fact(CodeScanned(code="x" * 120, format="QR", post="p"))] * 300
    with pytest.raises(Exception, match="full"):
        await outbox.put(big)
    await outbox._do(lambda file: setattr(file, "_max_pages", 1))
    supervisor = Supervisor([part], outbox)
    supervisor.start()
    await until(lambda: supervisor.states[0].status == "failed")
    assert "PAS enregistré" in supervisor.states[0].detail
    await outbox._do(lambda file: setattr(file, "_max_pages", 10_000))
    await outbox._do(lambda file: file._db.execute("PRAGMA max_page_count = 10000"))
    await until(lambda: part.beats)
    assert supervisor.states[0].status == "running"
    await supervisor.stop()
