"""A centre that keeps the protocol's promises and does nothing else: what an agent is tested against.

Its "disk" is a dictionary that outlives `stop`; `backup` copies it, `HonestCentre(…, disk=…)` restores it.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec

from contracts import topics
from contracts.control import SETTLEMENTS, Ack, AgentState, CentrePresence, Resend, TimeReply
from contracts.envelope import STREAMS, Envelope, Stream, decode
from edge_agents.link import Broker, Link, LinkDownError, Will

Lane = tuple[str, str, Stream]
"""Agent, boot, stream."""


class Disk:
    """What is committed: rows by identity, and which numbers are settled."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str, int], Envelope] = {}
        self.settled: dict[Lane, set[int]] = {}
        self.upto: dict[Lane, int] = {}
        self.conflicts: list[Envelope] = []
        self.settlements: list[Envelope] = []

    def backup(self) -> Disk:
        return copy.deepcopy(self)

    def take(self, envelope: Envelope) -> Lane:
        lane: Lane = (envelope.agent, envelope.boot, envelope.stream)
        settled = self.settled.setdefault(lane, set())
        if envelope.kind in SETTLEMENTS:
            body = msgspec.json.decode(envelope.body, type=SETTLEMENTS[envelope.kind])
            settled.update(range(body.first, body.last + 1))
            self.settlements.append(envelope)
        else:
            key = (envelope.agent, envelope.boot, envelope.stream, envelope.seq)
            known = self.rows.setdefault(key, envelope)
            if known.body_hash() != envelope.body_hash():
                self.conflicts.append(envelope)
            settled.add(envelope.seq)
        upto = self.upto.get(lane, 0)
        while upto + 1 in settled:
            upto += 1
        self.upto[lane] = upto
        return lane


class HonestCentre:
    """`blind` tells of an envelope that this centre cannot read: it is neither kept nor acknowledged."""

    def __init__(
        self,
        broker: Broker,
        site: str,
        disk: Disk | None = None,
        *,
        blind: Callable[[Envelope], bool] = lambda _envelope: False,
        clock_error: timedelta = timedelta(0),
        patience_s: float = 0.3,
    ) -> None:
        self.site = site
        self.disk = disk or Disk()
        self.blind = blind
        self.messages = 0
        self.largest = 0
        self.states: dict[str, AgentState] = {}
        self.time_answered = True
        self._clock_error = clock_error
        self._patience_s = patience_s
        self._asked: dict[Lane, tuple[int, float]] = {}
        self._outgoing: asyncio.Queue[tuple[str, bytes, bool]] = asyncio.Queue()
        self._epoch = secrets.token_hex(4)
        self._link = Link(
            broker,
            f"centre-{self._epoch}",
            [f"{topics.ROOT}/{site}/+/{channel}" for channel in topics.WRITTEN_BY_AGENT],
            lambda: Will(topics.presence(site), self._presence(present=False)),
        )
        self._link.on_up = lambda: self._say(topics.presence(site), self._presence(present=True), retain=True)
        self._link.on_message = self._on_message
        self._tasks: list[asyncio.Task[Any]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._link.run()), asyncio.create_task(self._speak())]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Killed, not stopped: the broker says for it that it is gone."""
        with contextlib.suppress(LinkDownError):
            await self._link.publish(topics.presence(self.site), self._presence(present=False), retain=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def rows(self, agent: str, stream: str = "facts") -> list[Envelope]:
        """Everything committed of one agent's stream, in no order."""
        return [e for (a, _boot, s, _seq), e in self.disk.rows.items() if (a, s) == (agent, stream)]

    def command(self, agent: str, name: str, value: msgspec.Struct) -> None:
        self._say(topics.command(self.site, agent, name), msgspec.json.encode(value))

    def _presence(self, *, present: bool) -> bytes:
        return msgspec.json.encode(CentrePresence(present=present, epoch=self._epoch, since=datetime.now(UTC)))

    def _say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._outgoing.put_nowait((topic, payload, retain))

    async def _speak(self) -> None:
        while True:
            topic, payload, retain = await self._outgoing.get()
            with contextlib.suppress(LinkDownError):
                await self._link.publish(topic, payload, retain=retain)

    def _on_message(self, topic: str, payload: bytes) -> None:
        address = topics.parse(topic)
        assert address is not None
        if address.channel == "state":
            self._on_state(address.agent, msgspec.json.decode(payload, type=AgentState))
            return
        self.messages += 1
        self.largest = max(self.largest, len(payload))
        pack = decode(payload)
        assert not pack.illegible
        for lane in {self.disk.take(envelope) for envelope in pack.envelopes if not self.blind(envelope)}:
            self._ack(lane)

    def _ack(self, lane: Lane) -> None:
        agent, boot, stream = lane
        upto = self.disk.upto.get(lane, 0)
        self._say(topics.ack(self.site, agent), msgspec.json.encode(Ack(boot=boot, stream=stream, upto=upto)))
        beyond = [seq for seq in self.disk.settled.get(lane, set()) if seq > upto]
        now = asyncio.get_running_loop().time()
        asked, at = self._asked.get(lane, (0, -1e9))
        if beyond and (asked != upto + 1 or now - at >= self._patience_s):
            self._asked[lane] = (upto + 1, now)
            self.command(agent, "resend", Resend(boot=boot, stream=stream, first=upto + 1, last=min(beyond) - 1))
            asyncio.get_running_loop().call_later(self._patience_s * 1.1, self._ack, lane)

    def _on_state(self, agent: str, state: AgentState) -> None:
        self.states[agent] = state
        if not state.online:
            return
        if state.time is not None and self.time_answered:
            now = datetime.now(UTC) + self._clock_error
            self.command(agent, "time", TimeReply(run=state.time.run, mono=state.time.mono, now=now))
        for stream in STREAMS:
            self._ack((agent, state.boot, stream))


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for a condition, generously; the assertion that follows says what is wrong."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - any condition
        await asyncio.sleep(0.02)
