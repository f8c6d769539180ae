"""The centre's connection to the broker: the only place here that knows the MQTT library (gmqtt).

Its session is clean and its presence retained with a last will, so agents know whether anyone commits what they send.
Acks and answers go at QoS 0: they are repeated at each heartbeat. What must arrive is sent by `deliver`, at QoS 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import ssl
from collections.abc import Callable
from typing import Any

import gmqtt
import msgspec
from gmqtt.storage import PersistentStorage

from central.core.clock import Clock
from central.core.settings import Settings
from contracts import topics
from contracts.control import CentrePresence

log = logging.getLogger(__name__)
_quiet = logging.getLogger("central.link.gmqtt")
_quiet.setLevel(logging.CRITICAL)  # the library reports each failed attempt; `run` says it once

_CONNECT_S = 8.0
_ANSWER_S = 10.0
_KEEPALIVE_S = 10
_BACKOFF_S = (0.5, 1.0, 2.0, 5.0)


class LinkDown(Exception):
    """The broker is not connected, or did not confirm."""


class _Confirmations(PersistentStorage):  # type: ignore[misc]  # the library has no types
    """Tells when the broker has confirmed a message; nothing is replayed, the outgoing rows are."""

    def __init__(self) -> None:
        super().__init__()
        self.last_mid = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def push_message(self, mid: int, raw_package: bytes) -> None:  # noqa: ARG002  # the library's signature
        self.last_mid = mid
        self._waiting[mid] = asyncio.get_running_loop().create_future()

    def remove_message_by_mid(self, mid: int) -> None:
        waiting = self._waiting.pop(mid, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def confirmed(self, mid: int) -> asyncio.Future[None]:
        return self._waiting[mid]

    def clear(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(LinkDown("connection lost"))
                waiting.exception()  # nobody may be waiting any more: that is no error
        self._waiting.clear()


class Link:
    """`on_message(address, payload, retained)` is called in the event loop for every agent's message."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client: Any = None
        self._storage = _Confirmations()
        self._healthy = True
        self._held = False
        self._epoch = secrets.token_hex(4)
        self._task: asyncio.Task[None] | None = None
        self._up_listeners: list[Callable[[], None]] = []
        self.on_message: Callable[[topics.Address, bytes, bool], None] = lambda _address, _payload, _retained: None
        self.secure: Callable[[], ssl.SSLContext] | None = None
        """Makes what TLS needs, for each connection anew; None: a plain connection."""
        self.up = False
        self.problem = ""
        """Why there is no broker, for the page and the log; empty while there is one."""

    @property
    def broker(self) -> str:
        return f"{self._settings.broker_host}:{self._settings.broker_port}"

    def on_up(self, listener: Callable[[], None]) -> None:
        self._up_listeners.append(listener)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="link")

    async def stop(self) -> None:
        """Say that the centre leaves, then leave."""
        self._healthy = False
        if self.up:
            with contextlib.suppress(LinkDown):
                await self.deliver(topics.presence(self._settings.site), self._presence(), retain=True)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def set_present(self, present: bool) -> None:
        """Whether facts can be committed; each return gets a new epoch, so that agents begin again from the acks."""
        if present and not self._healthy:
            self._epoch = secrets.token_hex(4)
        self._healthy = present
        self._say_presence()

    def hold(self, held: bool) -> None:
        """Stop reading from the broker while the inbox is full; it keeps what comes, agents keep all."""
        if held == self._held:
            return
        self._held = held
        if self._client is not None and self.up:
            transport = self._client._connection._transport  # noqa: SLF001  # the library has no other way
            with contextlib.suppress(RuntimeError):
                transport.pause_reading() if held else transport.resume_reading()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send at most once; dropped while there is no broker."""
        if self.up:
            self._client.publish(topic, payload, qos=0, retain=retain)

    async def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send and wait until the broker has it. Raises `LinkDown`."""
        if not self.up:
            raise LinkDown(self.problem)
        try:
            self._client.publish(topic, payload, qos=1, retain=retain)
            async with asyncio.timeout(_ANSWER_S):
                await self._storage.confirmed(self._storage.last_mid)
        except (TimeoutError, OSError, OverflowError) as error:
            raise LinkDown(str(error)) from error

    # the connection

    async def _run(self) -> None:
        attempt = 0
        while True:
            lost = asyncio.Event()
            try:
                await self._connect(lost)
                attempt = 0
                await lost.wait()
                self.problem = "connexion perdue"
                log.warning("broker %s: connection lost", self.broker)
            except (OSError, TimeoutError, gmqtt.MQTTConnectError) as error:
                problem = str(error) or "no answer"
                if problem != self.problem:
                    log.warning("broker %s: %s; the centre runs without it and tries again", self.broker, problem)
                self.problem = problem
            finally:
                await self._leave()
            pause = _BACKOFF_S[min(attempt, len(_BACKOFF_S) - 1)]
            attempt += 1
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # nosec B311  # jitter, not a secret

    async def _connect(self, lost: asyncio.Event) -> None:
        site = self._settings.site
        self._storage = _Confirmations()
        absent = CentrePresence(present=False, epoch=self._epoch, since=self._clock.now())
        will = gmqtt.Message(topics.presence(site), msgspec.json.encode(absent), qos=1, retain=True)
        client = gmqtt.Client(
            f"copeau-centre-{site}",
            clean_session=True,
            will_message=will,
            persistent_storage=self._storage,
            logger=_quiet,
        )
        client.set_config({"reconnect_retries": -2})  # never by itself: `_run` does it
        client.on_message = self._received
        client.on_disconnect = lambda *_: lost.set()
        if self._settings.broker_user is not None:
            client.set_auth_credentials(self._settings.broker_user, self._settings.broker_password)
        self._client = client
        async with asyncio.timeout(_CONNECT_S):
            await client.connect(
                self._settings.broker_host,
                self._settings.broker_port,
                ssl=False if self.secure is None else self.secure(),
                keepalive=_KEEPALIVE_S,
            )
        for channel in topics.WRITTEN_BY_AGENT:
            client.subscribe(f"{topics.ROOT}/{site}/+/{channel}", qos=1)
        client.subscribe(topics.presence(site), qos=1)
        self.up = True
        self.problem = ""
        self._held = False
        log.info("broker %s: connected", self.broker)
        self._say_presence()
        for listener in self._up_listeners:
            listener()

    async def _leave(self) -> None:
        client, self._client = self._client, None
        self.up = False
        self._storage.clear()
        if client is None or client._connection is None:  # noqa: SLF001  # the library has no other way to ask
            return
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                await client.disconnect()

    def _received(self, _client: Any, topic: str, payload: bytes, _qos: int, properties: dict[str, Any]) -> int:
        if topic == topics.presence(self._settings.site):
            self._check_presence(payload)
            return 0
        address = topics.parse(topic)
        if address is None:
            log.warning("message on %s ignored: no agent can have this name", topic)
            return 0
        self.on_message(address, payload, bool(properties.get("retain")))
        return 0

    def _presence(self) -> bytes:
        presence = CentrePresence(present=self._healthy, epoch=self._epoch, since=self._clock.now())
        return msgspec.json.encode(presence)

    def _say_presence(self) -> None:
        if self.up:
            self._client.publish(topics.presence(self._settings.site), self._presence(), qos=1, retain=True)

    def _check_presence(self, payload: bytes) -> None:
        """The last will of our own former connection may come late: say again that we are here."""
        with contextlib.suppress(msgspec.MsgspecError):
            said = msgspec.json.decode(payload, type=CentrePresence)
            if said.epoch == self._epoch and said.present != self._healthy:
                self._say_presence()
            elif said.epoch != self._epoch and said.present:
                log.error("another centre says that it is present on %s for this site (%s)", self.broker, said.epoch)
