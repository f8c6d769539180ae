"""The controller's alarms, which OPC UA servers send as condition events (OPC 10000-9), as our conditions.

Severity by OPC 40501-1 8.6.2: errors 667–1000, warnings 334–666; below that are messages, which are no alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError

from cnc_bridge.drivers.opcua.companions import MACHINE_TOOL
from cnc_bridge.drivers.opcua.values import node_number, utc
from cnc_bridge.port import Clock, Condition

KEY = "machine"
_ERROR, _WARNING = 667, 334
_ALERT_TYPE = 39
"""AlertType of the MachineTool namespace."""
_BASE, _CONDITION, _ALARM = ObjectIds.BaseEventType, ObjectIds.ConditionType, ObjectIds.AlarmConditionType
_REFRESH = ObjectIds.ConditionType_ConditionRefresh
_REFRESH_END = node_number(ObjectIds.RefreshEndEventType)
_REFRESH_START = node_number(ObjectIds.RefreshStartEventType)


class Alarms:
    """Of one session: `events` turns what the server sends into conditions and gives them to `put`."""

    def __init__(self, clock: Clock, put: Callable[[Condition], None]) -> None:
        self._clock = clock
        self._put = put
        self._refreshing: dict[str, Condition] | None = None

    @staticmethod
    def wanted(namespaces: Sequence[str]) -> ua.EventFilter:
        """The fields that `events` reads, in its order."""
        clauses = [
            _field(_BASE, "EventType"),
            _field(_BASE, "Message"),
            _field(_BASE, "Severity"),
            _field(_BASE, "Time"),
            _field(_CONDITION, "Retain"),
            _field(_CONDITION, "ConditionName"),
            _field(_ALARM, "ActiveState", "Id"),
            ua.SimpleAttributeOperand(
                TypeDefinitionId=node_number(_CONDITION), AttributeId=ua.IntegerId(int(AttributeIds.NodeId))
            ),
        ]
        if MACHINE_TOOL in namespaces:
            index = namespaces.index(MACHINE_TOOL)
            clauses.append(
                ua.SimpleAttributeOperand(
                    TypeDefinitionId=node_number(_ALERT_TYPE, index),
                    BrowsePath=[ua.QualifiedName("ErrorCode", index)],
                    AttributeId=ua.IntegerId(int(AttributeIds.Value)),
                )
            )
        return ua.EventFilter(SelectClauses=clauses)

    async def refresh(self, client: Client, subscription_id: int) -> bool:
        """Ask for the conditions that hold now; False when the server cannot say them again."""
        request = ua.CallMethodRequest(
            ObjectId=node_number(_CONDITION),
            MethodId=node_number(_REFRESH),
            InputArguments=[ua.Variant(subscription_id, ua.VariantType.UInt32)],
        )
        try:
            (result,) = await client.uaclient.session.call([request])
        except UaError:
            return False
        return bool(result.StatusCode.is_good())

    def events(self, events: Sequence[ua.EventFieldList]) -> None:
        """Whatever is no condition (messages, audit, model changes) is left alone."""
        for event in events:
            kind, message, severity, time, retain, name, active, condition, *code = (
                None if each is None else each.Value for each in event.EventFields
            )
            if kind == _REFRESH_START:
                self._refreshing = {}
            elif kind == _REFRESH_END:
                self._refreshed()
            elif isinstance(condition, ua.NodeId) and not condition.is_null():
                said = str(code[0] or "") if code else ""
                self._condition(said or str(name or condition.to_string()), message, severity, time, retain, active)

    def _condition(
        self, code: str, message: object, severity: object, time: object, retain: object, active: object
    ) -> None:
        holds = bool(retain if active is None else active)
        level = "NORMAL"
        if holds and isinstance(severity, int) and severity >= _WARNING:
            level = "FAULT" if severity >= _ERROR else "WARNING"
        text = (message.Text or "") if isinstance(message, ua.LocalizedText) else str(message or "")
        at = utc(time) if isinstance(time, datetime) else None
        condition = Condition(KEY, level, code, text, at, self._clock.now())
        if self._refreshing is None:
            self._put(condition)
        else:
            self._refreshing[code] = condition

    def _refreshed(self) -> None:
        """All that holds is known now: what held before we looked and is not among it is over."""
        held, self._refreshing = self._refreshing or {}, None
        self._put(Condition(KEY, "NORMAL", "", "", None, self._clock.now()))
        for condition in held.values():
            if condition.level != "NORMAL":
                self._put(condition)


def _field(kind: int, *path: str) -> ua.SimpleAttributeOperand:
    return ua.SimpleAttributeOperand(
        TypeDefinitionId=node_number(kind),
        BrowsePath=[ua.QualifiedName(name) for name in path],
        AttributeId=ua.IntegerId(int(AttributeIds.Value)),
    )
