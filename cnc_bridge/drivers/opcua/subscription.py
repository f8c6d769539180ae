"""One OPC UA subscription on a running session: many items a request, whole notifications handed on at once.

asyncua's own Subscription makes two objects and a queue entry of every value; at 20 000 values a second that is what a
small agent spends its time with. Here a notification goes to `on_values` as the library decoded it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import BadNoSubscription, UaError

from cnc_bridge.drivers.opcua.browsing import Limits, chunks

KEEP_ALIVE_S = 1.0
"""The server speaks at least so often, with or without news."""
SILENT_S = 3.5
"""Nothing at all for so long: the subscription is dead, whatever the connection says."""
_PARALLEL = 2
"""Publish requests that wait at the server: it need not wait for us between two notifications."""

OnValues: TypeAlias = Callable[[Sequence[ua.MonitoredItemNotification]], None]
OnEvents: TypeAlias = Callable[[Sequence[ua.EventFieldList]], None]


class SubscriptionLostError(Exception):
    """The server ended the subscription, or has forgotten it. `status` is what it said, if anything."""

    def __init__(self, status: ua.StatusCode | None) -> None:
        super().__init__(status.name if status is not None else "nothing is published any more")
        self.status = status


class Subscription:
    """Made by `create`, heard from `begin` on; ends with its session, or when the server says so (`ended`)."""

    def __init__(self, client: Client, limits: Limits, on_values: OnValues, on_events: OnEvents) -> None:
        self._session = client.uaclient.session
        self._limits = limits
        self._on_values = on_values
        self._on_events = on_events
        self._heard = time.monotonic()
        self._more: list[asyncio.Task[None]] = []
        self._kept: list[ua.PublishResult] | None = []
        self.id = 0
        self.slowest_ms = 0.0
        """The longest sampling interval that the server made of ours."""
        self.ended: asyncio.Future[ua.StatusCode | None] = asyncio.get_running_loop().create_future()

    async def create(self, publishing_ms: float) -> None:
        """Create it on the server; every `publishing_ms` it sends what changed."""
        params = ua.CreateSubscriptionParameters()
        params.RequestedPublishingInterval = ua.Duration(publishing_ms)
        params.RequestedMaxKeepAliveCount = ua.Counter(max(1, round(1000 * KEEP_ALIVE_S / publishing_ms)))
        params.RequestedLifetimeCount = ua.Counter(
            max(3 * params.RequestedMaxKeepAliveCount, round(30_000 / publishing_ms))
        )
        params.MaxNotificationsPerPublish = ua.Counter(10_000)
        params.PublishingEnabled = True
        result = await self._session.create_subscription(params, self._published)
        self.id = result.SubscriptionId
        self._silent_s = max(SILENT_S, 3.5 * result.RevisedPublishingInterval * result.RevisedMaxKeepAliveCount / 1000)
        self._heard = time.monotonic()
        self._more = [asyncio.create_task(self._publish_too(), name="publish") for _ in range(_PARALLEL - 1)]

    async def monitor(self, items: Iterable[tuple[int, ua.NodeId, float, int]]) -> dict[int, ua.StatusCode]:
        """Monitor (handle, node, sampling in ms, queue length) items; gives the refused ones with their status."""
        requests = [
            ua.MonitoredItemCreateRequest(
                ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.IntegerId(int(AttributeIds.Value))),
                MonitoringMode=ua.MonitoringMode.Reporting,
                RequestedParameters=ua.MonitoringParameters(
                    ClientHandle=ua.IntegerId(handle),
                    SamplingInterval=ua.Duration(sampling_ms),
                    QueueSize=ua.Counter(queue),
                    DiscardOldest=True,
                ),
            )
            for handle, node, sampling_ms, queue in items
        ]
        return await self._create_items(requests)

    async def monitor_events(self, handle: int, node: ua.NodeId, wanted: ua.EventFilter) -> ua.StatusCode | None:
        """Ask for the events of `node`; gives the status when the server refuses."""
        request = ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node, AttributeId=ua.IntegerId(int(AttributeIds.EventNotifier))),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=ua.IntegerId(handle), Filter=wanted, QueueSize=ua.Counter(1000), DiscardOldest=True
            ),
        )
        return (await self._create_items([request])).get(handle)

    async def _create_items(self, requests: Sequence[ua.MonitoredItemCreateRequest]) -> dict[int, ua.StatusCode]:
        refused: dict[int, ua.StatusCode] = {}
        for chunk in chunks(requests, self._limits.monitor):
            params = ua.CreateMonitoredItemsParameters(
                SubscriptionId=ua.IntegerId(self.id),
                TimestampsToReturn=ua.TimestampsToReturn.Source,
                ItemsToCreate=chunk,
            )
            for request, result in zip(chunk, await self._session.create_monitored_items(params), strict=True):
                if not result.StatusCode.is_good():
                    refused[int(request.RequestedParameters.ClientHandle)] = result.StatusCode
                self.slowest_ms = max(self.slowest_ms, result.RevisedSamplingInterval)
        return refused

    def begin(self) -> None:
        """Hand on what came so far, and from now on what comes: until here it was kept."""
        kept, self._kept = self._kept or [], None
        for result in kept:
            self._published(result)

    def check(self) -> None:
        """Raises SubscriptionLostError when nothing, not even a sign of life, has come for too long."""
        if time.monotonic() - self._heard > self._silent_s:
            raise SubscriptionLostError(None)

    async def wait_for_end(self) -> None:
        """Until it is over. Always raises SubscriptionLostError."""
        raise SubscriptionLostError(await self.ended)

    async def close(self) -> None:
        """Stop asking for notifications; the subscription itself goes with its session."""
        for task in self._more:
            task.cancel()
        if self._more:
            await asyncio.wait(self._more)

    def _published(self, result: ua.PublishResult) -> None:
        self._heard = time.monotonic()
        if self._kept is not None:
            self._kept.append(result)
            return
        try:
            for notification in result.NotificationMessage.NotificationData or ():
                if isinstance(notification, ua.DataChangeNotification):
                    self._on_values(notification.MonitoredItems or ())
                elif isinstance(notification, ua.EventNotificationList):
                    self._on_events(notification.Events or ())
                elif isinstance(notification, ua.StatusChangeNotification):
                    self._end(notification.Status)
        except Exception as error:  # noqa: BLE001 - the library would only log it; the session must end by it
            if not self.ended.done():
                self.ended.set_exception(error)

    def _end(self, status: ua.StatusCode) -> None:
        if not self.ended.done():
            self.ended.set_result(status)

    async def _publish_too(self) -> None:
        """Another publish request beside the library's own, until the session or the subscription is gone."""
        done: list[ua.SubscriptionAcknowledgement] = []
        while True:
            try:
                answer = (await self._session.publish(done)).Parameters
            except BadNoSubscription as error:
                self._end(ua.StatusCode(ua.UInt32(error.code)))
                return
            except (UaError, OSError, TimeoutError):
                return  # the library's own loop goes on; `check` and the watch on the server tell when it does not
            if answer.SubscriptionId != self.id:
                return
            message = answer.NotificationMessage
            done = [ua.SubscriptionAcknowledgement(self.id, message.SequenceNumber)] if message.NotificationData else []
            self._published(answer)


def is_shutdown(status: ua.StatusCode | None) -> bool:
    """What the library itself says when it finds the connection dead."""
    return status is not None and status.value == StatusCodes.BadShutdown
