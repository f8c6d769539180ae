"""The collision guard as the centre sees it: its verdicts, their curves, and a person who lets it act again."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import func, select, update

from central.alerts import service as alerts
from central.alerts.service import Cause
from central.audit import service as audit
from central.core.facts import Fact
from central.core.uow import UnitOfWork
from central.machines.models import GuardRearm, GuardTrip, Machine, MachineCommand, MachineTile
from central.machines.rules import guard as rules
from central.machines.rules.guard import Calling, Curve, Trip
from central.machines.store import insert_new
from central.machines.wording import amount, signal
from contracts import topics
from contracts.control import RearmGuard
from contracts.facts import AgentAnswered, GuardRearmed, GuardTripped

KEY = "machine.guard:"
REARM = "guard-rearm"
_COMMAND_LIFE = timedelta(minutes=1)
_LOOKED_BACK = timedelta(days=1)


class NobodyThereError(Exception):
    """No agent speaks for the machine: a command would reach nobody. The text is French."""


@dataclass(frozen=True, slots=True)
class TripView:
    id: int
    machine: str
    at: datetime
    level: str
    signal: str
    unit: str
    value: float
    limit: float
    why: str
    outcome: str
    programme: str | None
    tool: str | None
    sample_age_ms: float | None
    latency_ms: float | None
    stop_ms: float | None
    feed: float | None
    travel_mm: float | None

    @property
    def sentence(self) -> str:
        """What happened, in one French sentence."""
        value, limit = amount(self.value, self.unit), amount(self.limit, self.unit)
        return f"{rules.LEVEL_LABELS[self.level]} : {signal(self.signal)} à {value} pour une limite de {limit}"


@dataclass(frozen=True, slots=True)
class TripCurve:
    """The curve of one verdict; times on the centre's clock."""

    trip: TripView
    t0: datetime
    curve: Curve

    @property
    def commanded_at(self) -> datetime | None:
        """When the hold left the guard."""
        trip = self.trip
        if trip.outcome not in rules.COMMANDED or trip.latency_ms is None:
            return None
        return trip.at + timedelta(milliseconds=trip.latency_ms)

    @property
    def stopped_at(self) -> datetime | None:
        """When velocity 0 was seen."""
        if self.trip.outcome != "held" or self.commanded_at is None or self.trip.stop_ms is None:
            return None
        return self.commanded_at + timedelta(milliseconds=self.trip.stop_ms)


@dataclass(frozen=True, slots=True)
class CommandView:
    """What was asked of the machine's agent last; `said` is the answer, or that none came."""

    asked_at: datetime
    done: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class GuardState:
    """`awaits_rearming`: a hold was sent and nobody has let the guard act again."""

    trips: int
    last: TripView | None
    last_rearmed: datetime | None
    awaits_rearming: bool
    command: CommandView | None


async def on_trips(uow: UnitOfWork, facts: Sequence[Fact[GuardTripped]]) -> None:
    rows = []
    for fact in facts:
        told = msgspec.structs.asdict(fact.body)
        curve = Curve(**{name: told.pop(name) for name in ("dt", "v", "low", "high")})
        told["limit_value"] = told.pop("limit")
        told["t0"] = fact.corrected(fact.body.t0)
        rows.append({"fact_id": fact.id, "at": fact.at, "curve": curve.pack()} | told)
    await insert_new(uow.session, GuardTrip, rows)
    await judge(uow, {fact.body.machine for fact in facts})


async def on_rearmed(uow: UnitOfWork, facts: Sequence[Fact[GuardRearmed]]) -> None:
    rows = [{"fact_id": f.id, "machine": f.body.machine, "at": f.at, "person": f.body.person} for f in facts]
    await insert_new(uow.session, GuardRearm, rows)
    await judge(uow, {fact.body.machine for fact in facts})


async def on_answers(uow: UnitOfWork, facts: Sequence[Fact[AgentAnswered]]) -> None:
    """The answer to a command that somebody gave on a page."""
    for fact in facts:
        machine = await uow.session.scalar(
            update(MachineCommand)
            .where(MachineCommand.id == fact.body.id)
            .values(answered_at=fact.at, done=fact.body.done, detail=fact.body.detail)
            .returning(MachineCommand.machine)
        )
        if machine is not None:
            uow.tell(f"machine:{machine}")


async def judge(uow: UnitOfWork, codes: Collection[str]) -> None:
    """Let the alert of each machine's guard follow its verdicts: one alert a machine, at the gravest level."""
    for code in codes:
        found = await _calling(uow, code)
        await alerts.follow(uow, KEY + code, None if found is None else await _cause(uow, code, found))
        uow.tell(f"machine:{code}")


async def judge_standing(uow: UnitOfWork) -> None:
    """Verdicts that asked nothing of a person fall silent by themselves."""
    await judge(uow, [key.removeprefix(KEY) for key in await alerts.open_keys(uow, KEY)])


