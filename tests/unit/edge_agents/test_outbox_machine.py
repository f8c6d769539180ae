"""The outbox against a model, through any order of writing, acknowledging, crashing, restoring and thinning."""

from __future__ import annotations

import asyncio
import copy
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from contracts.control import SETTLEMENTS
from contracts.envelope import STREAMS, Stream
from contracts.facts import CodeScanned, MachineSamples
from edge_agents import store
from edge_agents.clock import Clock
from edge_agents.outbox import Fact, Outbox

_T = TypeVar("_T")
_WINDOW = 5


@dataclass
class Model:
    """What the file must hold: each stream's rows in order (None: settled by a settlement), the boot, the cursor."""

    boot: str = ""
    rows: dict[str, list[int | None]] = field(default_factory=lambda: {"facts": [], "samples": []})
    acked: dict[str, int] = field(default_factory=lambda: {"facts": 0, "samples": 0})
    highest: dict[str, int] = field(default_factory=lambda: {"facts": 0, "samples": 0})
    cursor: int | None = None


def fact(number: int, stream: str) -> Fact:
    if stream == "facts":
        return Fact(CodeScanned(code=str(number), format="QRCode", post="p"))
    return Fact(MachineSamples(machine="m", signal="s", t0=datetime(2026, 3, 2, tzinfo=UTC), dt=[number], v=[0.0]))


class OutboxMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.files = 0
        self.number = 0
        self.model = Model()
        self.copies: list[tuple[Path, Model]] = []
        self.window, store.WINDOW = store.WINDOW, _WINDOW  # type: ignore[misc]  # small, so that few rows can be thinned
        self.open(self.directory / "o.db")
        self.model.boot = self.outbox.boot

    def do(self, step: Coroutine[Any, Any, _T]) -> _T:
        return self.loop.run_until_complete(step)

    def open(self, path: Path) -> None:
        self.path = path
        self.stack = AsyncExitStack()
        self.outbox: Outbox = self.do(
            self.stack.enter_async_context(Outbox.open(path, site="s", agent="a", clock=Clock(), max_bytes=1 << 24))
        )

    def teardown(self) -> None:
        self.do(self.stack.aclose())
        self.loop.close()
        store.WINDOW = self.window  # type: ignore[misc]  # as it was
        shutil.rmtree(self.directory)

    @rule(streams=st.lists(st.sampled_from(STREAMS), min_size=1, max_size=9), with_cursor=st.booleans())
    def put(self, streams: list[Stream], with_cursor: bool) -> None:
        new = []
        for stream in streams:
            self.number += 1
            new.append(fact(self.number, stream))
            self.model.rows[stream].append(self.number)
        seqs = self.do(self.outbox.put(new, {"source": self.number} if with_cursor else None))
        if with_cursor:
            self.model.cursor = self.number
        for stream in STREAMS:
            mine = [seq for seq, of in zip(seqs, streams, strict=True) if of == stream]
            last = len(self.model.rows[stream])
            assert mine == list(range(last - len(mine) + 1, last + 1))

    @rule(stream=st.sampled_from(STREAMS), share=st.floats(0, 1))
    def acknowledge(self, stream: Stream, share: float) -> None:
        """Forwards, and backwards as a restored centre does."""
        upto = round(len(self.model.rows[stream]) * share)
        self.outbox.ack(stream, upto)
        assert self.do(self.outbox.position(stream)).acked == upto
        self.model.acked[stream] = upto
        self.model.highest[stream] = max(self.model.highest[stream], upto)

    @rule(rows=st.integers(1, 30))
    def thin(self, rows: int) -> None:
        self.do(self.outbox._do(lambda file: file.thin(rows, "why")))
        held = self.model.rows["samples"]
        start = max(self.model.acked["samples"], self.model.highest["samples"]) + _WINDOW
        found = self.rows("samples")
        given_up = [n for n in range(start, len(held)) if found[n] is None]
        assert found[:start] == held[:start]
        assert given_up == list(range(start, start + len(given_up)))  # the oldest of those never sent, without a gap
        for n in given_up:
            held[n] = None

    @rule(stream=st.sampled_from(STREAMS), share=st.floats(0, 1))
    def withdraw(self, stream: Stream, share: float) -> None:
        seq = round(len(self.model.rows[stream]) * share)
        done = self.do(self.outbox.withdraw(stream, seq, "unreadable"))
        assert done == (seq > 0 and self.model.rows[stream][seq - 1] is not None)
        if done:
            self.model.rows[stream][seq - 1] = None

    @precondition(lambda self: len(self.copies) < 5)
    @rule()
    def copy_file(self) -> None:
        """As a backup program does: the file and its log, while the agent runs."""
        self.copies.append((self.copied(), copy.deepcopy(self.model)))

    @rule()
    def crash(self) -> None:
        path = self.copied()
        self.do(self.stack.aclose())
        self.open(path)
        assert self.outbox.boot == self.model.boot

    @precondition(lambda self: self.copies)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        path, self.model = data.draw(st.sampled_from(self.copies))
        self.model = copy.deepcopy(self.model)
        self.do(self.stack.aclose())
        self.open(self.copied(path))
        assert self.outbox.boot == self.model.boot

    @rule(facts_share=st.floats(0, 1), samples_share=st.floats(0, 1))
    def new_boot(self, facts_share: float, samples_share: float) -> None:
        cuts: dict[Stream, int] = {
            "facts": round(len(self.model.rows["facts"]) * facts_share),
            "samples": round(len(self.model.rows["samples"]) * samples_share),
        }
        before = {stream: list(held) for stream, held in self.model.rows.items()}
        old = self.outbox.boot
        self.model = Model(
            boot=self.do(self.outbox.new_boot(cuts)),
            rows={stream: before[stream][cuts[stream] :] for stream in STREAMS},
            cursor=self.model.cursor,
        )
        assert self.model.boot not in (old, *self.do(self.outbox.older_boots())[:-1])

    def copied(self, path: Path | None = None) -> Path:
        source = path or self.path
        self.files += 1
        target = self.directory / f"copy-{self.files}.db"
        for ending in ("", "-wal"):
            if (part := source.with_name(source.name + ending)).exists():
                shutil.copy(part, target.with_name(target.name + ending))
        return target

    def rows(self, stream: Stream) -> list[int | None]:
        """What the file gives to be sent: every number once, in order, each a row or covered by a settlement."""
        out: list[int | None] = []
        while batch := self.do(self.outbox.pending(stream, len(out), 7)):
            for row in batch:
                assert (row.site, row.agent, row.boot, row.stream) == ("s", "a", self.outbox.boot, stream)
                body = msgspec.json.decode(row.body)
                if row.kind in SETTLEMENTS:
                    assert row.kind != "stream.lost"
                    assert (body["first"], body["last"]) == (len(out) + 1, row.seq)
                    out += [None] * (body["last"] - body["first"] + 1)
                else:
                    assert row.seq == len(out) + 1
                    out.append(int(body["code"]) if stream == "facts" else body["dt"][0])
        return out

    @invariant()
    def the_file_holds_what_was_written(self) -> None:
        for stream in STREAMS:
            assert self.rows(stream) == self.model.rows[stream]
            assert self.outbox.last[stream] == len(self.model.rows[stream])
        saved = self.do(self.outbox.cursor("source"))
        assert (None if saved is None else int(saved)) == self.model.cursor


OutboxMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutboxMachine = OutboxMachine.TestCase
