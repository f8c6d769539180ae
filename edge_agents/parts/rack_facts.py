"""What a rack's eye says, as facts."""

from __future__ import annotations

from typing import Final

from contracts.facts import RackModeChanged, RackRead, SlotSeen, StockAsked, StockObserved
from edge_agents import rack_messages as messages
from edge_agents.supervisor import Trouble

_SLOTS_AT_ONCE: Final = 150
_STATUS: Final[dict[str, Trouble]] = {
    "covered": "covered", "dark": "dark", "frozen": "frozen", "dirty": "dirty", "moved": "moved", "lost": "lost",
    "flicker": "error",
}  # fmt: skip
"""Codes of blindness that are a trouble of the camera. A closed drawer is none."""

_FRENCH: Final = {
    "ok": "La caméra voit le rack.",
    "covered": "Caméra de {rack} couverte : dégager la vue. Le comptage reprend seul, rien n'est débité entre-temps.",
    "dark": "Rack {rack} dans le noir : allumer l'éclairage. Le comptage reprend seul.",
    "frozen": "Image figée de {rack} : débrancher et rebrancher la caméra.",
    "dirty": "Caméra de {rack} sale ou floue : nettoyer l'objectif.",
    "flicker": "L'éclairage de {rack} scintille : vérifier la lampe ou le bandeau LED.",
    "moved": "Caméra de {rack} déplacée : comparer avant et après, accepter ou la remettre en place.",
    "closed": "Tiroir {rack} pas entièrement ouvert : rien n'est compté.",
    "lost": "Caméra de {rack} sans réponse : vérifier son câble, son alimentation, son adresse.",
}


def french_of(code: str, rack: str) -> str:
    """What a person does about it."""
    return _FRENCH.get(code, "Le rack {rack} n'est pas compté ({code}).").format(rack=rack, code=code)


def status_of(code: str) -> Trouble:
    return _STATUS.get(code, "ok")


class RackFacts:
    """Bodies for one rack: place names and sessions as the centre knows them."""

    def __init__(self, rack: str, place: str, run: str) -> None:
        self._rack, self._place, self._run = rack, place, run

    def change(self, said: messages.Change, crops: str | None) -> StockObserved:
        place = self.place(said.slot)
        return StockObserved(
            source="camera",
            qty=said.delta * 1000,
            item=said.item or None,
            code=None if said.item else place,
            place=place,
            confidence=said.confidence,
            mode=said.mode,
            session=self._session(said.session),
            count_before=said.before_count,
            count_after=said.after_count,
            crops=crops,
            model=said.model[:120] or None,
            why=said.why[:2000],
            transfer=self.place(said.transfer) if said.transfer else None,
            during_absence=said.during_absence,
        )

    def ask(self, said: messages.Ask, crops: str | None) -> StockAsked:
        place = self.place(said.slot)
        return StockAsked(
            place=place,
            reason=said.reason,
            item=said.item or None,
            code=None if said.item else place,
            session=self._session(said.session),
            guess=None if said.guess is None else said.guess * 1000,
            count_before=said.before_count,
            confidence=said.confidence,
            crops=crops,
            model=said.model[:120] or None,
            why=said.why[:2000],
            during_absence=said.during_absence,
        )

    def read(self, said: messages.Read, person: str | None) -> list[RackRead]:
        """One reading; of a rack with very many places in several facts, since a fact has a size."""
        seen = [
            SlotSeen(
                place=self.place(slot.slot),
                item=slot.item or None,
                count=slot.count,
                present=slot.present,
                state=slot.state,
                since=slot.since,
                confidence=slot.confidence,
            )
            for slot in said.slots
        ]
        return [
            RackRead(
                rack=self._rack,
                why=said.why,
                slots=seen[at : at + _SLOTS_AT_ONCE],
                session=self._session(said.session),
                person=person,
                model=said.model[:120] or None,
            )
            for at in range(0, len(seen), _SLOTS_AT_ONCE)
        ]

    def mode(
        self, mode: messages.RackMode, code: str, person: str | None, crops: str | None, *, repeated: bool = False
    ) -> RackModeChanged:
        return RackModeChanged(
            rack=self._rack,
            mode=mode,
            code=code[:120],
            message="" if mode != "blind" else french_of(code, self._rack),
            person=person,
            crops=crops,
            repeated=repeated,
        )

    def place(self, slot: str) -> str:
        return f"{self._place}/{slot}"[:120]

    def _session(self, number: int) -> str | None:
        return f"{self._rack}-{self._run}-{number}"[:120] if number else None
