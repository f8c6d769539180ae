"""What racks answer: plain values, counts in pieces, times UTC. Quantities of the ledger are the stock's to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts.racks import RackDescription


@dataclass(frozen=True, slots=True)
class RackView:
    code: str
    label: str
    agent: str | None
    mode: str
    """``counting``, ``restocking``, ``blind`` or ``unknown``."""
    mode_label: str
    """French."""
    code_label: str
    """French: why it is blind; empty when it is not."""
    mode_code: str
    message: str
    """French, of the agent: what to do."""
    person: str | None
    """Who began the *mode rangement*, an opaque id."""
    since: datetime | None
    read_at: datetime | None
    """The last absolute reading."""
    crops: str | None
    """Of a camera that moved: the taught picture (before) and the present one (after)."""
    availability: float | None
    """Share of the last 7 days in which it counted or was being restocked; null before it spoke."""
    version: int | None
    """Of the description; null when nothing was taught at the centre."""
    slots: int
    unreadable: int
    """Places masked, foreign or unreadable now."""
    model: str | None
    picture_at: datetime | None = None
    """Filled by the routes: when the newest picture came."""


@dataclass(frozen=True, slots=True)
class PlaceView:
    """A place of a rack: what was taught, and the last reading. What the ledger says: `stock.service.rack_places`."""

    place: str
    slot: str
    rack: str
    item: str | None
    """Stock code as taught, or as last read."""
    klass: str
    kind: str
    """``countable``, ``presence`` or ``hidden``; empty when it was not taught here."""
    kind_label: str
    capacity: int | None
    polygon: list[tuple[float, float]]
    count: int | None
    present: bool | None
    state: str
    state_label: str
    state_since: datetime | None
    confidence: float
    read_at: datetime | None
    believed: int | None
    """Pieces that the camera goes by now."""


@dataclass(frozen=True, slots=True)
class TrustView:
    """How far the camera of a rack is believed about one class."""

    rack: str
    klass: str
    automatic: bool
    confirmed: int
    """Right in a row."""
    needed: int
    """As many make it automatic."""
    wrong: int
    right: int
    changed_at: datetime | None
    label: str
    """French, one line: « à blanc : 12 confirmées sur 30 »."""


@dataclass(frozen=True, slots=True)
class DescriptionView:
    rack: str
    number: int
    sha256: str
    at: datetime
    by: str
    comment: str
    description: RackDescription


@dataclass(frozen=True, slots=True)
class CommandView:
    id: str
    rack: str
    name: str
    person: str
    asked_at: datetime
    expires_at: datetime
    state: str
    """``asked``, ``done``, ``refused`` or ``expired``."""
    detail: str
    told_at: datetime | None
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CropsView:
    """Two pictures, JPEG, of one saying."""

    id: str
    before: bytes | None
    after: bytes | None
    observed_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PrivacyView:
    """What is kept of pictures, for how long, and what was purged."""

    automatic_minutes: float
    doubtful_hours: float
    kept: int
    bytes: int
    oldest: datetime | None
    next_expiry: datetime | None
    unclaimed: int
    """Pictures whose fact has not come (yet)."""
    lost: int
    """Sealed under a key that is no longer there: they cannot be shown any more."""
    purges: list[PurgeView]
    viewings: list[ViewingView]


@dataclass(frozen=True, slots=True)
class PurgeView:
    at: datetime
    pictures: int
    oldest: datetime | None
    why: str
    """``expired``, ``key_lost`` or ``asked``."""
    why_label: str


@dataclass(frozen=True, slots=True)
class ViewingView:
    at: datetime
    who: str
    what: str
    """``racks.view_crops`` or ``racks.view_picture``."""
    subject: str


@dataclass(frozen=True, slots=True)
class ModelView:
    version: str
    sha256: str
    size: int
    note: str
    added_at: datetime
    added_by: str
    racks: list[str]
    """Those told to use it now."""
    right: int
    wrong: int


@dataclass(frozen=True, slots=True)
class RolloutView:
    rack: str
    version: str
    previous: str
    at: datetime
    by: str
    ended_at: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """A label."""

    key: str
    rack: str
    place: str
    klass: str
    item: str
    model: str | None
    crops: str | None
    kind: str
    sure: bool
    right: bool
    said: int | None
    """Thousandths."""
    truth: int | None
    reason: str | None
    at: datetime
    decided_at: datetime
    decided_by: str
