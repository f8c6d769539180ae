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


class Wipe(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/wipe``): forget the key, the facts, the pictures, and stop.

    Refused while facts wait for the centre, unless `force`.
    """

    id: str
    expires: Aware
    force: bool = False


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


class SetRackMode(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/rack-mode``): begin or end the *mode rangement* of a rack."""

    id: str
    expires: Aware
    rack: str
    mode: Literal["counting", "restocking"]
    person: str | None = None


class SetSlotCount(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/rack-count``): a person said what lies in a place; the camera goes on from there.

    A refused take, a corrected count, the answer to "combien ?". `count` in pieces.
    """

    id: str
    expires: Aware
    rack: str
    slot: str
    count: int
    person: str | None = None


class TeachRack(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/rack-teach``): a new description of the rack, to be fetched at `path` under its SHA-256."""

    id: str
    expires: Aware
    rack: str
    sha256: str
    size: int
    path: str
    person: str | None = None


class ShowRack(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/rack-picture``): bring the rack's picture to `path`: its outline only, hands masked.

    With `seconds` above 0, one a second for so long (a person watches the live view).
    """

    id: str
    expires: Aware
    rack: str
    path: str
    seconds: float = 0.0
    person: str | None = None


class SettleMove(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/rack-moved``): a person looked at before and after of a camera that moved.

    `accept`: the proposed places fit; else the rack waits until the camera is put back or taught anew.
    """

    id: str
    expires: Aware
    rack: str
    accept: bool
    person: str | None = None


class SetRackModel(msgspec.Struct, frozen=True, kw_only=True):
    """Centre → agent (``cmd/rack-model``): use this signed model from now on, or go back to the one before.

    An empty `path` goes back.
    """

    id: str
    expires: Aware
    rack: str
    version: str = ""
    sha256: str = ""
    size: int = 0
    path: str = ""
    person: str | None = None


MachineCommand: TypeAlias = SendProgramme | ReadProgramme | RearmGuard
RackCommand: TypeAlias = SetRackMode | SetSlotCount | TeachRack | ShowRack | SettleMove | SetRackModel
PartCommand: TypeAlias = MachineCommand | RackCommand
"""Commands that the part called `machine`, or `rack`, obeys."""
PART_COMMANDS: dict[str, type[PartCommand]] = {
    "programme-send": SendProgramme,
    "programme-read": ReadProgramme,
    "guard-rearm": RearmGuard,
    "rack-mode": SetRackMode,
    "rack-count": SetSlotCount,
    "rack-teach": TeachRack,
    "rack-picture": ShowRack,
    "rack-moved": SettleMove,
    "rack-model": SetRackModel,
}


def part_of(command: PartCommand) -> str:
    """The name of the agent's part that obeys it."""
    return command.machine if isinstance(command, MachineCommand) else command.rack


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
    disk_free: UpTo | None = None
    """Bytes free on the outbox's disk."""
    cert_until: Aware | None = None
    """End of the agent's certificate; null without one."""


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
