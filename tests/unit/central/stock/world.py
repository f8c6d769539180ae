"""A shop that physically happens first, and what its sources then say about it.

What the model assumes, and why it is fair:

* People take and put back pieces of one item at up to two places, in sessions of one to three pieces, for an
  operation or none, two of them even in the same second. The stock never runs below zero.
* A camera watches some places. It misses sessions (a hand in front, a reboot), it doubts some (review mode, then
  its quantity may be wrong), and when it can count, what it says carries the true count before and after: it read
  the compartment. It is never both sure and wrong; a camera that is needs the recette, not the ledger.
* People scan some sessions, a little before or up to twelve hours after, with or without the place; sometimes one
  scan for several sessions in a row, sometimes twice within seconds (one scanner echo).
* An operation that ends is validated with what it truly used, at any time after.
* Every place is read once more in the end, after the last saying: by its camera when nothing moves, or by the
  inventory. Nothing but such a reading can reveal what nobody reported.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from central.stock.rules import Obs

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
STOCK = 40_000
HOUR = 3600


@dataclass(frozen=True)
class Session:
    """A hand took (negative) or put back pieces."""

    second: int
    place: int
    qty: int
    person: str
    operation: str | None


@dataclass(frozen=True)
class Shop:
    places: dict[int, bool]
    """Whether the camera of the place can count; places without camera are not there."""
    sessions: tuple[Session, ...]
    observations: tuple[Obs, ...]
    end: datetime

    def truth(self) -> dict[int, int]:
        moved = {1: STOCK, 2: STOCK}
        for session in self.sessions:
            moved[session.place] += session.qty
        return moved


def moment(second: int) -> datetime:
    return START + timedelta(seconds=second)


def opening() -> list[Obs]:
    return [
        Obs(9000 + place, START - timedelta(hours=9), STOCK, "manual", "manual", "receipt", place) for place in (1, 2)
    ]


@st.composite
def physical(draw: st.DrawFn, most: int = 7, days: int = 2, gap: int = 0) -> tuple[Session, ...]:
    """Sessions in order. Times bunch up: half of them follow the one before within minutes."""
    sessions: list[Session] = []
    second = 0
    for _ in range(draw(st.integers(1, most))):
        second += gap + draw(
            st.one_of(st.integers(0, 180), st.integers(0, 4 * HOUR), st.integers(0, days * 24 * HOUR // most))
        )
        qty = draw(st.sampled_from([-1000, -1000, -1000, -2000, -3000, 1000]))
        person, operation = draw(st.sampled_from(["p1", "p2"])), draw(st.sampled_from([None, None, "OP10", "OP20"]))
        sessions.append(Session(second, draw(st.sampled_from([1, 1, 2])), qty, person, operation))
    return tuple(sessions)


@st.composite
def shops(draw: st.DrawFn, most: int = 7) -> Shop:
    """Everything at once: misses, doubts, late, partial and double sayings, validations, a last count."""
    sessions = draw(physical(most))
    cameras = draw(st.dictionaries(st.sampled_from([1, 2]), st.booleans(), max_size=2))
    said = [*opening(), *_seen(draw, sessions, cameras), *_scanned(draw, sessions), *_validated(draw, sessions)]
    end = max(*(o.at for o in said), moment(sessions[-1].second)) + timedelta(seconds=draw(st.integers(1, 30 * HOUR)))
    shop = Shop(cameras, sessions, (), end)
    for place, qty in shop.truth().items():
        source = "camera" if place in cameras and draw(st.booleans()) else "manual"
        said.append(Obs(0, end, qty, source, source, "count", place))
    return replace(shop, observations=numbered(draw, said))


def numbered(draw: st.DrawFn, said: list[Obs]) -> tuple[Obs, ...]:
    """In the order of arrival, which is any order."""
    return tuple(replace(o, id=i) for i, o in enumerate(draw(st.permutations(said)), 1))


def _seen(draw: st.DrawFn, sessions: tuple[Session, ...], cameras: dict[int, bool]) -> list[Obs]:
    level = {1: STOCK, 2: STOCK}
    found = []
    for s in sessions:
        before, level[s.place] = level[s.place], level[s.place] + s.qty
        if s.place not in cameras:
            continue
        how = draw(st.sampled_from(["sure", "sure", "sure", "missed", "doubt", "wrong doubt"]))
        if how == "missed":
            continue
        counts = (before, level[s.place]) if cameras[s.place] and how == "sure" else (None, None)
        qty = s.qty * 2 if how == "wrong doubt" else s.qty
        found.append(
            Obs(
                0, moment(s.second), qty, "camera:a", "camera", "move", s.place, review=how != "sure",
                before=counts[0], after=counts[1],
            )
        )  # fmt: skip
    return found


def _scanned(draw: st.DrawFn, sessions: tuple[Session, ...]) -> list[Obs]:
    found: list[Obs] = []
    waiting: dict[tuple[str, bool, str | None, int], int] = {}
    for s in sessions:
        group = (s.person, s.qty > 0, s.operation, s.place)
        how = draw(st.sampled_from(["own", "own", "missed", "with the next"]))
        if how == "missed":
            continue
        qty = waiting.pop(group, 0) + s.qty
        if how == "with the next":
            waiting[group] = qty
            continue
        skew = draw(st.one_of(st.integers(-60, 90), st.integers(0, 2 * HOUR), st.integers(0, 12 * HOUR)))
        place = s.place if draw(st.booleans()) else 0
        operation = s.operation if draw(st.booleans()) else None
        scan = Obs(
            0, moment(s.second + skew), qty, "scan", "scan", "move", place, operation, s.person, f"post-{s.person}"
        )
        found.append(scan)
        if draw(st.integers(0, 4)) == 0:
            found.append(replace(scan, at=scan.at + timedelta(seconds=draw(st.integers(0, 5)))))
    return found


def _validated(draw: st.DrawFn, sessions: tuple[Session, ...]) -> list[Obs]:
    found = []
    for operation in ("OP10", "OP20"):
        own = [s for s in sessions if s.operation == operation]
        used = sum(s.qty for s in own)
        if own and used < 0 and draw(st.booleans()):
            later = own[-1].second + draw(st.integers(0, 12 * HOUR))
            found.append(Obs(0, moment(later), used, "operation", "operation", "move", 0, operation, own[-1].person))
    return found
