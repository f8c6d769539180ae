"""The inbox's HTTP door, for terminals: the same facts, the same ack, after the same commit."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Request
from pydantic import BaseModel

from central.core.access import devices, identity_of, public
from central.inbox.service import DatabaseAway, Inbox
from contracts.envelope import MAX_MESSAGE_BYTES, NAME_PATTERN, Stream, decode

router = APIRouter(prefix="/api", tags=["facts"])

_UNKNOWN_TERMINAL = "poste-inconnu"


class AckOut(BaseModel):
    boot: str
    stream: Stream
    upto: int


class FactsReceipt(BaseModel):
    """Everything ≤ `upto` is on disk here. `now` is the centre's clock, for the terminal's offset."""

    acks: list[AckOut]
    quarantined: int
    now: datetime


class TimeOut(BaseModel):
    now: datetime


def _inbox(request: Request) -> Inbox:
    inbox: Inbox = request.app.state.inbox
    return inbox


@router.post("/facts", dependencies=[devices(only="terminal")])
async def post_facts(request: Request) -> FactsReceipt:
    """A pack of a terminal's outbox (JSON array of envelopes, or one). Answers after the commit."""
    payload = await _bounded_body(request)
    inbox = _inbox(request)
    agent = _agent_of(payload)
    _check_is(request, agent)
    if inbox.speaks_mqtt(agent):
        raise HTTPException(403, f"« {agent} » est le nom d'un agent ; un poste doit avoir son propre nom.")
    try:
        receipt = await inbox.deliver(agent, payload)
    except DatabaseAway:
        raise HTTPException(
            503, "La base de données ne répond pas : rien n'est perdu, le poste garde ses faits et les renverra."
        ) from None
    return FactsReceipt(
        acks=[AckOut(boot=boot, stream=stream, upto=upto) for boot, stream, upto in receipt.streams],
        quarantined=receipt.quarantined,
        now=inbox.now(),
    )


@router.get("/facts/{agent}/{boot}", dependencies=[devices(only="terminal")])
async def read_acks(request: Request, agent: Annotated[str, Path(pattern=NAME_PATTERN)], boot: str) -> FactsReceipt:
    """How far a terminal's streams are settled: what it must send again begins at `upto` + 1."""
    inbox = _inbox(request)
    _check_is(request, agent)
    return FactsReceipt(
        acks=[AckOut(boot=boot, stream=s, upto=upto) for s, upto in (await inbox.acks(agent, boot)).items()],
        quarantined=0,
        now=inbox.now(),
    )


@router.get("/time", dependencies=[public("the centre's clock: terminals and probes ask it before they are known")])
async def read_time(request: Request) -> TimeOut:
    """The centre's clock; the terminal takes half the round trip as the one-way delay."""
    return TimeOut(now=_inbox(request).now())


def _check_is(request: Request, agent: str) -> None:
    """An enrolled terminal speaks in its own name; what it holds stays with it until it does."""
    identity = identity_of(request)
    if identity is not None and identity.device is not None and identity.device != agent:
        raise HTTPException(403, f"Ce poste est inscrit sous le nom « {identity.device} », pas « {agent} ».")


async def _bounded_body(request: Request) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_MESSAGE_BYTES:
            raise HTTPException(
                413,
                f"Envoi trop gros : au plus {MAX_MESSAGE_BYTES // 1024} Kio à la fois ; envoyer en plusieurs paquets.",
            )
        pieces.append(piece)
    return b"".join(pieces)


def _agent_of(payload: bytes) -> str:
    """The terminal's own name, as its first legible envelope says it; the others must say the same."""
    pack = decode(payload)
    if pack.envelopes:
        return pack.envelopes[0].agent
    return next((p.identity.agent for p in pack.illegible if p.identity is not None), _UNKNOWN_TERMINAL)
