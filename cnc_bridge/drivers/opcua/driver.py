"""The OPC UA client: subscribes to the mapped nodes, and checks beside the subscription that it still tells the truth.

Each connection is a fresh client: a session is never repaired, it is made again. Every `check_s` the server's state is
read (a hanging server is noticed by the request's time-out); every `resync_s` all nodes are read and compared with what
the subscription last said, which finds a silently dead subscription and nodes that came or went.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.common.subscription import DataChangeEvent, OverflowPolicy, StatusChangeEvent, Subscription
from asyncua.crypto import security_policies, uacrypto
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from cnc_bridge.drivers.opcua.faults import explain
from cnc_bridge.drivers.opcua.settings import Settings
from cnc_bridge.model import signal_named
from cnc_bridge.port import Clock, Driver, DriverFaultError, Finding

_log = logging.getLogger(__name__)
_QUEUE = 50_000
_POLICIES: Mapping[str, type[security_policies.SecurityPolicy]] = {
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class ControllerDriver(Driver):
    """An OPC UA server; reads, never writes and never calls."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        _hush()
        self._last: dict[str, object] = {}
        """The newest raw value of each signal, to compare a resync with."""
        self._missing: set[str] = set()

    async def _session(self) -> None:
        try:
            async with self._client() as client:
                await self._follow(client)
        except* DriverFaultError as group:
            raise _first(group) from None
        except* (UaError, OSError, TimeoutError) as group:
            raise explain(_first(group), self.config) from group

    async def _follow(self, client: Client) -> None:
        nodes = {name: client.get_node(source.node) for name, source in self.config.signals.items()}
        self._last.clear()
        self._missing.clear()
        present = await self._present(client, nodes)
        subscription = await self._subscription(client)  # goes with its session
        handles = await self._subscribe(subscription, present)
        self._link_up(f"OPC UA {self.config.security}, {len(handles)} of {len(nodes)} nodes")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(subscription, {node.nodeid: name for name, node in nodes.items()}))
            tasks.create_task(self._watch(client, subscription, nodes))

    async def _subscription(self, client: Client) -> Subscription:
        params = ua.CreateSubscriptionParameters()
        params.RequestedPublishingInterval = self.config.publishing_ms
        params.RequestedMaxKeepAliveCount = max(1, round(2000 / self.config.publishing_ms))
        params.RequestedLifetimeCount = max(
            3 * params.RequestedMaxKeepAliveCount, round(30_000 / self.config.publishing_ms)
        )
        params.MaxNotificationsPerPublish = 10_000
        params.PublishingEnabled = True
        return await client.create_subscription(params, queue_maxsize=_QUEUE, overflow=OverflowPolicy.DISCONNECT)

    async def _present(self, client: Client, nodes: Mapping[str, Node]) -> dict[str, Node]:
        """The nodes that the server has; the others are reported."""
        answers = await client.read_attributes(nodes.values(), AttributeIds.Value)
        present = {}
        for (name, node), answer in zip(nodes.items(), answers, strict=True):
            if _unknown(answer.StatusCode):
                self._node_missing(name, str(answer.StatusCode.name if answer.StatusCode else ""))
            else:
                present[name] = node
        return present

    async def _subscribe(self, subscription: Subscription, nodes: Mapping[str, Node]) -> dict[str, int]:
        """Monitor `nodes`; a node that the server refuses is reported and left out."""
        handles: dict[str, int] = {}
        for name, node in nodes.items():
            source = self.config.signals[name]
            is_sample = signal_named(name).kind == "sample"
            sampling = source.sampling_ms if source.sampling_ms is not None else self.config.publishing_ms / 2
            try:
                handles[name] = await subscription.subscribe_data_change(
                    node, queuesize=100 if is_sample else 20, sampling_interval=ua.Double(sampling)
                )
            except UaStatusCodeError as error:
                self._node_missing(name, type(error).__name__)
            else:
                self._node_found(name)
        return handles

    async def _listen(self, subscription: Subscription, names: Mapping[ua.NodeId, str]) -> None:
        async for event in subscription:
            if isinstance(event, DataChangeEvent):
                answer = event.data.monitored_item.Value
                if answer is not None:
                    self._take(names[event.node.nodeid], answer)
            elif isinstance(event, StatusChangeEvent):
                raise self._ended(event.notification.Status)
        raise self._ended(None)

    def _ended(self, status: ua.StatusCode | None) -> DriverFaultError:
        # BadShutdown is what the library itself says when it finds the connection dead
        if status is None or status.value == StatusCodes.BadShutdown:
            return DriverFaultError(
                "closed",
                f"{self.config.endpoint}: the server has gone or does not answer any more",
                "Liaison OPC UA perdue : la machine s'est arrêtée, redémarre, ou le réseau est coupé. "
                "Nouvelle tentative automatique.",
            )
        return DriverFaultError(
            "subscription_lost",
            f"{self.config.endpoint}: the server ended the subscription ({status.name})",
            "La machine a mis fin à l'abonnement ; il est recréé automatiquement.",
        )

    async def _watch(self, client: Client, subscription: Subscription, nodes: Mapping[str, Node]) -> None:
        loop = asyncio.get_running_loop()
        last_resync = loop.time()
        while True:
            await asyncio.sleep(self.config.check_s)
            async with asyncio.timeout(self.config.timeout_s):
                state = await client.nodes.server_state.read_value()
            self._server_state(state)
            if loop.time() - last_resync >= self.config.resync_s:
                last_resync = loop.time()
                async with asyncio.timeout(self.config.timeout_s):
                    await self._resync(client, subscription, nodes)

    def _server_state(self, state: object) -> None:
        if state == ua.ServerState.Running:
            self._heard()
            self._solved("server_state", "server")
            return
        name = state.name if isinstance(state, ua.ServerState) else str(state)
        self._problem(
            "server_state",
            "server",
            f"{self.config.endpoint}: the server says that it is {name}",
            f"Le serveur OPC UA de la machine n'est pas en service (état {name}) : vérifier la commande numérique.",
        )

    async def _resync(self, client: Client, subscription: Subscription, nodes: Mapping[str, Node]) -> None:
        """Read everything beside the subscription: take what differs, subscribe what appeared, say what went."""
        before = dict(self._last)
        answers = await client.read_attributes(nodes.values(), AttributeIds.Value)
        appeared: dict[str, Node] = {}
        for (name, node), answer in zip(nodes.items(), answers, strict=True):
            if _unknown(answer.StatusCode):
                if name not in self._missing:
                    self._take(name, ua.DataValue(StatusCode=answer.StatusCode))
                self._node_missing(name, str(answer.StatusCode.name if answer.StatusCode else ""))
            elif name in self._missing:
                appeared[name] = node
            elif self._last.get(name) is before.get(name) and _raw(answer) != self._last.get(name):
                self._take(name, answer)
        if appeared:
            await self._subscribe(subscription, appeared)

    def _take(self, name: str, answer: ua.DataValue) -> None:
        raw = _raw(answer)
        self._last[name] = raw
        self._value(name, self.config.signals[name], raw, _utc(answer.SourceTimestamp), self.clock.now())

    def _node_missing(self, name: str, said: str) -> None:
        self._missing.add(name)
        node = self.config.signals[name].node
        self._problem(
            "missing_node",
            name,
            f"{self.config.endpoint}: node {node!r} of {name} is not there ({said}); the other nodes go on",
            f"Le nœud « {node} » ({name}) n'existe pas sur la machine : corriger `signals.{name}` "
            "(voir `copeau cnc probe`). Les autres signaux continuent.",
        )

    def _node_found(self, name: str) -> None:
        self._missing.discard(name)
        self._solved("missing_node", name)

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        config = self.config
        client = Client(config.endpoint, timeout=config.timeout_s, watchdog_intervall=max(config.check_s, 1.0))
        client.application_uri = config.application_uri
        client.name = client.description = "Copeau"
        client.session_timeout = 60_000  # ms: a session that we lost is soon free again
        try:
            async with asyncio.timeout(2 * config.timeout_s):
                await self._identify(client)
                await client.connect()
            yield client
        finally:
            # a hanging server answers no goodbye: do not wait for it
            with contextlib.suppress(UaError, OSError, TimeoutError):
                async with asyncio.timeout(1.5):
                    await client.disconnect()
            client.disconnect_socket()

    async def _identify(self, client: Client) -> None:
        config = self.config
        if config.security != "None":
            await self._own_certificate(client)
            await client.set_security(
                _POLICIES[config.security],
                config.certificate,
                config.private_key,
                server_certificate=str(config.server_certificate) if config.server_certificate else None,
                mode=ua.MessageSecurityMode[config.mode],
            )
        if config.user:
            client.set_user(config.user)
            client.set_password(self._password())
            if config.security == "None":
                _log.warning("%s: the password travels without encryption, set `security`", config.endpoint)
        if config.user_certificate and config.user_private_key:
            await client.load_client_certificate(str(config.user_certificate))
            await client.load_private_key(config.user_private_key)

    async def _own_certificate(self, client: Client) -> None:
        config = self.config
        try:
            new = not config.private_key.exists()
            await client.setup_self_signed_certificate(config.private_key, config.certificate)
            if new:
                config.private_key.chmod(0o600)
                _log.info("%s: made our certificate %s", config.endpoint, config.certificate)
            await uacrypto.load_certificate(config.certificate)
        except (OSError, ValueError) as error:
            raise DriverFaultError(
                "own_certificate",
                f"{config.endpoint}: our certificate {config.certificate} cannot be read or made: {error}",
                f"Notre certificat « {config.certificate.name} » est illisible ou ne peut être créé : "
                "vérifier `certificate`, `private_key` et les droits du dossier.",
                retry_after_s=30,
            ) from error

    def _password(self) -> str:
        config = self.config
        if config.password is not None:
            return config.password.get_secret_value()
        assert config.password_file is not None
        try:
            return config.password_file.read_text(encoding="utf-8").splitlines()[0]
        except (OSError, IndexError, UnicodeDecodeError) as error:
            raise DriverFaultError(
                "no_password",
                f"{config.endpoint}: password file {config.password_file} cannot be read: {error}",
                f"Mot de passe « {config.password_file.name} » illisible ou vide : vérifier `password_file`.",
                retry_after_s=30,
            ) from error

    async def probe(self) -> list[Finding]:
        """The server's name, the security it offers, and each mapped node with its value."""
        config = self.config
        try:
            plain = Client(config.endpoint, timeout=config.timeout_s)
            async with asyncio.timeout(2 * config.timeout_s):
                endpoints = await plain.connect_and_get_server_endpoints()
            found = [
                Finding(
                    "security",
                    f"{endpoint.SecurityPolicyUri.rpartition('#')[2]} {endpoint.SecurityMode.name.strip('_')}",
                    ", ".join(sorted({token.TokenType.name for token in endpoint.UserIdentityTokens or []})),
                )
                for endpoint in endpoints
            ]
            name = endpoints[0].Server.ApplicationName.Text if endpoints else ""
            found.insert(0, Finding("server", config.endpoint, name or "OPC UA server"))
            async with self._client() as client:
                return found + await self._probe_nodes(client)
        except (UaError, OSError, TimeoutError) as error:
            raise explain(error, config) from error

    async def _probe_nodes(self, client: Client) -> list[Finding]:
        nodes = {name: client.get_node(source.node) for name, source in self.config.signals.items()}
        found = []
        for name, answer in zip(nodes, await client.read_attributes(nodes.values(), AttributeIds.Value), strict=True):
            good = answer.StatusCode is None or answer.StatusCode.is_good()
            said = f"{_raw(answer)!r:.80}" if good else str(answer.StatusCode.name if answer.StatusCode else "")
            found.append(Finding("signal", name, f"{self.config.signals[name].node} = {said}", good))
        return found


def _hush() -> None:
    """The library tells each lost connection with a traceback; what matters of it, this driver says in a sentence."""
    logger = logging.getLogger("asyncua.client")
    if logger.level == logging.NOTSET and not _log.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.CRITICAL)


def _raw(answer: ua.DataValue) -> object:
    """The value as the configuration's `words` and the model know it; None where the quality is bad."""
    if answer.Value is None or (answer.StatusCode is not None and answer.StatusCode.is_bad()):
        return None
    value: object = answer.Value.Value
    if isinstance(value, ua.LocalizedText):
        return value.Text
    if isinstance(value, ua.QualifiedName):
        return value.Name
    return value


def _unknown(status: ua.StatusCode | None) -> bool:
    return status is not None and status.value in (StatusCodes.BadNodeIdUnknown, StatusCodes.BadNodeIdInvalid)


def _utc(time: datetime | None) -> datetime | None:
    """Aware UTC; the years before 2000 are a controller that does not know."""
    if time is None:
        return None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return time if time > _EARLIEST else None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
