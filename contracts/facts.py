"""The facts of the floor: one struct per kind, and the table from kind to struct.

Quantities are integers in thousandths of the item's unit (``-1000`` is one piece taken), so that bars in
millimetres and
inserts in pieces add up exactly. A person is an opaque id. A time inside a body is on the same clock as the envelope's
``ts`` and is corrected with it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from contracts.envelope import Aware, Milliseconds

Short = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
Text = Annotated[str, msgspec.Meta(max_length=2000)]
Milli = Annotated[int, msgspec.Meta(ge=-(10**12), le=10**12)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
CropsId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
"""Names the pictures before and after, which travel beside the fact and are forgotten long before it
(docs/decisions/0015)."""

Source: TypeAlias = Literal["camera", "scan", "operation", "manual", "scale", "import"]
Mode: TypeAlias = Literal["auto", "review"]


class StockObserved(msgspec.Struct, frozen=True, kw_only=True):
    """``stock.observed``: something saw `item` leave (negative) or come to (positive) `place`.

    Either `item` (a stock code known by the source) or `code` (what was read, to be resolved by the centre) is given.
    A missing place or operation matches any.
    """

    source: Source
    qty: Milli
    item: Short | None = None
    code: Short | None = None
    place: Short | None = None
    operation: Short | None = None
    person: Short | None = None
    confidence: Share = 1.0
    mode: Mode = "auto"
    session: Short | None = None
    """Joins the observations of one hand session, or of one scanned basket."""
    count_before: int | None = None
    count_after: int | None = None
    crops: CropsId | None = None
    model: Short | None = None
    why: Text = ""
    """The judge's reason, English, for the evidence."""
    transfer: Short | None = None
    """The other place, when one item went from one place to another in one session: both observations name it."""
    during_absence: bool = False
    """True when the source was not watching: found by comparing its cursor with what is there now."""
    comment: Text = ""


AskReason: TypeAlias = Literal["hidden", "stacked", "masked", "foreign", "many", "swapped", "unlike"]
"""Why a camera asks: `hidden` (a heap, a lid), `stacked` (items on one another), `masked` (rag, swarf, glove on it),
`foreign` (a thing that is not its item), `many` (more than can be told apart), `swapped` (as much came as left),
`unlike` (the place no longer looks like its item)."""


class StockAsked(msgspec.Struct, frozen=True, kw_only=True):
    """``stock.asked``: a session touched `place`, and the camera cannot say how many; a person is asked "combien ?".

    It is never a way to say "nothing": silence would be a wrong number.
    """

    place: Short
    reason: AskReason
    item: Short | None = None
    code: Short | None = None
    person: Short | None = None
    session: Short | None = None
    guess: Milli | None = None
    """The movement that it would have told, in thousandths, negative for a take; null when it has no idea."""
    count_before: int | None = None
    """Pieces there before, as the camera knew them."""
    confidence: Share = 0.0
    crops: CropsId | None = None
    model: Short | None = None
    why: Text = ""
    during_absence: bool = False


class SlotSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One place in a `RackRead`. `count` in pieces; null where it cannot be read now (`state` says why)."""

    place: Short
    item: Short | None = None
    count: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = None
    present: bool | None = None
    """For places of presence only, and for hidden ones with a lid or a box to be seen."""
    state: Literal["seen", "masked", "foreign", "stacked", "hidden", "unlike", "unreadable"] = "seen"
    since: Aware | None = None
    """From when on it has been masked, foreign or unreadable."""
    confidence: Share = 1.0


ReadReason: TypeAlias = Literal["start", "clear", "uncovered", "restocked", "asked", "masked"]


class RackRead(msgspec.Struct, frozen=True, kw_only=True):
    """``rack.read``: what lies in the places of a rack, absolutely, whatever was seen before.

    The centre compares it with the ledger; a difference that nothing explains is one *écart*. `why`: after a start, a
    clear state, an uncovering, the end of a restocking, a person's wish; or because a place became masked or free.
    Places that are not in it were not looked at.
    """

    rack: Short
    why: ReadReason
    slots: Annotated[list[SlotSeen], msgspec.Meta(max_length=400)]
    session: Short | None = None
    person: Short | None = None
    model: Short | None = None


class RackModeChanged(msgspec.Struct, frozen=True, kw_only=True):
    """``rack.mode``: from this time on the rack counts, is being restocked (no movements), or is blind (paused).

    Repeated at each connect. `code` says why it is blind: ``covered``, ``dark``, ``frozen``, ``dirty``, ``moved``,
    ``closed`` (a drawer that is not fully open), ``lost``, ``flicker``.
    """

    rack: Short
    mode: Literal["counting", "restocking", "blind"]
    code: Short = "ok"
    message: Text = ""
    """French, for the person who can act."""
    person: Short | None = None
    crops: CropsId | None = None
    """Of a camera that moved: the taught picture and the present one."""
    repeated: bool = False


class StockCounted(msgspec.Struct, frozen=True, kw_only=True):
    """``stock.counted``: how much of `item` lies at `place`, read at this time. A count fixes the level at its time."""

    source: Source
    item: Short
    place: Short
    qty: Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    person: Short | None = None
    confidence: Share = 1.0
    comment: Text = ""


class CodeScanned(msgspec.Struct, frozen=True, kw_only=True):
    """``code.scanned``: a code was read at a post. What it means is resolved by the centre, now or when it is assigned.

    `action` is what the post is set to: ``take`` or ``return`` move the item, ``toggle`` starts or ends an operation,
    ``identify`` only says who or what is here.
    """

    code: Short
    format: Short
    post: Short
    action: Literal["take", "return", "toggle", "identify"] = "identify"
    qty: Annotated[int, msgspec.Meta(ge=1, le=10**9)] = 1000
    place: Short | None = None
    person: Short | None = None
    operation: Short | None = None


ClockingAction: TypeAlias = Literal["start", "pause", "resume", "first_good", "end", "toggle"]


class WorkClocked(msgspec.Struct, frozen=True, kw_only=True):
    """``work.clocked``: an operator starts, suspends, resumes or ends an operation (réglage until the first good
    part).
    """

    action: ClockingAction
    operation: Short
    """Operation code as printed on the gamme, for example ``OF118-20``."""
    person: Short
    post: Short
    terminal: Literal["phone", "tablet", "pc", "scanner", "button"] = "pc"
    phase: Literal["setup", "run"] | None = None
    reason: Short | None = None
    good: Count = 0
    scrap: Count = 0
    rework: Count = 0
    comment: Text = ""
    tool_change: bool = False


MachineMode: TypeAlias = Literal["off", "ready", "running", "stopped", "setup", "alarm", "silent"]
"""States of a machine as the shop says them; the mapping to MTConnect and OPC 40001-1 is in docs/glossary.md."""


class MachineStateChanged(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.state``: the machine is in `state` from this time on. Repeated at each connect as the current state."""

    machine: Short
    state: MachineMode
    execution: Short | None = None
    """The controller's own word (MTConnect Execution), kept as evidence."""
    programme: Short | None = None
    tool: Short | None = None
    detail: Text = ""
    repeated: bool = False
    """True when it states again what was already said (agent or centre came back), not a change."""


