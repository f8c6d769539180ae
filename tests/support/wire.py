"""A stranger on the wire: plain MQTT as any agent could speak it, and what it was told."""

from __future__ import annotations

import asyncio
from typing import Any

import gmqtt
import msgspec

from contracts import topics
from contracts.control import Ack, AgentState, CentrePresence, Resend, StreamState, TimeReply, TimeRequest
from contracts.envelope import Envelope, encode_pack
from tests.support.centre import eventually
from tests.support.facts import START


class Wire:
    """One MQTT client with an agent's subscriptions; everything heard is kept."""

    def __init__(self, port: int, agent: str = "rack-1", site: str = "atelier") -> None:
        self.agent = agent
        self.site = site
        self._port = port
        self.heard: list[tuple[str, bytes]] = []
        self._client: Any = gmqtt.Client(f"wire-{agent}", clean_session=True)

    async def __aenter__(self) -> Wire:  # noqa: PYI034  # typing.Self adds nothing here
        self._client.set_config({"reconnect_retries": -1, "reconnect_delay": 0.2})
        self._client.on_message = self._received
        self._client.on_connect = self._connected
        await self._client.connect("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.set_config({"reconnect_retries": -2})
        await self._client.disconnect()

    def _connected(self, *_: Any) -> None:
        self._client.subscribe(topics.ack(self.site, self.agent), qos=1)
        self._client.subscribe(topics.command(self.site, self.agent, "#"), qos=1)
        self._client.subscribe(topics.presence(self.site), qos=1)

    def _received(self, _client: Any, topic: str, payload: bytes, _qos: int, _properties: Any) -> int:
        self.heard.append((topic, payload))
        return 0

    def send(self, *envelopes: Envelope, samples: bool = False) -> None:
        self.send_raw(encode_pack(list(envelopes)), samples=samples)

    def send_raw(self, payload: bytes, *, samples: bool = False, topic: str | None = None) -> None:
        own = (topics.samples if samples else topics.facts)(self.site, self.agent)
        self._client.publish(topic or own, payload, qos=1)

    def state(self, *, acked: int = 0, online: bool = True, boot: str = "boot0001") -> None:
        state = AgentState(
            online=online,
            agent=self.agent,
            boot=boot,
            run="run0001",
            ts=START,
            time=TimeRequest(run="run0001", mono=1234),
            facts=StreamState(last=acked, acked=acked, pending=0),
        )
        self._client.publish(topics.state(self.site, self.agent), msgspec.json.encode(state), qos=1, retain=True)

    def _of(self, topic: str, form: Any) -> list[Any]:
        return [msgspec.json.decode(payload, type=form) for heard, payload in self.heard if heard == topic]

    def upto(self, stream: str = "facts", boot: str = "boot0001") -> int | None:
        acks: list[Ack] = [
            ack for ack in self._of(topics.ack(self.site, self.agent), Ack) if (ack.stream, ack.boot) == (stream, boot)
        ]
        return acks[-1].upto if acks else None

    def presences(self) -> list[CentrePresence]:
        return self._of(topics.presence(self.site), CentrePresence)

    def present(self) -> bool:
        said = self.presences()
        return bool(said) and said[-1].present

    def resends(self) -> list[Resend]:
        return self._of(topics.command(self.site, self.agent, "resend"), Resend)

    def times(self) -> list[TimeReply]:
        return self._of(topics.command(self.site, self.agent, "time"), TimeReply)

    async def until_acked(self, upto: int, *, stream: str = "facts", boot: str = "boot0001") -> None:
        await eventually(lambda: self.upto(stream, boot) == upto)

    async def until_present(self, *, present: bool = True) -> None:
        await eventually(lambda: bool(self.presences()) and self.present() is present)


async def settle() -> None:
    """Let messages that must not have an effect arrive."""
    await asyncio.sleep(0.3)
