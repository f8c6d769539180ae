"""Counts what arrives at the broker, as a centre that acknowledges at once or as a ThingsBoard server would.

Its own process: ``python -m bench.sink copeau|thingsboard BROKER_PORT``. A line on its standard input begins a window
anew, the word ``end`` ends it; each window is answered by one JSON line. Every value of the load is its own source time
in ms since 1970 (cnc_bridge/testing/node_opcua), so that latency and holes are read off the values themselves.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
from gmqtt import Client

from bench.figures import quantiles
from contracts import topics
from contracts.control import SETTLEMENTS, Ack, AgentState, CentrePresence, Resend
from contracts.envelope import STREAMS, Envelope, decode
from contracts.facts import MachineBlock, MachineSamples, decode_body

SITE = "bench"
_FOLLOWED = 5
"""Tags whose every value is kept, to find holes and doubles."""


class Window:
    """What arrived since the window began."""

    def __init__(self) -> None:
        self.began = time.time()
        self.values = 0
        self.latencies: list[float] = []
        self.followed: dict[str, list[float]] = defaultdict(list)

    def take(self, signal: str, values: Iterable[float]) -> None:
        now = time.time() * 1000
        for value in values:
            self.values += 1
            if value > 0:
                self.latencies.append(now - value)
        number = "".join(filter(str.isdigit, signal))
        if number and int(number) < _FOLLOWED:
            self.followed[signal].extend(values)

    def told(self) -> dict[str, Any]:
        seconds = time.time() - self.began
        rounds = {signal: sorted(set(values)) for signal, values in self.followed.items()}
        gaps = [b - a for times in rounds.values() for a, b in pairwise(times)]
        return {
            "seconds": round(seconds, 2),
            "values": self.values,
            "values_per_s": round(self.values / seconds),
            "source_to_broker": quantiles(self.latencies),
            "longest_hole_ms": round(max(gaps, default=0.0), 1),
            "doubled": sum(len(values) for values in self.followed.values()) - sum(map(len, rounds.values())),
            "followed": sum(map(len, rounds.values())),
        }


class Centre:
    """Acknowledges at once what has no hole before it; the values count only when acknowledged."""

    def __init__(self, client: Client, window: Window) -> None:
        self.window = window
        self.lost = 0
        self._client = client
        self._upto: dict[tuple[str, str], int] = {}
        self._beyond: dict[tuple[str, str], dict[int, Envelope]] = defaultdict(dict)

    def begin(self) -> None:
        for channel in topics.WRITTEN_BY_AGENT:
            self._client.subscribe(f"{topics.ROOT}/{SITE}/+/{channel}", qos=1)
        presence = CentrePresence(present=True, epoch=secrets.token_hex(4), since=datetime.now(UTC))
        self._client.publish(topics.presence(SITE), msgspec.json.encode(presence), qos=1, retain=True)

    def heard(self, topic: str, payload: bytes) -> None:
        address = topics.parse(topic)
        if address is None or address.channel not in topics.WRITTEN_BY_AGENT:
            return
        if address.channel == "state":
            state = msgspec.json.decode(payload, type=AgentState)
            if state.online:
                for stream in STREAMS:
                    self._ack(address.agent, state.boot, stream)
            return
        lanes = set()
        for envelope in decode(payload).envelopes:
            lane = (envelope.boot, envelope.stream)
            lanes.add((envelope.agent, *lane))
            if envelope.seq > self._upto.get(lane, 0):
                self._beyond[lane][envelope.seq] = envelope
        for agent, boot, stream in lanes:
            lane = (boot, stream)
            upto, beyond = self._upto.get(lane, 0), self._beyond[lane]
            while upto + 1 in beyond:
                upto += 1
                self._count(beyond.pop(upto))
            self._upto[lane] = upto
            if beyond:
                ask = Resend(boot=boot, stream=stream, first=upto + 1, last=min(beyond) - 1)
                self._say(topics.command(SITE, agent, "resend"), ask)
            self._ack(agent, boot, stream)

    def _count(self, envelope: Envelope) -> None:
        if envelope.kind in SETTLEMENTS:
            self.lost += 1
            return
        if envelope.stream != "samples":
            return
        body = decode_body(envelope.kind, envelope.body)
        if isinstance(body, MachineSamples):
            self.window.take(body.signal, body.v)
        elif isinstance(body, MachineBlock):
            for series in body.series:
                self.window.take(series.signal, series.v)

    def _ack(self, agent: str, boot: str, stream: Any) -> None:
        self._say(topics.ack(SITE, agent), Ack(boot=boot, stream=stream, upto=self._upto.get((boot, stream), 0)))

    def _say(self, topic: str, value: msgspec.Struct) -> None:
        self._client.publish(topic, msgspec.json.encode(value), qos=1)


class ThingsBoard:
    """Answers what a gateway asks of its server at start, and counts its telemetry."""

    _LIMITS = json.dumps({
        "maxPayloadSize": 65536, "maxInflightMessages": 1000, "payloadSizeLimit": 65536,
        "rateLimits": {}, "gatewayRateLimits": {},
    })  # fmt: skip

    def __init__(self, client: Client, window: Window) -> None:
        self.window = window
        self.lost = 0
        self._client = client

    def begin(self) -> None:
        for topic in ("v1/devices/#", "v1/gateway/#"):
            self._client.subscribe(topic, qos=1)

    def heard(self, topic: str, payload: bytes) -> None:
        if topic == "v1/gateway/telemetry":
            for records in msgspec.json.decode(payload).values():
                for record in records:
                    for signal, value in record.get("values", record).items():
                        if isinstance(value, (int, float)):
                            self.window.take(signal, [float(value)])
        elif "/rpc/request/" in topic:
            self._client.publish(topic.replace("request", "response"), self._LIMITS, qos=1)
        elif "/attributes/request/" in topic:
            self._client.publish(topic.replace("request", "response"), "{}", qos=1)


async def serve(kind: str, port: int) -> None:
    """Until standard input ends."""
    client = Client(f"sink-{secrets.token_hex(4)}")
    sink = (Centre if kind == "copeau" else ThingsBoard)(client, Window())

    def heard(_client: Any, topic: str, payload: bytes, *_rest: Any) -> int:
        sink.heard(topic, payload)
        return 0

    client.on_message = heard
    client.on_connect = lambda *_: sink.begin()
    client.set_config({"reconnect_retries": -1, "reconnect_delay": 0.3})
    await client.connect("127.0.0.1", port, version=5)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if line.strip() == "end":
            print(json.dumps(sink.window.told() | {"lost_rows": sink.lost}), flush=True)
        sink.window = Window()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