class PartsCounted(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.parts``: the controller's part counter went from `first` to `last`; `delta` cycles were counted.

    `reset` with `delta` 0: the counter was set, or is another programme's.
    """

    machine: Short
    first: Count
    last: Count
    delta: Annotated[int, msgspec.Meta(ge=0, le=10**9)]
    programme: Short | None = None
    reset: bool = False
    during_absence: bool = False


class CycleEnded(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.cycle``: one run of a programme, from `began` to this fact's time."""

    machine: Short
    programme: Short | None = None
    began: Aware
    completed: bool = True
    uncertain: bool = False
    """Contact was lost in between: it may be more than one run, and its length is not a cycle time."""


class MachineAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.alarm``: the controller raised (`active`) or cleared a condition."""

    machine: Short
    code: Short
    text: Text = ""
    severity: Literal["fault", "warning"] = "fault"
    active: bool


class MachineSamples(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.samples`` (samples stream): one signal's values. ``t0 + dt[i]`` milliseconds is the time of
    ``v[i]``.
    """

    machine: Short
    signal: Short
    unit: str = ""
    t0: Aware
    dt: Annotated[list[Milliseconds], msgspec.Meta(max_length=1000)]
    v: Annotated[list[float], msgspec.Meta(max_length=1000)]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One signal's values in a `MachineBlock`: ``t0 + dt[i]`` milliseconds is the time of ``v[i]``."""

    signal: Short
    unit: str = ""
    dt: Annotated[list[Milliseconds], msgspec.Meta(max_length=1000)]
    v: Annotated[list[float], msgspec.Meta(max_length=1000)]


class MachineBlock(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.block`` (samples stream): several signals' values of one machine, for machines that send much."""

    machine: Short
    t0: Aware
    series: Annotated[list[Series], msgspec.Meta(max_length=5000)]


class GuardTripped(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.guard``: the collision guard judged a signal abnormal, and what came of it.

    `outcome` tells what became of the machine: ``none`` (nothing was asked), ``shadow`` (a hold was due, the
    guard only watches yet), ``held`` (velocity 0 was seen after the command), ``deferred`` (commanded, velocity 0 not
    seen in time: "différé"), ``refused`` (this machine does not allow holds), ``failed`` (the command did not arrive).
    """

    machine: Short
    level: Literal["watch", "alert", "hold"]
    signal: Short
    unit: str = ""
    value: float
    limit: float
    why: Text
    outcome: Literal["none", "shadow", "held", "deferred", "refused", "failed"] = "none"
    programme: Short | None = None
    tool: Short | None = None
    sample_age_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """From the source's own time to the guard, on the guard's clock."""
    latency_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Sample in → command out, the guard's own time."""
    stop_ms: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Command out → velocity 0 seen."""
    feed: float | None = None
    """mm/min when it tripped."""
    travel_mm: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """Along the path at that feed, over sample age + latency + stop."""
    t0: Aware
    dt: Annotated[list[Milliseconds], msgspec.Meta(max_length=1000)]
    v: Annotated[list[float], msgspec.Meta(max_length=1000)]
    """What it saw before and after: ``t0 + dt[i]`` is the time of ``v[i]``."""
    low: Annotated[list[float | None], msgspec.Meta(max_length=1000)] = []
    high: Annotated[list[float | None], msgspec.Meta(max_length=1000)] = []
    """The limits at those times; null where the guard was masked."""


class GuardRearmed(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.guard_rearmed``: a person let the guard act again after a hold."""

    machine: Short
    person: Short | None = None
    command: Short | None = None


class ProgrammeTransferred(msgspec.Struct, frozen=True, kw_only=True):
    """``machine.programme``: a CN programme went to, came from, or was found changed at the machine.

    The text itself is not here: it is fetched from or brought to the centre under its SHA-256.
    """

    machine: Short
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    event: Literal["sent", "refused", "read", "changed"]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    size: Annotated[int, msgspec.Meta(ge=0)] | None = None
    same: bool | None = None
    """Read back after sending: whether it is what was sent (line ends and what the controller adds apart)."""
    command: Short | None = None
    person: Short | None = None
    detail: Text = ""
    """French: why it was refused, or what differs."""


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``source.status``: a camera, controller or scanner was lost, came back, is covered or full; shown where it
    stands.
    """

    source: Short
    """Part of the agent, for example ``rack-a`` or ``tour-1``."""
    status: Literal["ok", "lost", "covered", "moved", "full", "error", "dark", "frozen", "dirty"]
    code: Short = "ok"
    message: Text = ""
    """French, for the person who can act: what failed, the next step."""
    machine: Short | None = None
    rack: Short | None = None


class AgentStarted(msgspec.Struct, frozen=True, kw_only=True):
    """``agent.started``: the agent's process began; `clean` when the last one had closed its outbox."""

    version: Short
    clean: bool
    config: Short = ""


class AgentAnswered(msgspec.Struct, frozen=True, kw_only=True):
    """``agent.answered``: what became of a command."""

    command: Short
    id: Short
    done: bool
    detail: Text = ""


FACTS: Final[dict[str, type[msgspec.Struct]]] = {
    "stock.observed": StockObserved,
    "stock.counted": StockCounted,
    "stock.asked": StockAsked,
    "rack.read": RackRead,
    "rack.mode": RackModeChanged,
    "code.scanned": CodeScanned,
    "work.clocked": WorkClocked,
    "machine.state": MachineStateChanged,
    "machine.parts": PartsCounted,
    "machine.cycle": CycleEnded,
    "machine.alarm": MachineAlarm,
    "machine.guard": GuardTripped,
    "machine.guard_rearmed": GuardRearmed,
    "machine.programme": ProgrammeTransferred,
    "source.status": SourceStatus,
    "agent.started": AgentStarted,
    "agent.answered": AgentAnswered,
}
SAMPLES: Final[dict[str, type[msgspec.Struct]]] = {"machine.samples": MachineSamples, "machine.block": MachineBlock}
KINDS: Final[dict[str, type[msgspec.Struct]]] = FACTS | SAMPLES
KIND_OF: Final[dict[type[msgspec.Struct], str]] = {body: kind for kind, body in KINDS.items()}

_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {k: msgspec.json.Decoder(t) for k, t in KINDS.items()}


class UnknownKind(ValueError):
    """No struct is known for this kind: a newer agent speaks, or a stranger."""


def decode_body(kind: str, body: msgspec.Raw | bytes) -> Any:
    """The typed body of `kind`. Raises `UnknownKind`, or `msgspec.ValidationError` saying which field is wrong."""
    decoder = _decoders.get(kind)
    if decoder is None:
        raise UnknownKind(f"unknown kind {kind!r}")
    return decoder.decode(body)
