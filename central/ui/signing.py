"""*Signatures*: finished operations of marked orders, what waits for a signature, what changed since, and signing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import Response

from central.core.access import Identity, need, who
from central.core.uow import UnitOfWork
from central.people import accounts, passkeys
from central.people import service as people
from central.people.confirming import Proof, confirm
from central.people.errors import RefusedError
from central.people.passwords import LONGEST
from central.people.signing_in import NotSignedIn
from central.signing import service as signing
from central.signing.rules import MEANINGS, Meaning
from central.signing.service import Sheet
from central.ui import words
from central.ui.cookies import door_of, person_gate
from central.ui.formats import moment
from central.ui.passkeys import party_of
from central.ui.routing import PageRoute, refusal
from central.ui.shell import full_page
from central.ui.sign_in import not_signed_in
from central.ui.templating import render, units_of
from central.work.reach import reach_of

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_READS: Final = need("atelier", "lire", own=True)
_EXECUTES: Final = need("atelier", "creer", own=True)
_VALIDATES: Final = need("atelier", "valider")
Secret = Annotated[str, Form(max_length=2 * LONGEST)]
Code = Annotated[str, Form(max_length=40)]
Key = Annotated[str, Form(max_length=20_000)]
Seen = Annotated[str, Form(min_length=64, max_length=64)]


@router.get("/signatures", dependencies=[_READS])
async def page(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return await full_page(request, uow, "signatures.html", "Signatures", **await _lists(request, uow))


@router.get("/parts/signatures", dependencies=[_READS])
async def part(request: Request) -> Response:
    async with units_of(request).reading() as uow:
        return render(request, "parts/signatures.html", **await _lists(request, uow))


@router.get("/signatures/{operation:path}", dependencies=[_READS])
async def sheet_page(request: Request, operation: str, sens: Annotated[str, Query(max_length=12)] = "") -> Response:
    async with units_of(request).reading() as uow:
        shown = await _shown(request, uow, operation, sens)
        return await full_page(request, uow, "signature.html", "Signatures", **shown)


@router.post("/signatures/cle/executer", dependencies=[_READS, _EXECUTES])
async def ask_executor(request: Request) -> Response:
    """What the browser needs to use a passkey."""
    return await _challenge(request)


@router.post("/signatures/cle/valider", dependencies=[_READS, _VALIDATES])
async def ask_validator(request: Request) -> Response:
    """The same, for who validates."""
    return await _challenge(request)


@router.post("/signatures/executer/{operation:path}", dependencies=[_READS, _EXECUTES])
async def sign_executed(
    request: Request, operation: str, seen: Seen, password: Secret = "", code: Code = "", key: Key = ""
) -> Response:
    """« Exécuté », by who worked on it."""
    return await _sign(request, operation, "executed", seen, Proof(password, code, key))


@router.post("/signatures/valider/{operation:path}", dependencies=[_READS, _VALIDATES])
async def sign_valid(
    request: Request,
    operation: str,
    meaning: Annotated[str, Form(max_length=12)],
    seen: Seen,
    password: Secret = "",
    code: Code = "",
    key: Key = "",
) -> Response:
    """« Contrôlé conforme » or « Libéré »."""
    if meaning not in {"conform", "released"}:
        raise HTTPException(422, "Choisissez ce que dit votre signature.")
    return await _sign(request, operation, cast("Meaning", meaning), seen, Proof(password, code, key))


async def _sign(request: Request, operation: str, meaning: Meaning, seen: str, proof: Proof) -> Response:
    """Refused before the password is looked at where it can be; the books are looked at again when it was right."""
    identity = await _signer(request)
    person, session = identity.person or "", identity.session or ""
    units, caller = units_of(request), person_gate(request).caller(request)
    try:
        async with units.reading() as uow:
            signing.check(await _sheet(request, uow, operation, meaning), person, meaning, seen)
        proved = await confirm(door_of(request), person, session, proof, party_of(request), caller)
        async with units.begin() as uow:
            await _sheet(request, uow, operation, meaning)
            await signing.sign(uow, operation, person=person, meaning=meaning, seen=seen, proof=proved)
    except NotSignedIn as refused:
        return await not_signed_in(request, refused, caller.address)
    except RefusedError as refused:
        return render(request, "parts/refus.html", refused=str(refused))
    async with units.reading() as uow:
        shown = await _shown(request, uow, operation, "") | {"message": f"Signé : « {MEANINGS[meaning]} »."}
        answer = render(request, "parts/signature.html", **shown)
    answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "#signature", "outerHTML"
    return answer


async def _challenge(request: Request) -> Response:
    identity = await _signer(request)
    door = door_of(request)
    try:
        async with units_of(request).reading() as uow:
            challenge = door.challenges.ask(identity.session or "", uow.now)
            options = await passkeys.request_options(uow, identity.person or "", party_of(request), challenge)
    except RefusedError as error:
        return refusal(str(error))
    return Response(options, media_type="application/json")


async def _signer(request: Request) -> Identity:
    person_gate(request)
    identity = await who(request)
    if identity.person is None or identity.session is None:
        raise HTTPException(409, "On signe avec son propre compte : connectez-vous.")
    return identity


async def _sheet(request: Request, uow: UnitOfWork, operation: str, meaning: str = "") -> Sheet:
    """What the person reaches; raises HTTPException 404."""
    reach = await reach_of(uow, await who(request), "creer" if meaning == "executed" else "lire")
    try:
        found = await signing.sheet(uow, operation)
    except LookupError as error:
        raise HTTPException(404, str(error)) from error
    if not reach.has(found.code, found.machine):
        raise HTTPException(404, f"Rien à signer pour {operation} : opération inconnue, civile ou pas terminée.")
    return found


async def _shown(request: Request, uow: UnitOfWork, operation: str, wanted: str) -> dict[str, Any]:
    identity = await who(request)
    found = await _sheet(request, uow, operation)
    meanings = _meanings(identity, found) if identity.person and found.ended else []
    chosen = wanted if wanted in meanings else (meanings[0] if meanings else "")
    account = await accounts.account(uow, identity.person) if identity.person else None
    persons = {row["person"] for name in ("work", "declared") for row in found.facts[name] if row["person"]}
    names = await people.names(uow, persons | {s.person for s in found.signatures})
    return {
        "sheet": found, "meanings": {m: MEANINGS[m] for m in meanings}, "chosen": chosen, "account": account,
        "names": names, "message": "", "phase": words.phase, "time": _time(uow),
    }  # fmt: skip


def _time(uow: UnitOfWork) -> Callable[[str], str]:
    """A time of the facts, for a reader here."""
    return lambda text: moment(datetime.fromisoformat(text), uow.now, uow.settings.zone)


def _meanings(identity: Identity, found: Sheet) -> list[Meaning]:
    """What this person may say of it."""
    can: list[Meaning] = []
    if identity.may("atelier", "creer", own=True) and identity.person in found.workers:
        can.append("executed")
    if identity.may("atelier", "valider"):
        can += ["conform", "released"]
    mine = {s.meaning for s in found.signatures if s.agrees and s.person == identity.person}
    return [meaning for meaning in can if meaning not in mine]


async def _lists(request: Request, uow: UnitOfWork) -> dict[str, Any]:
    reach = await reach_of(uow, await who(request), "lire")
    waiting = [s for s in await signing.waiting(uow) if reach.has(s.code, s.machine)]
    signed = [s for s in await signing.signed(uow) if reach.has(s.code, s.machine)]
    persons = {one.person for s in signed for one in s.signatures}
    return {
        "unsigned": waiting,
        "changed": [s for s in signed if s.standing == "changed"],
        "signed": [s for s in signed if s.standing == "signed"],
        "names": await people.names(uow, persons),
        "most": signing.MOST,
    }
