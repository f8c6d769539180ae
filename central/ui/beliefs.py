"""What a camera believed, and "Pas ça": shared by the rack's screen and the post."""

from __future__ import annotations

from datetime import datetime

from central.core.uow import UnitOfWork
from central.stock import service as stock
from central.stock.schemas import LastBelief


def contestable(belief: LastBelief, now: datetime) -> bool:
    """Whether "Pas ça" can be said: of a movement that stands, or of a question that a "no" answers."""
    if belief.state == "doubt":
        return belief.proposal is not None
    return belief.state == "automatic" and belief.contest_until is not None and now < belief.contest_until


def whole(beliefs: list[LastBelief]) -> list[LastBelief]:
    """A transfer once, as what left; what came is said with it."""
    left = {(b.item, b.to_place, b.place, -b.qty, b.at, b.state) for b in beliefs if b.to_place and b.qty < 0}
    return [b for b in beliefs if not (b.qty > 0 and (b.item, b.place, b.to_place, b.qty, b.at, b.state) in left)]


async def say_no(
    uow: UnitOfWork, observation: int, by: str, *, rack: str | None = None, person: str | None = None
) -> int:
    """« Pas ça » on one of the last beliefs of a rack or a person; the question that is open then.

    Raises LookupError, ValueError: the unit must roll back then.
    """
    belief = next(
        (b for b in await stock.last_beliefs(uow, rack=rack, person=person, limit=50) if b.observation == observation),
        None,
    )
    if belief is None:
        raise LookupError("cette prise n’est plus à l’écran : elle se corrige à la page « À vérifier »")
    return await stock.contest(uow, observation, by)
