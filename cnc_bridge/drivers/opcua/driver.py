"""The OPC UA client: subscribes to the machine's nodes, and checks beside the subscription that it tells the truth.

Each connection is a fresh client: a session is never repaired, it is made again. Every `check_s` the server's state is
read (a hanging server is noticed by the request's time-out); every `resync_s` nodes are read and compared with what the
subscription last said, which finds a subscription that publishes but is dead, and nodes that came or went.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import UaError

from cnc_bridge.drivers.opcua.alarms import Alarms
from cnc_bridge.drivers.opcua.browsing import Limits, operation_limits, read_values
from cnc_bridge.drivers.opcua.faults import explain
from cnc_bridge.drivers.opcua.machines import Machine, Mapped, chosen, find_machines, map_machine
from cnc_bridge.drivers.opcua.orders import Hold, prepare_hold, refused
from cnc_bridge.drivers.opcua.probing import machine_findings, server_findings
from cnc_bridge.drivers.opcua.programmes import Programmes, checked
from cnc_bridge.drivers.opcua.security import connected, endpoints_of
from cnc_bridge.drivers.opcua.settings import NodeSource, Settings
from cnc_bridge.drivers.opcua.slots import Slot
from cnc_bridge.drivers.opcua.subscription import Subscription, SubscriptionLostError, is_shutdown
from cnc_bridge.drivers.opcua.values import raw_value, same, unknown, utc
from cnc_bridge.port import Clock, Driver, DriverFaultError, Finding, ProgrammeFile, Reading

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_EVENTS_HANDLE = 0
_RESYNC_MOST = 500
"""Nodes read at once beside the subscription; of more, each round reads the next ones."""


class ControllerDriver(Driver):
    """An OPC UA server. It holds the feed and moves programmes only where the machine's settings allow it."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        super().__init__(settings, clock)
        self.config = settings
        _hush()
        self._slots: list[Slot] = []
        self._turn = 0
        self._client: Client | None = None
        self._limits = Limits()
        self._prepared: Hold | None = None
        self._folder: ua.NodeId | None = None

    # --- one connection ---------------------------------------------------------------------------------------------

    async def _session(self) -> None:
        try:
            async with connected(self.config, self._tell) as client:
                await self._follow(client)
        except* DriverFaultError as group:
            raise _first(group) from None
        except* SubscriptionLostError as group:
            lost = _first(group)
            raise self._ended(lost.status if isinstance(lost, SubscriptionLostError) else None) from None
        except* (UaError, OSError, TimeoutError) as group:
            raise explain(_first(group), self.config) from group
        finally:
            self._client = self._prepared = None

    async def _follow(self, client: Client) -> None:
        config = self.config
        self._limits = await operation_limits(client)
        namespaces = await client.get_namespace_array()
        mapped = await self._mapped(client)
        sources = dict(mapped.signals) | dict(config.signals)
        self._slots = [Slot(handle, name, source) for handle, (name, source) in enumerate(sources.items(), 1)]
        self._folder = ua.NodeId.from_string(config.programmes) if config.programmes else mapped.programmes
        alarms = Alarms(self.clock, self._stream.put)
        subscription = Subscription(client, self._limits, self._changed, alarms.events)
        try:
            await subscription.create(config.publishing_ms)
            await self._subscribe(subscription, await self._present(client))
            with_alarms = await self._follow_alarms(client, subscription, alarms, namespaces, mapped.notifiers)
            if config.hold is not None and "hold" in config.allow:
                self._prepared = await self._prepare_hold(client)
            self._client = client
            there = sum(not slot.missing for slot in self._slots)
            said = f"OPC UA {config.security}, {there} of {len(self._slots)} nodes"
            self._link_up(f"{said}, alarms" if with_alarms else said)
            self._check_execution(sources)
            subscription.begin()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(subscription.wait_for_end())
                tasks.create_task(self._watch(client, subscription))
        finally:
            await subscription.close()

    async def _mapped(self, client: Client) -> Mapped:
        """What the standards say of the machine behind this server; nothing where it has no machine of such a type."""
        config = self.config
        if not config.discover:
            return Mapped()
        everything = await find_machines(client, self._limits)
        machines = chosen(everything, config.machine)
        if len(machines) == 1:
            mapped = await map_machine(client, machines[0], self._limits, alone=len(everything) == 1)
            _log.info("%s: %s %s", config.endpoint, machines[0].companion.name, machines[0].name)
            return mapped
        if config.machine is None and ("execution" in config.signals or (config.signals and not machines)):
            return Mapped()
        raise self._not_one(machines)

    def _not_one(self, machines: Sequence[Machine]) -> DriverFaultError:
        endpoint, names = self.config.endpoint, ", ".join(machine.name for machine in machines)
        if machines:
            return DriverFaultError(
                "several_machines",
                f"{endpoint}: several machines ({names}): say which one by `machine`",
                f"Ce serveur a plusieurs machines ({names}) : indiquer laquelle par `machine`.",
                retry_after_s=30,
            )
        if self.config.machine is not None:
            return DriverFaultError(
                "no_such_machine",
                f"{endpoint}: there is no machine {self.config.machine!r}",
                f"La machine « {self.config.machine} » n'est pas sur ce serveur : corriger `machine` "
                "(voir `copeau cnc probe`).",
                retry_after_s=30,
            )
        return DriverFaultError(
            "no_machine",
            f"{endpoint}: no machine of a standard type there; map its nodes by `signals`",
            "Ce serveur ne décrit pas sa machine selon OPC 40501-1 : indiquer ses nœuds dans `signals` "
            "(au moins `execution`).",
            retry_after_s=30,
        )

    def _check_execution(self, sources: dict[str, NodeSource]) -> None:
        if "execution" in sources:
            self._solved("no_execution", "execution")
            return
        self._problem(
            "no_execution",
            "execution",
            f"{self.config.endpoint}: no node says whether the machine runs",
            "Aucun nœud ne dit si la machine travaille : indiquer `signals.execution` ; d'ici là son état est inconnu.",
        )

    # --- subscribing ------------------------------------------------------------------------------------------------

    async def _present(self, client: Client) -> list[Slot]:
        """The slots whose nodes the server has; the others are reported."""
        answers = await read_values(client, [slot.node for slot in self._slots], self._limits)
        present = []
        for slot, answer in zip(self._slots, answers, strict=True):
            if unknown(answer.StatusCode):
                self._node_missing(slot, answer.StatusCode)
            else:
                present.append(slot)
        return present

    async def _subscribe(self, subscription: Subscription, slots: Sequence[Slot]) -> None:
        """Monitor their nodes, many a request; a node that the server refuses is reported and left out."""
        half = self.config.publishing_ms / 2
        refused_ones = await subscription.monitor(
            (
                slot.handle,
                slot.node,
                half if slot.source.sampling_ms is None else slot.source.sampling_ms,
                100 if slot.is_sample else 20,
            )
            for slot in slots
        )
        for slot in slots:
            if slot.handle in refused_ones:
                self._node_missing(slot, refused_ones[slot.handle])
            else:
                slot.missing = False
                self._solved("missing_node", slot.name)

    async def _follow_alarms(
        self,
        client: Client,
        subscription: Subscription,
        alarms: Alarms,
        namespaces: Sequence[str],
        notifiers: Sequence[ua.NodeId],
    ) -> bool:
        wanted = Alarms.wanted(namespaces)
        for node in notifiers:
            if await subscription.monitor_events(_EVENTS_HANDLE, node, wanted) is None:
                await alarms.refresh(client, subscription.id)
                return True
        if notifiers:
            _log.info("%s: the server sends no events, its alarms are not read", self.config.endpoint)
        return False

    # --- what comes ---------------------------------------------------------------------------------------------------

    def _changed(self, items: Sequence[ua.MonitoredItemNotification]) -> None:
        """The hot path: plain numbers go straight into the stream, all else through the port's cleaning."""
        slots, put, received = self._slots, self._stream.put, self.clock.now()
        for item in items:
            slot, answer = slots[item.ClientHandle - 1], item.Value
            raw = raw_value(answer)
            slot.last, slot.heard = raw, True
            number = slot.plain and type(raw) is float and math.isfinite(raw)
            if number and slot.clean:
                put(Reading(slot.name, raw * slot.scale, utc(answer.SourceTimestamp), received), is_sample=True)
            elif not slot.missing or raw is not None:
                self._value(slot.name, slot.source, raw, utc(answer.SourceTimestamp), received)
                slot.clean = number

    def _take(self, slot: Slot, answer: ua.DataValue) -> None:
        slot.last = raw_value(answer)
        self._value(slot.name, slot.source, slot.last, utc(answer.SourceTimestamp), self.clock.now())

    async def _watch(self, client: Client, subscription: Subscription) -> None:
        loop = asyncio.get_running_loop()
        last_resync = loop.time()
        while True:
            await asyncio.sleep(self.config.check_s)
            async with asyncio.timeout(self.config.timeout_s):
                state = await client.nodes.server_state.read_value()
            self._server_state(state)
            subscription.check()
            if loop.time() - last_resync >= self.config.resync_s:
                last_resync = loop.time()
                async with asyncio.timeout(self.config.timeout_s):
                    await self._resync(client, subscription)

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

    async def _resync(self, client: Client, subscription: Subscription) -> None:
        """Read beside the subscription: take what differs, subscribe what appeared, say what went."""
        anything = any(slot.heard for slot in self._slots)
        slots = self._next_turn()
        before = [slot.last for slot in slots]
        answers = await read_values(client, [slot.node for slot in slots], self._limits)
        appeared: list[Slot] = []
        stuck: list[str] = []
        for slot, was, answer in zip(slots, before, answers, strict=True):
            if unknown(answer.StatusCode):
                if not slot.missing:
                    self._take(slot, ua.DataValue(StatusCode=answer.StatusCode))
                self._node_missing(slot, answer.StatusCode)
            elif slot.missing:
                appeared.append(slot)
            elif not slot.heard and slot.last is was and not same(raw_value(answer), was):
                slot.differed += 1
                if slot.differed > 1:
                    stuck.append(slot.name)
                self._take(slot, answer)
            if slot.heard:
                slot.heard, slot.differed = False, 0
        if appeared:
            await self._subscribe(subscription, appeared)
        if stuck and not anything and subscription.slowest_ms <= 1000 * self.config.resync_s:
            raise DriverFaultError(
                "subscription_dead",
                f"{self.config.endpoint}: the server does not send changes of {', '.join(stuck[:5])} any more",
                "La machine n'envoie plus les changements de valeurs ; la liaison est refaite automatiquement.",
            )

    def _next_turn(self) -> list[Slot]:
        """The slots to compare now: all of them, or of thousands the next few hundred."""
        if len(self._slots) <= _RESYNC_MOST:
            return self._slots
        start = self._turn % len(self._slots)
        self._turn = start + _RESYNC_MOST
        return self._slots[start : start + _RESYNC_MOST]

    def _node_missing(self, slot: Slot, status: ua.StatusCode | None) -> None:
        slot.missing = True
        said = status.name if status is not None else ""
        self._problem(
            "missing_node",
            slot.name,
            f"{self.config.endpoint}: node {slot.source.node!r} of {slot.name} is not there ({said}); "
            "the other nodes go on",
            f"Le nœud « {slot.source.node} » ({slot.name}) n'existe pas sur la machine : corriger "
            f"`signals.{slot.name}` (voir `copeau cnc probe`). Les autres signaux continuent.",
        )

    def _tell(self, code: str, message: str, message_fr: str) -> None:
        self._problem(code, "certificate", message, message_fr)

    def _ended(self, status: ua.StatusCode | None) -> DriverFaultError:
        if is_shutdown(status):
            return DriverFaultError(
                "closed",
                f"{self.config.endpoint}: the server has gone or does not answer any more",
                "Liaison OPC UA perdue : la machine s'est arrêtée, redémarre, ou le réseau est coupé. "
                "Nouvelle tentative automatique.",
            )
        said = "nothing is published any more" if status is None else status.name
        return DriverFaultError(
            "subscription_lost",
            f"{self.config.endpoint}: the server ended the subscription ({said})",
            "La machine a mis fin à l'abonnement ; il est recréé automatiquement.",
        )

    # --- what a machine that opted in is told -------------------------------------------------------------------------

    async def _prepare_hold(self, client: Client) -> Hold | None:
        assert self.config.hold is not None
        try:
            prepared = await prepare_hold(client, self.config.hold, self._limits)
        except (UaError, ValueError) as error:
            fault = refused(error, self.config.endpoint, "prepare the hold", "préparer l'arrêt d'avance")
            self._problem("hold_not_ready", "hold", fault.message, fault.message_fr)
            return None
        self._solved("hold_not_ready", "hold")
        return prepared

    async def _hold(self) -> None:
        if self._client is None or self._prepared is None:
            raise self._not_connected()
        await self._order(self._prepared.send(self._client), "hold the feed", "arrêter les avances")

    async def _list_programmes(self) -> list[ProgrammeFile]:
        return await self._order(self._programmes().listing(), "list its programmes", "lister ses programmes")

    async def _read_programme(self, name: str) -> bytes:
        checked(name)
        return await self._order(self._programmes().read(name), f"give {name}", f"donner « {name} »")

    async def _write_programme(self, name: str, content: bytes) -> None:
        checked(name)
        await self._order(self._programmes().write(name, content), f"take {name}", f"recevoir « {name} »")

    def _programmes(self) -> Programmes:
        if self._client is None:
            raise self._not_connected()
        if self._folder is None:
            raise DriverFaultError(
                "no_programmes",
                f"{self.config.endpoint}: no folder of programmes there",
                "La machine n'offre pas de dossier de programmes par OPC UA : indiquer son nœud dans `programmes`.",
            )
        return Programmes(self._client, self._folder, self._limits)

    async def _order(self, order: Awaitable[_T], what: str, what_fr: str) -> _T:
        try:
            return await order
        except UaError as error:
            raise refused(error, self.config.endpoint, what, what_fr) from error
        except (OSError, TimeoutError) as error:
            raise explain(error, self.config) from error

    def _not_connected(self) -> DriverFaultError:
        return DriverFaultError(
            "not_connected",
            f"{self.config.endpoint}: not connected",
            "Pas de liaison avec la machine en ce moment : attendre qu'elle soit rétablie.",
        )

    # --- probing ------------------------------------------------------------------------------------------------------

    async def probe(self) -> list[Finding]:
        """The server's name, the security it offers, its machines, and each mapped node with its value."""
        config = self.config
        try:
            endpoints = await endpoints_of(config.endpoint, config.timeout_s)
            found = server_findings(config.endpoint, endpoints)
            async with connected(config, self._tell) as client:
                return found + await machine_findings(client, config)
        except (UaError, OSError, TimeoutError) as error:
            raise explain(error, config) from error


def _hush() -> None:
    """The library tells each lost connection with a traceback; what matters of it, this driver says in a sentence."""
    logger = logging.getLogger("asyncua.client")
    if logger.level == logging.NOTSET and not _log.isEnabledFor(logging.DEBUG):
        logger.setLevel(logging.CRITICAL)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
