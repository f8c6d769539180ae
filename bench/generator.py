"""The load: publishes the mix at a steady rate as many agents would, one envelope a message, and listens to
acks and to the page.

Its own process, so that it does not share an interpreter with what it measures:
``python -m bench.generator BROKER_PORT CENTRE_PORT RATE SECONDS`` (CENTRE_PORT 0: only publish, for the plain
peer). Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import secrets
import sys
import time
from collections import deque
from datetime import UTC, datetime
from typing import Any

import msgspec
from gmqtt import Client

from bench.figures import quantiles
from bench.traffic import AGENTS, SITE, Size, agent_name, mix, wrap
from contracts import topics
from contracts.control import Ack
from contracts.envelope import Stream, encode

_TICK_S = 0.005
_DRAIN_S = 120.0


class Load:
    def __init__(self, centre_port: int) -> None:
        self.centre_port = centre_port
        self.boots = [secrets.token_hex(8) for _ in range(AGENTS)]
        self.seqs: dict[tuple[int, Stream], int] = {}
        self.unacked: dict[tuple[str, str], deque[tuple[int, float]]] = {}
        self.to_commit: list[float] = []
        self.unseen: dict[str, deque[tuple[datetime, float]]] = {}
        self.states: dict[str, str] = {}
        """Last state of each machine: one that says the same again moves no tile, and is not waited for on the page."""
        self.to_page: list[float] = []
        self.published = 0
        self.connected = asyncio.Event()
        self.present = asyncio.Event()
        self.last_ack = 0.0

    async def run(self, broker_port: int, rate: float, seconds: float) -> dict[str, Any]:
        client = Client(f"generator-{secrets.token_hex(4)}")
        client.on_connect = lambda *_: self.connected.set()
        client.on_message = self._heard
        await client.connect("127.0.0.1", broker_port)
        await self.connected.wait()
        page: asyncio.Task[None] | None = None
        if self.centre_port:
            client.subscribe(topics.presence(SITE), qos=1)
            client.subscribe(topics.ack(SITE, "+"), qos=1)
            async with asyncio.timeout(30):
                await self.present.wait()
            listening = asyncio.Event()
            page = asyncio.create_task(self._listen(listening))
            async with asyncio.timeout(10):
                await listening.wait()
        gc.freeze()
        began = time.perf_counter()
        behind = await self._publish(client, rate, seconds)
        sent_in = time.perf_counter() - began
        if self.centre_port:
            await self._drain()
        settled_in = (self.last_ack or time.perf_counter()) - began
        if page is not None:
            await asyncio.sleep(1.0)
            page.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await page
        else:
            await asyncio.sleep(2.0)
        await client.disconnect()
        waiting = sum(len(queue) for queue in self.unacked.values())
        return {
            "published": self.published,
            "published_per_s": round(self.published / sent_in),
            "generator_behind_ms": round(behind * 1000),
            "unacked_at_end": waiting if self.centre_port else None,
            "settled_per_s": round((self.published - waiting) / settled_in) if self.centre_port else None,
            "lag_at_end_ms": round(max(0.0, settled_in - sent_in) * 1000) if self.centre_port else None,
            "publish_to_commit_ack": quantiles(self.to_commit),
            "publish_to_page": quantiles(self.to_page),
        }

    async def _publish(self, client: Client, rate: float, seconds: float) -> float:
        """Publish on schedule; how far behind the schedule the generator itself ever was, in seconds."""
        streams = [mix(agent, Size.of(rate), agent) for agent in range(AGENTS)]
        began = time.perf_counter()
        worst, made, total = 0.0, 0, int(rate * seconds)
        while made < total:
            due = min(total, int((time.perf_counter() - began) * rate) + 1)
            worst = max(worst, (due - made - rate * _TICK_S) / rate)
            while made < due:
                self._one(client, made % AGENTS, streams[made % AGENTS])
                made += 1
            await asyncio.sleep(_TICK_S)
        return worst

    def _one(self, client: Client, agent: int, stream: Any) -> None:
        planned = next(stream)
        key = (agent, planned.stream)
        seq = self.seqs[key] = self.seqs.get(key, 0) + 1
        fact = wrap(agent, self.boots[agent], seq, planned, int(time.monotonic() * 1000))
        now = time.perf_counter()
        self.unacked.setdefault((self.boots[agent], planned.stream), deque()).append((seq, now))
        if planned.kind == "machine.state" and self.states.get(planned.body.machine) != planned.body.state:
            self.states[planned.body.machine] = planned.body.state
            self.unseen.setdefault(f"machine:{planned.body.machine}", deque()).append((fact.ts, now))
        topic = topics.facts if planned.stream == "facts" else topics.samples
        client.publish(topic(SITE, agent_name(agent)), encode(fact), qos=1)
        self.published += 1

    def _heard(self, _client: Client, topic: str, payload: bytes, _qos: int, _properties: Any) -> int:
        if topic == topics.presence(SITE):
            self.present.set()
            return 0
        ack = msgspec.json.decode(payload, type=Ack)
        queue = self.unacked.get((ack.boot, ack.stream))
        if queue is not None:
            now = time.perf_counter()
            while queue and queue[0][0] <= ack.upto:
                self.to_commit.append((now - queue.popleft()[1]) * 1000)
            self.last_ack = now
        return 0

    async def _listen(self, listening: asyncio.Event) -> None:
        """One page: reads server-sent events; a state is on the page when its machine's tile is as new as it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.centre_port, limit=2**22)
        writer.write(b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        while line := await reader.readline():
            listening.set()
            if line.startswith(b"data: "):
                now = time.perf_counter()
                for topic, data in json.loads(line[6:]).items():
                    self._shown(topic, data.get("since"), now)

    def _shown(self, topic: str, since: str | None, now: float) -> None:
        queue = self.unseen.get(topic)
        if queue is None or since is None:
            return
        newest = datetime.fromisoformat(since).astimezone(UTC)
        while queue and queue[0][0] <= newest:
            self.to_page.append((now - queue.popleft()[1]) * 1000)

    async def _drain(self) -> None:
        limit = time.perf_counter() + _DRAIN_S
        while any(self.unacked.values()) and time.perf_counter() < limit:  # noqa: ASYNC110  # many queues, one poll
            await asyncio.sleep(0.05)


def main() -> None:
    broker_port, centre_port, rate, seconds = sys.argv[1:]
    figures = asyncio.run(Load(int(centre_port)).run(int(broker_port), float(rate), float(seconds)))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
