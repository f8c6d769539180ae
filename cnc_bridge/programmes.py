"""Programme transfer: into a machine that stands still, read back, compared, and never left half written unsaid.

The procedure is the same for every driver; a driver only lists, reads and writes (`port.Driver`). What makes two texts
the same is `contracts.programmes`, shared with the centre.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from cnc_bridge.model import Value
from cnc_bridge.port import Driver, DriverFaultError, NotAllowedError
from contracts import programmes as texts
from contracts.programmes import BadNameError, NameRule

Current: TypeAlias = Callable[[], Mapping[str, Value]]
"""The machine's values that hold now (`follow.Following.current`); empty when it is silent."""
Result: TypeAlias = Literal["sent", "already", "unread", "refused", "restored", "broken"]

_FREE: Final = frozenset({"READY", "STOPPED", "PROGRAM_COMPLETED"})
"""No programme is under way. A feed hold or an optional stop is in the middle of one."""
_NAME_RULES: Final[dict[str, NameRule]] = {"focas": "o_number"}
_NO_PROGRAMME: Final = "no_programme"
_NO_START: Final = "no_start"
"""The operator did not press READ (nothing left) or PUNCH (nothing came)."""


class Outcome(msgspec.Struct, frozen=True):
    """What became of a sending. `message` is French, for the person who asked.

    ``sent``: written, read back, the same. ``already``: it was there, nothing was written. ``unread``: all of it left
    over an attended line, and nobody punched it back. ``refused``: nothing was written. ``restored``: it did not arrive
    whole, the text that was there before is back. ``broken``: what lies in the machine under this name is neither; it
    must not be run.
    """

    result: Result
    message: str
    read: bytes | None = None
    """What the machine holds now, as it gives it; None when that is not known."""

    @property
    def done(self) -> bool:
        return self.result in ("sent", "already")


class Former(msgspec.Struct, frozen=True):
    """The text that lay in the machine before anything was written; None: there was none."""

    text: bytes | None


async def _keep_nothing(_former: Former) -> None:
    """For callers that need no trace on disk."""


def attended(driver: Driver) -> bool:
    """Whether a person at the controller lets each programme in and out (READ and PUNCH of a serial DNC line).

    Such a line says nothing of the machine's state. The key is the permission: a control takes READ in EDIT only.
    """
    return getattr(driver.settings, "dialect", "") == "dnc"


def why_not_now(values: Mapping[str, Value], *, is_attended: bool = False) -> str | None:
    """Why nothing may be written into this machine now, in French; None when it stands still."""
    if is_attended and values.get("execution") is None:
        return None
    if not values:
        return "La machine est sans nouvelles : son état n'est pas connu. Vérifier sa liaison, puis recommencer."
    if values.get("availability") == "UNAVAILABLE":
        return "La machine est éteinte ou sa commande ne répond pas. L'allumer, puis recommencer."
    execution = values.get("execution")
    if execution is None:
        return "La machine ne dit pas si elle tourne : rien n'est envoyé sans le savoir."
    if execution == "ACTIVE":
        return "La machine tourne. Attendre la fin du programme, puis recommencer."
    if execution not in _FREE:
        return "Un programme est en cours sur la machine (suspendu). Le terminer ou l'abandonner, puis recommencer."
    return None


async def send(
    driver: Driver,
    current: Current,
    name: str,
    content: bytes,
    *,
    former: Former | None = None,
    keep: Callable[[Former], Awaitable[None]] = _keep_nothing,
) -> Outcome:
    """Put `content` into the machine under `name`, read it back, compare; bring the former text back if it differs.

    `former`: what lay there before a sending that was cut off, when that is known. `keep` is awaited with the former
    text just before the first byte is written: what it puts on disk allows `recover` after a power cut.
    """
    refusal = _refusal(driver, current, name, content)
    if refusal is not None:
        return Outcome("refused", refusal)
    if attended(driver):
        await keep(Former(None))
        return await _send_attended(driver, name, content)
    try:
        there = await _read(driver, name)
        if there is not None and await _same(there, content, name):
            return Outcome("already", f"« {name} » est déjà dans la machine, identique.", there)
        before = former or Former(there)
        if refusal := why_not_now(current()):
            return Outcome("refused", refusal, there)
        await keep(before)
    except (DriverFaultError, NotAllowedError) as error:
        return Outcome("refused", _with_advice(error))
    return await _write(driver, current, name, content, before)


async def recover(driver: Driver, current: Current, name: str, content: bytes, former: Former) -> Outcome | None:
    """After a sending that was cut off: the new text if it is whole, else the former one; None: not possible now.

    Where there was nothing before, the sending is finished: a driver cannot delete.
    """
    if attended(driver) or why_not_now(current()) is not None:
        return None
    try:
        there = await _read(driver, name)
    except (DriverFaultError, NotAllowedError):
        return None
    if there is not None and await _same(there, content, name):
        return Outcome("sent", f"« {name} » est dans la machine, relu identique (après une coupure).", there)
    if former.text is None:
        if there is None:
            return Outcome("restored", f"L'envoi de « {name} » a été coupé : rien n'est dans la machine.")
        return await _write(driver, current, name, content, former)
    if there is not None and await _same(there, former.text, name):
        return Outcome("restored", f"L'envoi de « {name} » a été coupé : l'ancien texte est intact.", there)
    if there is not None and not _is_cut(there, content, name):
        said = f"L'envoi de « {name} » a été coupé, et la machine tient un autre texte : il est laissé tel quel."
        return Outcome("broken", f"{said} Le relire à la commande avant de le lancer.", there)
    return await _restored(driver, current, name, former, f"L'envoi de « {name} » a été coupé.")


