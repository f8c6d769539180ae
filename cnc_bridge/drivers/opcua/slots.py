"""A signal that is monitored: what the driver remembers of it between notifications and resyncs."""

from __future__ import annotations

from asyncua import ua

from cnc_bridge.drivers.opcua.settings import NodeSource
from cnc_bridge.model import signal_named


class Slot:
    """A monitored signal. `last`: its newest raw value; `heard`: the subscription said it since the last resync.

    `plain`: a number as it is; `clean`: the value before was one, so that no complaint about it is open. `differed`:
    how often a resync read another value while nothing was heard; once is a notification on its way.
    """

    __slots__ = (
        "clean", "differed", "handle", "heard", "is_sample", "last", "missing", "name", "node", "plain", "scale",
        "source",
    )  # fmt: skip

    def __init__(self, handle: int, name: str, source: NodeSource) -> None:
        self.handle = handle
        self.name = name
        self.source = source
        self.node = ua.NodeId.from_string(source.node)
        self.is_sample = signal_named(name).kind == "sample"
        self.plain = self.is_sample and not source.words
        self.scale = source.scale
        self.missing = self.clean = False
        self.last: object = _NEVER
        self.heard = False
        self.differed = 0


class _Never:
    """No value came yet."""


_NEVER = _Never()
