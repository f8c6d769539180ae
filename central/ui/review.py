"""*À vérifier*: every question that waits for a person, with its pictures; one tap answers, ten minutes take back."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from central.core.access import acting, need
from central.core.types import RowId
from central.core.uow import UnitOfWork
from central.people import service as people
from central.stock import service as stock
from central.stock.schemas import ProposalView
from central.ui import rack_words as said
from central.ui.routing import PageRoute, refusal
from central.ui.shell import full_page
from central.ui.templating import render, units_of
from central.work import service as work

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("stock", "lire")])

LEVEL_KINDS: Final = frozenset({"read", "ecart", "former"})
"""Questions whose number is what lies there, not what was moved."""
Way = Literal["take", "return", "level"]


@router.get("/a-verifier")
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "a_verifier.html", "À vérifier", **await _review(uow))


@router.get("/parts/revue")
async def part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/review.html", **await _review(uow))


async def _review(uow: UnitOfWork) -> dict[str, Any]:
    found = await stock.proposals(uow)
    decided = [p for p in found if p.state != "open" and p.decided_at is not None]
    to_charge = await work.to_charge(uow)
    return {
        "open": [p for p in found if p.state == "open"],
        "in_all": await stock.count_open(uow),
        "decided": sorted(decided, key=lambda p: p.decided_at or uow.now, reverse=True),
        "to_charge": to_charge,
        "operations": [o for o in await work.operations(uow) if o.status != "done"] if to_charge else [],
        "to_count": await stock.to_count(uow),
        "names": await people.names(uow, {one.person for one in to_charge if one.person}),
        "why": why,
        "counts": counts,
        "level_kinds": LEVEL_KINDS,
        "said": said,
    }


def why(proposal: ProposalView) -> str:
    """What stands behind the question, in French; the judge's own words stay in the evidence."""
    sentences = ["Sur place, quelqu’un a dit « Pas ça »."] if proposal.contested else []
    camera = next((s for s in proposal.sources if s.source == "camera"), None)
    if camera is not None and proposal.blank:
        sentences.append(
            f"La caméra est {said.sure(camera.confidence)} ; ce rayonnage est encore à blanc pour cette classe."
        )
    elif camera is not None and proposal.kind == "doubt":
        sentences.append(f"La caméra est {said.sure(camera.confidence)}.")
    if camera is not None and camera.during_absence:
        sentences.append("Trouvé après une absence de la caméra.")
    return " ".join(sentences)


def counts(proposal: ProposalView) -> tuple[int | None, int | None]:
    """What the camera says lay there before and after, thousandths; None where it says none."""
    before = proposal.count_before
    if proposal.kind in LEVEL_KINDS:
        return before, proposal.seen
    return before, before + proposal.qty if before is not None and proposal.qty else None


@router.post("/revue/{proposal}/{act}", dependencies=[need("stock", "valider")])
async def decide(
    request: Request,
    proposal: RowId,
    act: Literal["confirmer", "refuser", "corriger", "annuler"],
    quantity: Annotated[str, Form(max_length=40)] = "",
    way: Annotated[Way, Form()] = "take",
) -> Response:
    """One tap. What cannot be done any more (answered by somebody else, ten minutes over) is refused in a sentence."""
    units = units_of(request)
    try:
        async with units.begin() as uow:
            if act == "confirmer":
                await stock.confirm(uow, proposal, acting(request))
            elif act == "refuser":
                await stock.refuse(uow, proposal, acting(request))
            elif act == "corriger":
                await stock.correct(uow, proposal, signed(quantity, way), acting(request))
            else:
                await stock.undo(uow, proposal, acting(request))
    except (LookupError, ValueError) as error:
        return refusal(sentence(error))
    async with units.reading() as uow:
        return render(request, "parts/review.html", **await _review(uow))


@router.post("/a-imputer/{observation}/imputer", dependencies=[need("stock", "valider")])
async def charge(
    request: Request, observation: RowId, operation: Annotated[str, Form(max_length=120)] = ""
) -> Response:
    """For which operation it was taken; empty: for none."""
    units = units_of(request)
    try:
        async with units.begin() as uow:
            await work.charge_to(uow, observation, operation or None, acting(request))
    except (LookupError, ValueError) as error:
        return refusal(sentence(error))
    async with units.reading() as uow:
        return render(request, "parts/review.html", **await _review(uow))


def sentence(error: Exception) -> str:
    """What a service says, as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def signed(quantity: str, way: Way) -> int:
    """Thousandths: what was taken is negative unless the person typed the sign. Raises ValueError in French."""
    value = milli(quantity)
    return -value if way == "take" and not quantity.strip().startswith(("+", "-", "−")) else value


def milli(text: str) -> int:
    """What a person typed, ``−1`` or ``1 250,5``, in thousandths. Raises ValueError with the sentence to show."""
    plain = "".join(text.split()).replace("−", "-").replace(",", ".").lstrip("+")
    sign, digits = (-1, plain[1:]) if plain.startswith("-") else (1, plain)
    whole, _, decimals = digits.partition(".")
    if not whole.isdecimal() or (decimals and not decimals.isdecimal()) or len(decimals) > 3 or len(whole) > 9:
        raise ValueError(f"« {text} » n’est pas une quantité : écrivez par exemple −1 ou 12,5.")
    return sign * int(whole + decimals.ljust(3, "0"))
