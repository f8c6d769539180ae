"""What the stock answers: plain values, quantities in thousandths of the item's unit, times UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class PlaceLevel:
    place: str | None
    """None: what nobody could place."""
    qty: int
    pending: int


@dataclass(frozen=True, slots=True)
class ItemLevel:
    """A level and its doubt: « 4 (−1 à confirmer) » is ``qty=4000, pending=-1000``."""

    item: str
    label: str
    item_class: str
    unit: str
    handling: str
    qty: int
    pending: int
    minimum: int
    open_proposals: int
    places: tuple[PlaceLevel, ...]

    @property
    def negative(self) -> bool:
        return self.qty < 0 or any(place.qty < 0 for place in self.places)

    @property
    def low(self) -> bool:
        return self.qty < self.minimum


@dataclass(frozen=True, slots=True)
class SourceView:
    """One saying behind a movement."""

    observation: int
    source: str
    qty: int
    """How much of the saying this movement accounts for."""
    at: datetime
    confidence: float
    person: str | None
    operation: str | None
    post: str | None
    has_evidence: bool
    during_absence: bool
    uncertain: bool
    comment: str


@dataclass(frozen=True, slots=True)
class MovementView:
    id: int
    item: str
    label: str
    unit: str
    place: str | None
    qty: int
    at: datetime
    recorded_at: datetime
    kind: str
    """``pick``, ``return``, ``receipt``, ``adjust`` or ``compensate``."""
    operation: str | None
    person: str | None
    """Opaque id; the first source that knows it says it."""
    uncertain: bool
    during_absence: bool
    sources: tuple[SourceView, ...]
    event: str

    @property
    def evidence(self) -> int | None:
        """An observation that has pictures."""
        return next((source.observation for source in self.sources if source.has_evidence), None)

    @property
    def confidence(self) -> float:
        return max((source.confidence for source in self.sources), default=1.0)


@dataclass(frozen=True, slots=True)
class ProposalView:
    id: int
    kind: str
    """``doubt`` (was it taken?), ``pairing`` (one event or two?), ``ecart`` (a count differs from the
    ledger), ``unplaced`` (from where?).
    """
    state: str
    item: str
    label: str
    unit: str
    place: str | None
    qty: int
    at: datetime
    question: str
    """French, one line."""
    sources: tuple[SourceView, ...]
    decided_by: str | None
    decided_at: datetime | None
    decided_qty: int | None
    undo_until: datetime | None
    """Until then the decision can be taken back; None when it cannot."""

    @property
    def evidence(self) -> int | None:
        return next((source.observation for source in self.sources if source.has_evidence), None)


@dataclass(frozen=True, slots=True)
class EvidenceView:
    before: bytes | None
    """JPEG"""
    after: bytes | None


@dataclass(frozen=True, slots=True)
class Verification:
    """The ledger added up again, against the projection."""

    rows: int
    wrong: tuple[str, ...]
