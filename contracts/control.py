"""What keeps facts whole on the way: acknowledgements, commands, presence, and the rows that settle a gap."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from contracts.envelope import Aware, Boot, Milliseconds, Name, Run, Seq, Stream

UpTo = Annotated[int, msgspec.Meta(ge=0)]


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent, after the commit: every seq ≤ `upto` is committed, quarantined, withdrawn or declared lost."""

    boot: Boot
    stream: Stream
    upto: UpTo


class Resend(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/resend``): send again from `first` to `last` (null: everything after), rows or
    `stream.lost`.

    Asked on a hole, and by a centre that was restored from a backup.
    """

    boot: Boot
    stream: Stream
    first: Seq
    last: Seq | None = None


class TimeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Part of `AgentState`: the agent's monotonic reading when it was sent."""

    run: Run
    mono: Milliseconds


class TimeReply(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/time``): the centre's clock, with the request echoed.

    The agent takes half the round trip as the one-way delay (Cristian, 1989) and anchors the centre's time to its own
    monotonic clock, so a later jump of its wall clock changes nothing.
    """

    run: Run
    mono: Milliseconds
    now: Aware


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/restart``): restart one part. Expires; answered by a `agent.answered` fact."""

    id: str
    expires: Aware
    part: str


class SendProgramme(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/programme-send``): put this programme into the machine's controller, read it back, compare.

    The text is fetched from the centre at `path` (of its HTTP address) and must have this `sha256`. Answered by
    ``agent.answered`` and told as ``machine.programme``.
    """

    id: str
    expires: Aware
    machine: str
    name: str
    sha256: str
    size: int
    path: str
    person: str | None = None


class ReadProgramme(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/programme-read``): bring this programme from the controller to the centre at `path`.

    An empty `name` asks for all that the controller lists.
    """

    id: str
    expires: Aware
    machine: str
    path: str
    name: str = ""
    person: str | None = None


class RearmGuard(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/guard-rearm``): a person lets the machine's collision guard act again."""

    id: str
    expires: Aware
    machine: str
    person: str | None = None


PartCommand: TypeAlias = SendProgramme | ReadProgramme | RearmGuard
"""Commands that the part called `machine` obeys."""
PART_COMMANDS: dict[str, type[SendProgramme | ReadProgramme | RearmGuard]] = {
    "programme-send": SendProgramme,
    "programme-read": ReadProgramme,
    "guard-rearm": RearmGuard,
}


class CentrePresence(msgspec.Struct, frozen=True, kw_only=True):
    """Retained by the centre; its last will is the same with ``present: false``."""

    present: bool
    epoch: str
    """Random id of this start of the centre: an agent that sees a new one resumes from the ack that follows."""
    since: Aware


PartStatus: TypeAlias = Literal["starting", "running", "waiting", "failed", "stopped"]


class PartState(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str
    status: PartStatus
    detail: str = ""
    since: Aware | None = None
    restarts: int = 0


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    last: UpTo
    acked: UpTo
    pending: int
    first: UpTo = 0
    """Lowest seq still held (0 when empty): the centre knows what a `resend` can still bring."""


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """Retained by the agent every 10 s and at each change; ``online: false`` is its last will."""

    online: bool
    agent: Name
    boot: Boot
    run: Run
    ts: Aware
    time: TimeRequest | None = None
    off: Milliseconds | None = None
    version: str = ""
    facts: StreamState | None = None
    samples: StreamState | None = None
    parts: list[PartState] = []
    disk_used: float | None = None
    """Share of the outbox's allowed size, 0–1."""


# Bodies that settle sequence numbers without being facts of the floor. They travel as ordinary envelopes whose own
# seq is `last`, and cover `first`..`last`.


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """``stream.lost``: these rows can never be sent again. The only gap that alerts."""

    first: Seq
    last: Seq
    why: str


class Withdrawn(msgspec.Struct, frozen=True, kw_only=True):
    """``stream.withdrawn``: the centre cannot read this row after several sendings; the agent keeps it aside."""

    first: Seq
    last: Seq
    why: str


class Thinned(msgspec.Struct, frozen=True, kw_only=True):
    """``stream.thinned``: samples given up, oldest first, because the agent's disk filled."""

    first: Seq
    last: Seq
    why: str


Settlement: TypeAlias = Lost | Withdrawn | Thinned
SETTLEMENTS: dict[str, type[Lost | Withdrawn | Thinned]] = {
    "stream.lost": Lost,
    "stream.withdrawn": Withdrawn,
    "stream.thinned": Thinned,
}
