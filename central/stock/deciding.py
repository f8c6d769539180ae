"""What persons decide: one tap on a question, « Pas ça », the one tap after a restocking; and what follows of it.

A decision about what a camera said is a label, moves its trust, and is told to the camera when it contradicts it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Literal

from sqlalchemy import select

from central.audit import service as audit
from central.core.uow import UnitOfWork
from central.items.models import Item, Place
from central.items.service import NotFound, require_place
from central.racks import service as racks
from central.racks.crops import keep_longer
from central.stock.intake import saying_row
from central.stock.labels import label
from central.stock.ledger import Saying, record, rematch
from central.stock.models import Level, Observation, Proposal, Sight
from central.stock.rack_reads import differences
from central.stock.reads import DECIDED, UNDO_FOR
from central.stock.rules.counting import ecart_key
from central.stock.rules.sayings import contest_key, doubt_key
from central.stock.transfers import twin_of

State = Literal["confirmed", "corrected", "refused"]


class NotAllowed(ValueError):
    """The decision comes too late, or was already taken. The message is French, for the person who asked."""


async def confirm(uow: UnitOfWork, proposal: int, by: str) -> None:
    """It is as proposed: it was taken, it is one event, the difference is real, the guess is right."""
    await _decide_whole(uow, proposal, "confirmed", by)


async def correct(uow: UnitOfWork, proposal: int, qty: int, by: str) -> None:
    """The true quantity in thousandths: signed movement for a doubt or an ask, level for an écart or a reading."""
    await _decide(uow, proposal, "corrected", by, qty)


async def refuse(uow: UnitOfWork, proposal: int, by: str) -> None:
    """Nothing was taken; they are two events; the count was wrong; the camera reads wrongly."""
    await _decide_whole(uow, proposal, "refused", by)


async def _decide_whole(uow: UnitOfWork, number: int, state: State, by: str) -> None:
    """Both halves of a transfer are one question."""
    await _decide(uow, number, state, by, None)
    half = await _other_half(uow, await _proposal(uow, number))
    if half is not None and half.state == "open":
        await _decide(uow, half.id, state, by, None)


async def _other_half(uow: UnitOfWork, proposal: Proposal) -> Proposal | None:
    """The doubt about what came to the other place, or left it."""
    obs = await uow.session.get(Observation, proposal.observation_id)
    if proposal.kind != "doubt" or obs is None:
        return None
    twin = await twin_of(uow, obs)
    if twin is None:
        return None
    by_key = select(Proposal).where(Proposal.key == doubt_key(twin)).execution_options(populate_existing=True)
    return await uow.session.scalar(by_key)


async def _decide(uow: UnitOfWork, number: int, state: State, by: str, qty: int | None) -> None:
    proposal = await _proposal(uow, number)
    if proposal.state != "open":
        raise NotAllowed("déjà décidé, ou réglé par ce qui est arrivé depuis")
    if state == "corrected" and proposal.kind == "pairing":
        raise NotAllowed("une question « même prise ? » se répond par oui ou non")
    if state == "corrected" and proposal.kind in {"ecart", "read", "former"} and (qty or 0) < 0:
        raise NotAllowed("un comptage ne peut être négatif")
    if state == "confirmed" and proposal.kind == "ask" and not proposal.qty:
        raise NotAllowed("la caméra n'a pas d'idée : répondre par une quantité (0 si rien n'a bougé)")
    proposal.state, proposal.decided_by, proposal.decided_at = state, by, uow.now
    proposal.decided_qty = proposal.qty if qty is None else qty
    if proposal.kind == "ask" and state == "refused":
        proposal.decided_qty = 0
    await uow.session.flush()
    if proposal.kind == "former":
        await _count_former(uow, proposal, qty, by)
    else:
        await rematch(uow, {proposal.item_id: [proposal.at]})
    await _learn(uow, proposal)
    uow.tell("proposals", id=number, state=state)


async def _count_former(uow: UnitOfWork, proposal: Proposal, qty: int | None, by: str) -> None:
    """The answer is a count: none is left there, so many, or (refused) all that is booked."""
    if qty is None:
        level = await uow.session.get(Level, (proposal.item_id, proposal.place_id), populate_existing=True)
        qty = max(level.qty, 0) if level is not None and proposal.state == "refused" else 0
    item = await uow.session.get_one(Item, proposal.item_id)
    at = max(uow.now, proposal.at + timedelta(microseconds=1))
    row = saying_row(uow, _former_count(proposal), item, "manual", qty, at)
    row |= {"nature": "count", "place_id": proposal.place_id, "person": by}
    await record(uow, [Saying(row)])
    await _judge(uow, _former_count(proposal), "corrected", by)


def _former_count(proposal: Proposal) -> str:
    """Of each answer another: what is booked there later is asked again."""
    return f"{proposal.key}:{proposal.undone}:{proposal.decided_at}"


async def _judge(uow: UnitOfWork, counted: str, state: State, by: str) -> None:
    """Of the count that answered: its difference is accepted, or it never was. No answer of its own in the list."""
    count = (await uow.session.scalars(select(Observation).where(Observation.key == counted))).one()
    key = ecart_key(count.id)
    by_key = select(Proposal).where(Proposal.key == key).execution_options(populate_existing=True)
    ecart = await uow.session.scalar(by_key)
    if ecart is None:
        ecart = Proposal(
            key=key, kind="ecart", item_id=count.item_id, place_id=count.place_id, at=count.at, qty=0,
            observation_id=count.id, created_at=uow.now, undone=0,
        )  # fmt: skip
        uow.session.add(ecart)
    ecart.state, ecart.decided_by, ecart.decided_qty = state, by, count.qty
    await uow.session.flush()
    await rematch(uow, {count.item_id: [count.at]})


async def undo(uow: UnitOfWork, proposal: int, by: str) -> None:
    """Take a decision back within 10 minutes: the question is open again."""
    known = await _proposal(uow, proposal)
    half = await _other_half(uow, known)
    decided = (known.state, known.decided_by, known.decided_at)
    await _undo(uow, known, by)
    if half is not None and (half.state, half.decided_by, half.decided_at) == decided:
        await _undo(uow, half, by)


async def _undo(uow: UnitOfWork, known: Proposal, by: str) -> None:
    if known.state not in DECIDED or known.decided_at is None:
        raise NotAllowed("rien à annuler")
    if uow.now - known.decided_at > UNDO_FOR:
        raise NotAllowed("trop tard : une décision s'annule pendant 10 minutes")
    counted, put = _former_count(known), _put(known)
    seen = None if known.kind == "former" else await _sight(uow, known)
    told = seen is not None and _contradicts(known, seen[0], contested=await _contested(uow, known))
    known.state, known.decided_by, known.decided_at, known.decided_qty = "settled", by, None, None
    known.undone += 1
    await uow.session.flush()
    if known.kind == "former":
        await _judge(uow, counted, "refused", by)
    if known.kind == "read":
        await _take_back(uow, known, put, by)
    await rematch(uow, {known.item_id: [known.at]})
    await racks.withdraw(uow, [known.key], by)
    await uow.session.refresh(known)
    denied = seen is not None and known.state == "open" and await _contested(uow, known)
    if seen is not None and denied:
        await label(uow, known, *seen, right=False, truth=None, by=by)
    if told:
        await _tell(uow, known, by, without=known.qty if denied else 0)
    uow.tell("proposals", id=known.id, state="open")


async def contest(uow: UnitOfWork, observation: int, by: str) -> int:
    """« Pas ça »: an automatic movement of the last ten minutes is a doubt from now on; of a doubt it is written down.
    The question's number.

    The ledger is compensated, the camera told, its class in this rack is a proposal again. Of a transfer both halves
    are meant. What raises must roll back.
    """
    question = await _deny(uow, observation, by)
    obs = await uow.session.get_one(Observation, observation)
    twin = await twin_of(uow, obs)
    if (
        twin is not None
        and await uow.session.scalar(select(Proposal.id).where(Proposal.key == contest_key(twin))) is None
    ):
        await _deny(uow, twin, by)
    return question


async def _deny(uow: UnitOfWork, observation: int, by: str) -> int:
    obs = await uow.session.get(Observation, observation)
    if obs is None:
        raise NotFound(f"observation {observation} inconnue")
    if obs.source != "camera" or obs.nature != "move":
        raise NotAllowed("ce n'est pas un mouvement de la caméra : répondre à la question")
    if not obs.review and uow.now - obs.recorded_at > UNDO_FOR:
        raise NotAllowed("trop tard : « Pas ça » se dit pendant 10 minutes")
    key = contest_key(obs.id)
    if await uow.session.scalar(select(Proposal.id).where(Proposal.key == key)) is not None:
        raise NotAllowed("déjà dit : la question est dans la liste à vérifier")
    uow.session.add(
        Proposal(
            key=key, kind="contest", state="contested", item_id=obs.item_id, place_id=obs.place_id, at=obs.at,
            qty=obs.qty, observation_id=obs.id, created_at=uow.now, decided_by=by, decided_at=uow.now, undone=0,
        )
    )  # fmt: skip
    await uow.session.flush()
    await rematch(uow, {obs.item_id: [obs.at]})
    question = await uow.session.scalar(
        select(Proposal).where(Proposal.key == doubt_key(obs.id)).execution_options(populate_existing=True)
    )
    if question is None or question.state != "open":
        if obs.review and question is not None and question.state in DECIDED:
            raise NotAllowed("déjà décidé, ou réglé par ce qui est arrivé depuis")
        raise NotAllowed("une autre source dit la même prise : corriger le stock par un comptage")
    await audit.record(uow, who=by, what="stock.contest", subject=f"observation:{obs.id}", qty=obs.qty)
    seen = await _sight(uow, question)
    if seen is not None:
        if seen[1] is not None and seen[1].crops:
            await keep_longer(uow, seen[1].crops)
        await label(uow, question, *seen, right=False, truth=None, by=by)
    await _tell(uow, question, by, without=question.qty)
    uow.tell("proposals", id=question.id, state="open")
    return question.id


async def accept_differences(uow: UnitOfWork, rack: str, by: str, proposals: Collection[int] | None = None) -> int:
    """One tap: what the camera sees is right, for all open differences of the rack or those given; how many.

    One that is a receipt booked elsewhere is put here from there; the others are counts.
    """
    done = 0
    for line in await differences(uow, rack):
        if proposals is not None and line.proposal not in proposals:
            continue
        proposal = await _proposal(uow, line.proposal)
        if proposal.state != "open":
            continue
        if line.receipt is None:
            await confirm(uow, line.proposal, by)
        else:
            await _put_away(uow, proposal, line.receipt.place, by)
        done += 1
    await audit.record(uow, who=by, what="stock.accept_differences", subject=f"rack:{rack}", accepted=done)
    return done


async def _put_away(uow: UnitOfWork, proposal: Proposal, receipt: str, by: str) -> None:
    """What was received there lies here since the reading, which is right: two movements that add up to nothing."""
    proposal.state, proposal.decided_by, proposal.decided_at = "confirmed", by, uow.now
    proposal.decided_qty = proposal.qty
    await uow.session.flush()
    item = await uow.session.get_one(Item, proposal.item_id)
    there = (await require_place(uow, receipt)).id
    sayings = []
    for place, qty in ((there, -proposal.qty), (proposal.place_id, proposal.qty)):
        row = saying_row(uow, f"{_put(proposal)}{place}", item, "manual", qty, proposal.at)
        sayings.append(Saying(row | {"nature": "receipt", "place_id": place, "person": by}))
    await record(uow, sayings)
    await _learn(uow, proposal)
    uow.tell("proposals", id=proposal.id, state=proposal.state)


async def _take_back(uow: UnitOfWork, proposal: Proposal, put: str, by: str) -> None:
    """What this answer put away goes back to where it was received."""
    item = await uow.session.get_one(Item, proposal.item_id)
    moved = await uow.session.scalars(
        select(Observation).where(
            Observation.item_id == proposal.item_id,
            Observation.at == proposal.at,
            Observation.key.startswith(put, autoescape=True),
        )
    )
    sayings = []
    for o in moved:
        row = saying_row(uow, f"back:{o.key}", item, "manual", -o.qty, o.at)
        sayings.append(Saying(row | {"nature": "receipt", "place_id": o.place_id, "person": by}))
    await record(uow, sayings)


def _put(proposal: Proposal) -> str:
    return f"put:{proposal.observation_id}:{proposal.undone}:"


async def _learn(uow: UnitOfWork, proposal: Proposal) -> None:
    """The label of a decision, and what the camera must be told."""
    seen = await _sight(uow, proposal)
    if seen is None or proposal.kind not in {"doubt", "ask", "read", "ecart"}:
        return
    obs, _ = seen
    by = proposal.decided_by or "?"
    if proposal.kind != "ecart":
        said = obs.qty
        truth = proposal.decided_qty
        if proposal.kind == "read":
            truth = said if proposal.state == "confirmed" else truth if proposal.state == "corrected" else None
        elif proposal.state == "refused":
            truth = 0
        right = proposal.state == "confirmed" or (proposal.state == "corrected" and truth == said)
        await label(uow, proposal, *seen, right=right, truth=truth, by=by)
    if _contradicts(proposal, obs, contested=await _contested(uow, proposal)):
        await _tell(uow, proposal, by)


def _contradicts(proposal: Proposal, obs: Observation, *, contested: bool) -> bool:
    """Whether the camera goes by another number than this decision leaves."""
    if proposal.kind == "ask" or contested:
        return True
    return proposal.state == "refused" or (proposal.state == "corrected" and proposal.decided_qty != obs.qty)


async def _contested(uow: UnitOfWork, proposal: Proposal) -> bool:
    if proposal.kind != "doubt":
        return False
    key = contest_key(proposal.observation_id)
    return await uow.session.scalar(select(Proposal.id).where(Proposal.key == key)) is not None


async def _tell(uow: UnitOfWork, proposal: Proposal, by: str, without: int = 0) -> None:
    """What should lie there now, open doubts taken as true but `without`: the camera goes on from that."""
    place = await uow.session.get(Place, proposal.place_id)
    if place is None:
        return
    level = await uow.session.get(Level, (proposal.item_id, proposal.place_id), populate_existing=True)
    qty = level.qty + level.pending - without if level is not None else 0
    slot = (await racks.taught(uow, [place.code])).get(place.code)
    pieces = max(qty // 1000, 0)
    if slot is not None and slot.kind == "presence":
        pieces = min(pieces, 1)
    await racks.tell_count(uow, place.code, pieces, by=by)


async def _sight(uow: UnitOfWork, proposal: Proposal) -> tuple[Observation, Sight | None] | None:
    """The camera's saying behind a question; None when it was not a camera."""
    obs = await uow.session.get(Observation, proposal.observation_id)
    if obs is None or obs.source != "camera" or not obs.place_id:
        return None
    return obs, await uow.session.get(Sight, obs.id)


async def _proposal(uow: UnitOfWork, number: int) -> Proposal:
    proposal = await uow.session.get(Proposal, number, populate_existing=True)
    if proposal is None:
        raise NotFound(f"proposition {number} inconnue")
    return proposal
