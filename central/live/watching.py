"""What one listening page may be told, and when its stream must end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from central.core.access import Identity
from central.core.rights import MODULES, TERMINAL_TOPICS, topic_module
from central.live.hub import Frame


class Watch:
    """What one stream may tell, as long as its caller stays who it was."""

    def __init__(self, identity: Identity, still: Callable[[], Awaitable[bool]]) -> None:
        self._identity = identity
        self.still = still
        """Whether the caller is known as it was when the stream began."""
        self._reads_all = all(identity.may(module, "lire") for module in MODULES)

    def told(self, frame: Frame) -> str | None:
        """The event for this caller; None when nothing of it is for the caller."""
        if frame.data is None:
            return f"id: {frame.id}\nevent: resync\ndata: {{}}\n\n"
        data = frame.data
        if not self._reads_all:
            topics = {t: d for t, d in msgspec.json.decode(data).items() if may_be_told(self._identity, t)}
            if not topics:
                return None
            data = msgspec.json.encode(topics).decode()
        return f"id: {frame.id}\ndata: {data}\n\n"


def may_be_told(identity: Identity, topic: str) -> bool:
    """A terminal's pages show a rack or a post; a person is told of what the person may read."""
    module = topic_module(topic)
    if identity.kind == "device":
        return "terminal" in identity.roles and module in TERMINAL_TOPICS
    return identity.may(module, "lire")


def concerns_persons(frame: Frame) -> bool:
    """Rights, sessions (`central.people`), devices (`central.fleet`) may have changed, or too much to know."""
    return frame.data is None or '"people"' in frame.data or '"devices"' in frame.data