async def rearm(uow: UnitOfWork, code: str, *, by: str) -> str:
    """A person lets the machine's guard act again: a command to its agent. Returns the command's id.

    Armed it is when the agent says so (``machine.guard_rearmed``). Raises LookupError, NobodyThereError.
    """
    tile = await uow.session.get(MachineTile, code)
    if tile is None:
        raise LookupError(f"Machine inconnue : {code}")
    if tile.agent is None:
        raise NobodyThereError("Aucun agent n'a encore parlé pour cette machine : la commande n'arriverait à personne.")
    command = RearmGuard(id=uuid.uuid4().hex, expires=uow.now + _COMMAND_LIFE, machine=code, person=by)
    row = {"id": command.id, "machine": code, "agent": tile.agent, "name": REARM, "person": by}
    await insert_new(uow.session, MachineCommand, [row | {"asked_at": uow.now, "expires_at": command.expires}])
    await audit.record(
        uow, who=by, what="machines.guard_rearm", subject=f"machine:{code}", command=command.id, agent=tile.agent
    )
    uow.publish(topics.command(uow.settings.site, tile.agent, REARM), msgspec.json.encode(command))
    uow.tell(f"machine:{code}")
    return command.id


async def state(uow: UnitOfWork, code: str) -> GuardState:
    trip = GuardTrip
    count = await uow.session.scalar(select(func.count()).where(trip.machine == code)) or 0
    newest = await trips(uow, code, limit=1)
    found, rearmed = await _verdicts(uow, code)
    command = await uow.session.scalar(
        select(MachineCommand)
        .where(MachineCommand.machine == code, MachineCommand.name == REARM)
        .order_by(MachineCommand.asked_at.desc())
        .limit(1)
    )
    return GuardState(
        trips=count,
        last=newest[0] if newest else None,
        last_rearmed=max(rearmed, default=None),
        awaits_rearming=rules.unanswered(found, rearmed) is not None,
        command=None if command is None else _command(command, uow.now),
    )


async def trips(uow: UnitOfWork, code: str, *, limit: int = 100) -> list[TripView]:
    """Newest first."""
    row = GuardTrip
    query = select(row).where(row.machine == code).order_by(row.at.desc(), row.fact_id.desc()).limit(limit)
    return [_view(one) for one in await uow.session.scalars(query)]


async def trip_curve(uow: UnitOfWork, code: str, trip_id: int) -> TripCurve | None:
    row = await uow.session.get(GuardTrip, trip_id)
    if row is None or row.machine != code:
        return None
    return TripCurve(_view(row), row.t0, Curve.unpack(row.curve))


async def _calling(uow: UnitOfWork, code: str) -> Calling | None:
    return rules.calling(*await _verdicts(uow, code), uow.now)


async def _verdicts(uow: UnitOfWork, code: str) -> tuple[list[Trip], list[datetime]]:
    """The verdicts that may still call, and the last rearming."""
    row, rearmed = GuardTrip, GuardRearm
    last = await uow.session.scalar(select(func.max(rearmed.at)).where(rearmed.machine == code))
    query = select(
        row.at, row.fact_id, row.level, row.outcome, row.signal, row.value, row.limit_value, row.unit, row.why
    )
    query = query.where(
        row.machine == code,
        (row.at > uow.now - _LOOKED_BACK) | ((row.level == "hold") & row.outcome.in_(rules.COMMANDED)),
    )
    if last is not None:
        query = query.where(row.at > last)
    found = [
        Trip(at, fact, level, outcome, f"{signal(name)} à {amount(value, unit)}, limite {amount(limit, unit)}. {why}")
        for at, fact, level, outcome, name, value, limit, unit, why in await uow.session.execute(query)
    ]
    return found, [] if last is None else [last]


async def _cause(uow: UnitOfWork, code: str, found: Calling) -> Cause:
    label = await uow.session.scalar(select(Machine.label).where(Machine.code == code)) or code
    worst = found.worst
    words = {"hold": "risque de collision", "alert": "alerte de la garde", "watch": "la garde surveille"}
    detail = f"{worst.why[:1].upper()}{worst.why[1:].strip()} {rules.OUTCOME_LABELS[worst.outcome].capitalize()}."
    if found.awaits_rearming:
        detail += " La garde attend d'être réarmée."
    title = f"{label} : {words[worst.level]}" + (" (mode ombre)" if worst.outcome == "shadow" else "")
    return Cause(found.level, title, detail, f"machine:{code}", found.first, worst.at, found.trips)


def _view(row: GuardTrip) -> TripView:
    return TripView(
        id=row.fact_id,
        machine=row.machine,
        at=row.at,
        level=row.level,
        signal=row.signal,
        unit=row.unit,
        value=row.value,
        limit=row.limit_value,
        why=row.why,
        outcome=row.outcome,
        programme=row.programme,
        tool=row.tool,
        sample_age_ms=row.sample_age_ms,
        latency_ms=row.latency_ms,
        stop_ms=row.stop_ms,
        feed=row.feed,
        travel_mm=row.travel_mm,
    )


def _command(row: MachineCommand, now: datetime) -> CommandView:
    if row.done is None:
        late = now > row.expires_at
        said = "Aucune réponse de l'agent : rien n'est sûr." if late else "Envoyé, la réponse arrive."
        return CommandView(row.asked_at, False if late else None, said)
    return CommandView(row.asked_at, row.done, row.detail or ("Fait." if row.done else "Refusé."))
