"""A whole centre over TLS with the shop's own broker configuration, agents enrolled with it, and a thief's client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gmqtt
import uvicorn

from central.app import Centre, create_app
from central.core.settings import Settings
from central.fleet import enrolment
from central.fleet.enrolment import Kind
from central.listening import ListeningServer, listeners
from contracts.enrolment import Invitation
from copeau.servers.broker import Broker, free_port
from edge_agents import identity
from edge_agents.identity import Identity
from tests.support.centre import eventually


class SecureShop:
    """One site: centre, HTTPS listener, Mosquitto as it is shipped."""

    def __init__(self, directory: Path, url: str, **more: Any) -> None:
        self.directory = directory
        self.broker = Broker(directory / "broker", secure=directory / "data" / "broker")
        self.port = free_port()
        self.settings = Settings(
            _env_file=None, database_url=url, data=directory / "data", broker_port=self.broker.port, broker_tls=True,
            tls_port=self.port, tls_host="127.0.0.1", racks_begin="automatic", **more,
        )  # fmt: skip
        self.app = create_app(self.settings)
        self.centre: Centre = self.app.state.centre
        self.url = f"https://127.0.0.1:{self.port}"

    @property
    def fingerprint(self) -> str:
        assert self.centre.trust is not None
        return self.centre.trust.authority.fingerprint

    async def invite(self, name: str, kind: Kind = "agent") -> Invitation:
        async with self.centre.units.begin() as uow:
            made = await enrolment.invite(uow, name, kind, by="p-chef")
        return Invitation("127.0.0.1", self.port, made.token, self.fingerprint)

    async def enrol(self, name: str) -> Identity:
        return await identity.enrol(await self.invite(name), self.directory / "agents" / name / "identity")

    async def retire(self, name: str) -> None:
        async with self.centre.units.begin() as uow:
            await enrolment.retire(uow, name, by="p-chef")

    @property
    def trusting(self) -> ssl.SSLContext:
        """A client that trusts the shop's authority and shows nothing."""
        assert self.centre.trust is not None
        return ssl.create_default_context(cadata=self.centre.trust.authority.pem.decode())


@asynccontextmanager
async def secure_shop(directory: Path, url: str, **more: Any) -> AsyncIterator[SecureShop]:
    shop = SecureShop(directory, url, **more)
    await shop.centre.open()
    config = uvicorn.Config(shop.app, port=0, log_config=None, timeout_graceful_shutdown=1)
    server = ListeningServer(config, listeners(shop.settings, shop.centre.trust))
    serving = asyncio.create_task(server._serve())
    shop.broker.start(wait=False)
    try:
        await asyncio.to_thread(shop.broker.wait)
        await eventually(lambda: server.started and len(server.servers) == 2 and shop.centre.link.up)
        yield shop
    finally:
        server.should_exit = True
        await serving
        await shop.centre.close()
        shop.broker.stop()


class Thief:
    """A plain MQTT client that holds somebody's certificate, and everything that it was told."""

    def __init__(self, stolen: Identity, *, will: tuple[str, bytes] | None = None, client_id: str = "thief") -> None:
        last = None if will is None else gmqtt.Message(will[0], will[1], qos=1)
        self._client: Any = gmqtt.Client(client_id, clean_session=True, will_message=last)
        self._client.set_config({"reconnect_retries": 0})
        self._stolen = stolen
        self.heard: list[tuple[str, bytes]] = []
        self.dropped = asyncio.Event()

    async def __aenter__(self) -> Thief:  # noqa: PYI034  # typing.Self adds nothing here
        self._client.on_message = self._received
        self._client.on_disconnect = lambda *_args: self.dropped.set()
        card = self._stolen.card
        async with asyncio.timeout(10):
            await self._client.connect(card.host, card.broker_port, ssl=self._stolen.context(), keepalive=10)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self.dropped.is_set():
            await self._client.disconnect()

    def _received(self, _client: Any, topic: str, payload: bytes, _qos: int, _properties: Any) -> int:
        self.heard.append((topic, payload))
        return 0

    def subscribe(self, *topics: str) -> None:
        for topic in topics:
            self._client.subscribe(topic, qos=1)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain)

    def vanish(self) -> None:
        """The line is cut: the broker publishes the last will."""
        self._client._connection._transport.abort()
