"""The load: publishes the mix at a steady rate as many agents would, one envelope a message, and listens to
acks and to the page. Each agent has its own connection.

Its own process, so that it does not share an interpreter with what it measures:
``python -m bench.generator BROKER_PORT CENTRE_PORT RATE SECONDS [DEVICES]`` (CENTRE_PORT 0: only publish, for the plain
peer). DEVICES: a folder with an identity for each agent and the page's ``cookie``; all goes over TLS then. Prints one
JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import secrets
import ssl
import sys
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from gmqtt import Client

from bench.figures import quantiles
from bench.traffic import AGENTS, SITE, Size, agent_name, mix, wrap
from contracts import topics
from contracts.control import Ack
from contracts.envelope import Stream, encode
from edge_agents.identity import Identity

_TICK_S = 0.005
_DRAIN_S = 120.0


class Load:
    def __init__(self, centre_port: int, devices: Path | None = None) -> None:
        self.centre_port = centre_port
        self.devices = devices
        self.clients: list[Client] = []
        self.boots = [secrets.token_hex(8) for _ in range(AGENTS)]
        self.seqs: dict[tuple[int, Stream], int] = {}
        self.unacked: dict[tuple[str, str], deque[tuple[int, float]]] = {}
        self.to_commit: list[float] = []
        self.unseen: dict[str, deque[tuple[datetime, float]]] = {}
        self.states: dict[str, str] = {}
        """Last state of each machine: one that says the same again moves no tile, and is not waited for on the page."""
        self.to_page: list[float] = []
        self.published = 0
        self.told: set[Client] = set()
        """Those that have heard that the centre is present; their acks are heard from then on."""
        self.connect_ms: list[float] = []
        self.last_ack = 0.0

    async def run(self, broker_port: int, rate: float, seconds: float) -> dict[str, Any]:
        for agent in range(AGENTS):
            self.clients.append(await self._connect(agent, broker_port))
        page: asyncio.Task[None] | None = None
        if self.centre_port:
            async with asyncio.timeout(60):
                while len(self.told) < AGENTS:  # noqa: ASYNC110  # many connections, one poll
                    await asyncio.sleep(0.05)
            listening = asyncio.Event()
            page = asyncio.create_task(self._listen(listening))
            async with asyncio.timeout(60):
                await listening.wait()
        gc.freeze()
        began, cpu = time.perf_counter(), time.process_time()
        behind = await self._publish(rate, seconds)
        sent_in = time.perf_counter() - began
        if self.centre_port:
            await self._drain()
        settled_in = (self.last_ack or time.perf_counter()) - began
        cpu = time.process_time() - cpu
        if page is not None:
            await asyncio.sleep(1.0)
            page.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await page
        else:
            await asyncio.sleep(2.0)
        over = self._over()
        for client in self.clients:
            await client.disconnect()
        waiting = sum(len(queue) for queue in self.unacked.values())
        return {
            "published": self.published,
            "published_per_s": round(self.published / sent_in),
            "generator_behind_ms": round(behind * 1000),
            "generator_cpu_s": round(cpu, 2),
            "tls": over,
            "connect": quantiles(self.connect_ms),
            "unacked_at_end": waiting if self.centre_port else None,
            "settled_s": round(settled_in, 2),
            "settled_per_s": round((self.published - waiting) / settled_in) if self.centre_port else None,
            "lag_at_end_ms": round(max(0.0, settled_in - sent_in) * 1000) if self.centre_port else None,
            "publish_to_commit_ack": quantiles(self.to_commit),
            "publish_to_page": quantiles(self.to_page),
        }

    async def _connect(self, agent: int, broker_port: int) -> Client:
        client = Client(agent_name(agent))
        accepted = asyncio.Event()
        client.on_connect = lambda *_: accepted.set()
        client.on_message = self._heard
        context = None if self.devices is None else Identity.load(self.devices / agent_name(agent)).context()
        began = time.perf_counter()
        async with asyncio.timeout(60):
            await client.connect("127.0.0.1", broker_port, ssl=context or False)
            await accepted.wait()
        self.connect_ms.append((time.perf_counter() - began) * 1000)
        if self.centre_port:
            client.subscribe(topics.ack(SITE, agent_name(agent)), qos=1)
            client.subscribe(topics.presence(SITE), qos=1)
        return client

    def _over(self) -> str | None:
        """What the line to the broker speaks; None: in the clear."""
        transport = self.clients[0]._connection._transport  # noqa: SLF001  # the library has no other way to ask
        over = transport.get_extra_info("ssl_object")
        return None if over is None else f"{over.version()} {over.cipher()[0]}"

    async def _publish(self, rate: float, seconds: float) -> float:
        """Publish on schedule; how far behind the schedule the generator itself ever was, in seconds."""
        streams = [mix(agent, Size.of(rate), agent) for agent in range(AGENTS)]
        began = time.perf_counter()
        worst, made, total = 0.0, 0, int(rate * seconds)
        while made < total:
            due = min(total, int((time.perf_counter() - began) * rate) + 1)
            worst = max(worst, (due - made - rate * _TICK_S) / rate)
            while made < due:
                self._one(made % AGENTS, streams[made % AGENTS])
                made += 1
            await asyncio.sleep(_TICK_S)
        return worst

    def _one(self, agent: int, stream: Any) -> None:
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
        self.clients[agent].publish(topic(SITE, agent_name(agent)), encode(fact), qos=1)
        self.published += 1

    def _heard(self, client: Client, topic: str, payload: bytes, _qos: int, _properties: Any) -> int:
        if topic == topics.presence(SITE):
            self.told.add(client)
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
        port, context, cookie = self.centre_port, None, ""
        if self.devices is not None:
            browser = Identity.load(self.devices / agent_name(0))
            port, context = browser.card.https_port, ssl.create_default_context(cafile=browser.ca)
            cookie = f"Cookie: {(self.devices / 'cookie').read_text()}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22, ssl=context)
        asked = f"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n{cookie}\r\n"
        writer.write(asked.encode())
        if b" 200 " not in (answer := await reader.readline()):
            raise RuntimeError(f"the page is refused: {answer!r}")
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
    broker_port, centre_port, rate, seconds, *devices = sys.argv[1:]
    load = Load(int(centre_port), Path(devices[0]) if devices else None)
    figures = asyncio.run(load.run(int(broker_port), float(rate), float(seconds)))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
