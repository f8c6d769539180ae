"""An operator reaches own operations and nothing else: what is shown, and what the past is judged by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from central.core.access import Identity
from central.core.rights import Action
from central.core.uow import UnitOfWork
from central.people import standing
from central.people.standing import Standing
from central.work.models import ClockingEvent, Operation
from central.work.reads import PostCopy

_SAYS = {
    "left": "{person} ne travaillait plus ici quand {operation} a été pointé.",
    "not_theirs": "{operation} n’était pas à la portée de {person} : ni confiée, ni sur une de ses machines.",
}


class Overreach(NamedTuple):
    """A clocking that was not the person's to make: applied all the same, and shown as a conflict."""

    event: ClockingEvent
    message: str


class Reach:
    """What one caller reaches now."""

    def __init__(self, uow: UnitOfWork, person: str | None, standing: Standing | None) -> None:
        self.person, self._standing, self._now = person, standing, uow.now

    @property
    def whole(self) -> bool:
        return self._standing is None

    def of_copy(self, copy: PostCopy) -> PostCopy:
        """The part of a terminal's copy that is the caller's own."""
        if self._standing is None:
            return copy
        return replace(
            copy,
            operations=[one for one in copy.operations if self.has(one.code, one.machine)],
            persons=[one for one in copy.persons if one.id == self.person],
            running=[one for one in copy.running if one.person == self.person],
        )

    def has(self, operation: str, machine: str | None) -> bool:
        return self._standing is None or self._standing.breach(operation, machine, self._now) is None


async def reach_of(uow: UnitOfWork, identity: Identity, action: Action) -> Reach:
    """Whole for devices, the demo and whoever has the right everywhere."""
    if identity.person is None or identity.may("atelier", action):
        return Reach(uow, identity.person, None)
    found = (await standing.standings(uow, {identity.person})).get(identity.person, Standing())
    return Reach(uow, identity.person, replace(found, limited=True))


async def overreaches(
    uow: UnitOfWork, operations: Mapping[str, Operation], events: Mapping[str, Sequence[ClockingEvent]]
) -> list[Overreach]:
    """Clockings of known operations that were not their person's, as of the time of the fact."""
    found = [(operations[code], event) for code, some in events.items() if code in operations for event in some]
    known = await standing.standings(uow, {event.person for _, event in found if event.person is not None})
    breaches = []
    for operation, event in found:
        theirs = known.get(event.person or "")
        why = theirs.breach(operation.code, operation.machine, event.at) if theirs is not None else None
        if why is not None:
            breaches.append(Overreach(event, _SAYS[why].format(person=event.person, operation=operation.code)))
    return breaches