def _refusal(driver: Driver, current: Current, name: str, content: bytes) -> str | None:
    if "programme" not in driver.settings.allow:
        return "Non autorisé sur cette machine : ajouter « programme » à `allow` dans sa configuration."
    try:
        texts.check_name(name, _NAME_RULES.get(driver.settings.kind, "file"))
    except BadNameError as error:
        return str(error)
    if not content.strip():
        return "Le programme est vide : rien n'est envoyé."
    if len(content) > texts.MAX_BYTES:
        return f"Le programme fait {len(content) / 1e6:.0f} Mo : {texts.MAX_BYTES // 2**20} Mo au plus."
    return why_not_now(current(), is_attended=attended(driver))


async def _send_attended(driver: Driver, name: str, content: bytes) -> Outcome:
    """Once, since each way needs a person's key; what lay there before is not known and cannot be brought back."""
    danger = f"Ne pas lancer « {name} » avant de l'avoir relu à la commande."
    try:
        await driver.write_programme(name, content)
    except NotAllowedError as error:
        return Outcome("refused", error.message_fr)
    except DriverFaultError as error:
        if error.code in {_NO_START, _NO_PROGRAMME, "not_connected", "transfer_running", "unsendable"}:
            return Outcome("refused", error.message_fr)
        return Outcome("broken", f"{error.message_fr} {danger}")
    try:
        there = await _read(driver, name)
    except (DriverFaultError, NotAllowedError) as error:
        said = f"« {name} » est parti en entier, mais n'a pas été relu. {error.message_fr}"
        return Outcome("unread", said)
    if there is not None and await _same(there, content, name):
        return Outcome("sent", f"« {name} » est dans la machine, relu identique.", there)
    differs = await asyncio.to_thread(_how_it_differs, name, content, there)
    return Outcome("broken", f"{differs} {danger}", there)


async def _write(driver: Driver, current: Current, name: str, content: bytes, former: Former) -> Outcome:
    """Write and read back, twice at most: a noisy line may do better the second time."""
    said = ""
    for _ in range(2):
        if refusal := why_not_now(current()):
            said = refusal
            break
        try:
            await driver.write_programme(name, content)
            there = await _read(driver, name)
            if there is not None and await _same(there, content, name):
                return Outcome("sent", f"« {name} » est dans la machine, relu identique.", there)
            said = await asyncio.to_thread(_how_it_differs, name, content, there)
        except NotAllowedError as error:
            return Outcome("refused", _with_advice(error))
        except DriverFaultError as error:
            said = _with_advice(error)
    return await _restored(driver, current, name, former, said)


async def _restored(driver: Driver, current: Current, name: str, former: Former, said: str) -> Outcome:
    """Bring the former text back, unless it still lies there."""
    danger = f"Ne pas lancer « {name} » : le texte qui est dans la machine n'est pas complet."
    there: bytes | None = None
    try:
        there = await _read(driver, name)
        if _is_former(there, former) or (there and former.text and await _same(there, former.text, name)):
            return Outcome("restored", f"{said} L'ancien texte est intact.", there)
        if former.text is None:
            return Outcome("broken", f"{said} {danger}", there)
        if refusal := why_not_now(current()):
            return Outcome("broken", f"{said} {danger} {refusal}", there)
        await driver.write_programme(name, former.text)
        there = await _read(driver, name)
    except (DriverFaultError, NotAllowedError) as error:
        return Outcome("broken", f"{said} {danger} {_with_advice(error)}", None)
    if there is not None and await _same(there, former.text, name):
        return Outcome("restored", f"{said} L'ancien texte est remis, relu identique.", there)
    return Outcome("broken", f"{said} {danger}", there)


def _is_cut(there: bytes, content: bytes, name: str) -> bool:
    """Whether `there` is a beginning of `content`, as a sending that was cut leaves it: nobody's own text."""
    lines, whole = texts.normalised(there, name), texts.normalised(content, name)
    if not lines:
        return True
    *before, last = lines
    return (
        whole[: len(before)] == before and len(before) < len(whole) and whole[len(before)].startswith(last.rstrip("% "))
    )


def _is_former(there: bytes | None, former: Former) -> bool:
    return there is None and former.text is None


async def _read(driver: Driver, name: str) -> bytes | None:
    try:
        return await driver.read_programme(name)
    except DriverFaultError as error:
        if error.code == _NO_PROGRAMME:
            return None
        raise


async def _same(one: bytes, other: bytes, name: str) -> bool:
    """In a thread: megabytes take seconds, and the machine goes on being read."""
    return one == other or await asyncio.to_thread(texts.same, one, other, name)


def _how_it_differs(name: str, content: bytes, there: bytes | None) -> str:
    if there is None:
        return "Relecture impossible : la machine ne trouve pas ce qui vient d'être écrit."
    sent, read = ("\n".join(texts.normalised(text, name)).encode() for text in (content, there))
    return f"Le texte relu n'est pas celui envoyé : {texts.difference(sent, read).sentence()}"


def _with_advice(error: DriverFaultError | NotAllowedError) -> str:
    return error.message_fr
