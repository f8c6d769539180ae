"""The values that the rules work on, and what is done to them before matching: decisions, and a scanner's echoes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

Nature: TypeAlias = Literal["move", "count", "receipt", "ask", "read", "there"]
"""``ask``: a camera that cannot say how much moved. ``read``, ``there``: what it sees, absolutely; no count of ours
until a person says so."""
Verdict: TypeAlias = Literal["confirmed", "corrected", "refused", "contested"]
QuestionKind: TypeAlias = Literal["doubt", "pairing", "ecart", "unplaced", "ask", "read", "former"]

NOWHERE = 0


@dataclass(frozen=True, slots=True)
class Obs:
    """One saying about one item. `qty` is signed thousandths; for a count, what lies there."""

    id: int
    at: datetime
    qty: int
    channel: str
    """Two sayings of one channel are two events."""
    source: str = "scan"
    nature: Nature = "move"
    place: int = NOWHERE
    operation: str | None = None
    person: str | None = None
    post: str | None = None
    review: bool = False
    before: int | None = None
    """The camera's count before and after, in thousandths."""
    after: int | None = None
    uncertain: bool = False
    reason: str | None = None
    """Why an ``ask`` asks."""

    @property
    def order(self) -> tuple[datetime, str, str, bool, int, int, str, str, str, int, int, int]:
        """By time, then by what is said: the same whichever arrived first (only equal sayings are told by id)."""
        return (
            self.at,
            self.nature,
            self.channel,
            self.review,
            self.place,
            self.qty,
            self.operation or "",
            self.person or "",
            self.post or "",
            -1 if self.before is None else self.before,
            -1 if self.after is None else self.after,
            self.id,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person answered to the question of that key. `qty` is the corrected quantity, or what was accepted."""

    verdict: Verdict
    qty: int | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """Something that a person should decide. `at` follows from the observations alone, so it is always found again."""

    key: str
    kind: QuestionKind
    place: int
    at: datetime
    qty: int
    observation: int
    other: int | None = None


@dataclass(frozen=True, slots=True)
class Doubt:
    """A movement of which a person has not said yet whether it was."""

    place: int
    at: datetime
    qty: int


Decisions: TypeAlias = Mapping[str, Decision]


def doubt_key(observation: int) -> str:
    return f"doubt:{observation}"


def pair_key(one: int, other: int) -> str:
    return f"pair:{min(one, other)}:{max(one, other)}"


def place_key(observation: int) -> str:
    return f"place:{observation}"


def ask_key(observation: int) -> str:
    return f"ask:{observation}"


def former_key(item: int, place: int, observation: int) -> str:
    """`observation`: the first reading of another item there."""
    return f"former:{item}:{place}:{observation}"


def contest_key(observation: int) -> str:
    """« Pas ça » was said of this saying: it is a doubt since."""
    return f"contest:{observation}"


def prepared(observations: Iterable[Obs], decisions: Decisions, same_scan: timedelta) -> list[Obs]:
    """The sayings that count, in order: refused ones out, corrected ones corrected, echoes of a scan dropped."""
    decided = (_decided(o, decisions) for o in observations)
    return _without_echoes(sorted((o for o in decided if o is not None), key=lambda o: o.order), same_scan)


def _decided(obs: Obs, decisions: Decisions) -> Obs | None:
    unplaced = decisions.get(place_key(obs.id))
    if unplaced is not None and unplaced.verdict != "confirmed":
        if unplaced.verdict == "refused" or not unplaced.qty:
            return None
        obs = replace(obs, qty=unplaced.qty)
    if obs.nature == "ask":
        return _answered(obs, decisions.get(ask_key(obs.id)))
    if contest_key(obs.id) in decisions:
        obs = replace(obs, review=True)
    decision = decisions.get(doubt_key(obs.id))
    if decision is None or not obs.review:
        return obs
    if decision.verdict == "refused":
        return None
    if decision.verdict == "confirmed":
        return replace(obs, review=False)
    if not decision.qty:
        return None
    # A camera whose quantity had to be corrected does not know the counts around it either.
    return replace(obs, review=False, qty=decision.qty, before=None, after=None)


def _answered(ask: Obs, decision: Decision | None) -> Obs | None:
    """An ask that was answered is a movement, or nothing."""
    if decision is None:
        return ask
    if decision.verdict == "refused" or not decision.qty:
        return None
    return replace(ask, nature="move", qty=decision.qty, review=False, before=None, after=None)


def _without_echoes(ordered: list[Obs], same_scan: timedelta) -> list[Obs]:
    """The same code by the same post within `same_scan` is one scan; another quantity, sign or person is another."""
    kept: list[Obs] = []
    last: dict[tuple[object, ...], datetime] = {}
    for obs in ordered:
        if obs.source == "scan" and obs.nature == "move":
            said = (obs.post, obs.qty, obs.place, obs.operation, obs.person)
            before = last.get(said)
            if before is not None and obs.at - before <= same_scan:
                continue
            last[said] = obs.at
        kept.append(obs)
    return kept
