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
    crops: str | None = None
    """Names its pictures, when they can be shown now."""
    why: str = ""
    """The camera's reason, English."""
    reason: str | None = None
    """Why it asks."""
    misplaced: bool = False
    """What was put there belongs elsewhere."""
    blank: bool = False
    """The camera was sure, its rack is not trusted with this class yet."""
    count_before: int | None = None
    charged: str | None = None
    """The operation it is charged to, when the saying itself named none."""
    transfer: str | None = None
    """The other place, when it went from one place of its item to another."""


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
    to_place: str | None = None
    """Where it was put, when this is a transfer: one line for both movements, `qty` is what left `place`."""

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
    """``doubt`` (was it taken?), ``pairing`` (one event or two?), ``ecart`` (a count differs from the ledger),
    ``read`` (a reading does), ``unplaced`` (from where?), ``ask`` (combien ?), ``former`` (booked
    where another item is read now).
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
    rack: str | None = None
    guess: int | None = None
    """Of an ask: what the camera would have said, thousandths; None when it has no idea."""
    seen: int | None = None
    """Of a reading: what lies there, thousandths."""
    count_before: int | None = None
    """Thousandths, as the camera knew it."""
    contested: bool = False
    """« Pas ça » was said of it on the spot."""

    @property
    def crops(self) -> str | None:
        return next((source.crops for source in self.sources if source.crops), None)

    @property
    def reason(self) -> str | None:
        return next((source.reason for source in self.sources if source.reason), None)

    @property
    def why(self) -> str:
        return next((source.why for source in self.sources if source.why), "")

    @property
    def misplaced(self) -> bool:
        return any(source.misplaced for source in self.sources)

    @property
    def blank(self) -> bool:
        return any(source.blank for source in self.sources)

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


@dataclass(frozen=True, slots=True)
class PlaceStock:
    """What the ledger says of a rack's place. Thousandths."""

    place: str
    item: str
    label: str
    unit: str
    qty: int
    pending: int
    open: int
    """Questions that wait for a person."""


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """A receipt that a difference may be: so much came in, and was booked elsewhere."""

    place: str
    qty: int
    at: datetime


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """A place where a reading and the ledger differ. Thousandths."""

    proposal: int
    rack: str
    place: str
    item: str
    label: str
    unit: str
    ledger: int
    seen: int
    qty: int
    """What is unexplained: `seen` less `ledger`, less what doubts and late words explain."""
    at: datetime
    since: datetime
    """When the question was opened."""
    receipt: ReceiptView | None


@dataclass(frozen=True, slots=True)
class LastBelief:
    """What a camera believed, as the rack's screen shows it."""

    key: str
    """``obs:12``: stable, for the page."""
    observation: int
    proposal: int | None
    """The question about it, open or decided."""
    rack: str
    place: str
    item: str
    label: str
    unit: str
    qty: int
    """Thousandths, signed; of an ask its guess, 0 without one."""
    at: datetime
    recorded_at: datetime
    confidence: float
    state: str
    """``automatic``, ``doubt``, ``ask``, ``contested``, ``confirmed``, ``corrected``, ``refused`` or ``settled``."""
    crops: str | None
    person: str | None
    operation: str | None
    contest_until: datetime | None
    """« Pas ça » can be said until then; None when it cannot."""
    why: str
    reason: str | None
    to_place: str | None = None


@dataclass(frozen=True, slots=True)
class ToCount:
    """A place for the next cycle count: a doubt about it was never answered."""

    place: str
    item: str
    label: str
    unit: str
    qty: int
    pending: int
    since: datetime
    """Of its oldest unanswered question."""
    why: str
    """French."""
