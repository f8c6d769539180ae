"""The one place that knows the MQTT library: a connection that comes back, and tells when it does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gmqtt
from gmqtt.mqtt.constants import MQTTv50, MQTTv311
from gmqtt.storage import PersistentStorage

_log = logging.getLogger(__name__)
_quiet = logging.getLogger("edge_agents.link.gmqtt")
_quiet.setLevel(logging.CRITICAL)  # the library logs each lost connection as an error; Link says it once
logging.getLogger("gmqtt").setLevel(logging.CRITICAL)

_CONNECT_S = 8.0
_MOST_IN_FLIGHT = 1000


class Broker(NamedTuple):
    """Where the broker is and how to be let in. `client_cert` and `client_key` go together."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    version: int = 5
    keepalive_s: int = 10

    def context(self) -> ssl.SSLContext | None:
        """The TLS context; None without TLS. Raises OSError or ssl.SSLError when a file cannot be used."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.client_cert is not None:
            context.load_cert_chain(self.client_cert, self.client_key)
        return context


class Will(NamedTuple):
    """Published by the broker, retained, when the connection dies."""

    topic: str
    payload: bytes


class Backoff:
    """Delays that double from `first` to `most` seconds, each shortened at random by up to half."""

    def __init__(self, first: float = 0.5, most: float = 5.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    def delay(self) -> float:
        delay = self._next
        self._next = min(delay * 2, self._most)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311  # jitter, not a secret


class _InFlight(PersistentStorage):  # type: ignore[misc]  # the library has no types
    """What the broker has not acknowledged. Kept by the outbox, so nothing is replayed here; only counted."""

    def __init__(self) -> None:
        super().__init__()
        self.room = asyncio.Event()
        self.room.set()
        self.limit = _MOST_IN_FLIGHT

    def push_message(self, mid: int, raw_package: bytes) -> None:  # noqa: ARG002 - the library's signature
        self._messages[mid] = b""
        if len(self._messages) >= self.limit:
            self.room.clear()

    def remove_message_by_mid(self, mid: int) -> None:
        super().remove_message_by_mid(mid)
        if len(self._messages) < self.limit:
            self.room.set()

    def get_all(self) -> list[tuple[int, bytes]]:
        return []


class LinkDownError(Exception):
    """There is no connection to publish on."""


class Link:
    """One client of the broker. `on_up`, `on_down` and `on_message` are called in the event loop and must not wait."""

    def __init__(self, broker: Broker, client_id: str, subscriptions: Sequence[str], will: Callable[[], Will]) -> None:
        self._broker = broker
        self._client_id = client_id
        self._subscriptions = list(subscriptions)
        self._will = will
        self._client: Any = None
        self._in_flight = _InFlight()
        self.up = False
        self.on_up: Callable[[], None] = lambda: None
        self.on_down: Callable[[], None] = lambda: None
        self.on_message: Callable[[str, bytes], None] = lambda _topic, _payload: None

    async def run(self) -> None:
        """Connect, stay, come back; until cancelled, then leave in order."""
        backoff = Backoff()
        said = ""
        while True:
            lost = asyncio.Event()
            try:
                await self._connect(lost)
                backoff.reset()
                said = ""
                await lost.wait()
                _log.warning("connection to the broker %s:%s lost", self._broker.host, self._broker.port)
            except (OSError, TimeoutError, ssl.SSLError, gmqtt.MQTTConnectError) as error:
                if str(error) != said:  # once, not at each attempt
                    said = str(error)
                    _log.warning("broker %s:%s: %s", self._broker.host, self._broker.port, error or "no answer")
            finally:
                await self._leave()
            await asyncio.sleep(backoff.delay())

    async def _connect(self, lost: asyncio.Event) -> None:
        will = self._will()
        self._in_flight = _InFlight()
        client = gmqtt.Client(
            self._client_id,
            clean_session=True,
            will_message=gmqtt.Message(will.topic, will.payload, qos=1, retain=True),
            persistent_storage=self._in_flight,
            logger=_quiet,
        )
        client.set_config({"reconnect_retries": -2})  # never by itself: this class does it, with jitter
        client.on_connect = self._accepted
        client.on_message = self._received
        client.on_disconnect = lambda *_args: lost.set()
        if self._broker.username is not None:
            client.set_auth_credentials(self._broker.username, self._broker.password)
        self._client = client
        async with asyncio.timeout(_CONNECT_S):
            await client.connect(
                self._broker.host,
                self._broker.port,
                ssl=self._broker.context() or False,
                keepalive=self._broker.keepalive_s,
                version=MQTTv50 if self._broker.version == 5 else MQTTv311,
            )
        for topic in self._subscriptions:
            client.subscribe(topic, qos=1)
        self.up = True
        self.on_up()

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if self.up:
            self.up = False
            self._in_flight.room.set()
            self.on_down()
        if client is None or client._connection is None:  # noqa: SLF001 - the library has no other way to ask
            return
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                await client.disconnect()

    def _accepted(self, _client: Any, _flags: int, _code: int, properties: dict[str, Any]) -> None:
        allowed = properties.get("receive_maximum", [_MOST_IN_FLIGHT])[0]
        # one less for the library's own count, one for a subscription's number
        self._in_flight.limit = max(1, min(_MOST_IN_FLIGHT, int(allowed)) - 2)

    def _received(self, _client: Any, topic: str, payload: bytes, _qos: int, _properties: Any) -> int:
        self.on_message(topic, payload)
        return 0

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand over to the broker's connection (QoS 1), waiting while it has too much. Raises LinkDownError."""
        in_flight = self._in_flight
        await in_flight.room.wait()
        if not self.up or in_flight is not self._in_flight or self._client is None:
            raise LinkDownError
        try:
            self._client.publish(topic, payload, qos=1, retain=retain)
        except (OSError, OverflowError) as error:
            raise LinkDownError(str(error)) from error
