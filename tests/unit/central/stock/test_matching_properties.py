"""Physical events first: whatever the sources say of them and whenever it arrives, nothing is wrong unnoticed.

The shop and what it assumes are in `world`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from central.stock.rules import Obs, Outcome, match
from tests.unit.central.stock.world import STOCK, Session, Shop, moment, numbered, opening, physical, shops

MANY = settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SOME = settings(MANY, max_examples=600)


def events_by_place(outcome: Outcome) -> dict[int, int]:
    """What the movements alone add up to, without what counts adjusted."""
    found: Counter[int] = Counter({1: 0, 2: 0})
    for e in outcome.events:
        found[e.place] += e.qty
    return {place: qty for place, qty in found.items() if qty or place}


def events_in_all(outcome: Outcome) -> int:
    return sum(e.qty for e in outcome.events)


@MANY
@given(shops())
def test_the_ledger_is_the_truth_or_asks(shop: Shop) -> None:
    outcome = match(shop.observations)
    if events_by_place(outcome) != shop.truth():
        event("asks")
        assert outcome.questions, "wrong and unflagged"
    else:
        event("right, asks too" if outcome.questions else "right, asks nothing")
    levels = {place: qty for place, qty in outcome.levels().items() if place}
    assert levels == shop.truth(), "the last count fixes the level"


@SOME
@given(shops(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(shop: Shop, random: object) -> None:
    said = list(shop.observations)
    random.shuffle(said)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    again = tuple(replace(o, id=i) for i, o in enumerate(said, 1))
    one, other = match(shop.observations), match(again)
    assert one.levels() == other.levels()
    assert Counter((e.at, e.qty, e.place) for e in one.events) == Counter((e.at, e.qty, e.place) for e in other.events)
    assert Counter((q.kind, q.at, q.qty) for q in one.questions) == Counter(
        (q.kind, q.at, q.qty) for q in other.questions
    )


@st.composite
def watched(draw: st.DrawFn) -> tuple[tuple[Session, ...], tuple[Obs, ...]]:
    """One source tells of every session, the other of some, up to the window late; nobody ever counts."""
    sessions = tuple(replace(s, operation=None, place=1) for s in draw(physical(6)))
    camera_all = draw(st.booleans())
    said = opening()[:1]
    for number, s in enumerate(sessions):
        # Half of the late scans fall on the very time of another session, where they are easily taken for its own.
        others = [o.second - s.second for o in sessions if 0 <= o.second - s.second <= 3 * 3600]
        late = draw(st.one_of(st.integers(-60, 90), st.integers(0, 3 * 3600), st.sampled_from(others)))
        if camera_all or draw(st.booleans()):
            said.append(Obs(0, moment(s.second), s.qty, "camera:a", "camera", "move", 1))
        if not camera_all or draw(st.booleans()):
            # Two scans of the same person within the same seconds would be one scan: each has its own post here.
            said.append(
                Obs(0, moment(s.second + late), s.qty, "scan", "scan", "move", 0, None, s.person, f"post-{number}")
            )
    return sessions, numbered(draw, said)


@MANY
@given(watched())
def test_without_any_count_a_complete_source_is_enough(drawn: tuple[tuple[Session, ...], tuple[Obs, ...]]) -> None:
    sessions, observations = drawn
    outcome = match(observations, home=1)
    truth = STOCK + sum(s.qty for s in sessions)
    if events_in_all(outcome) != truth:
        event("asks")
        assert outcome.questions, "wrong and unflagged"
    else:
        event("right, asks too" if outcome.questions else "right, asks nothing")


@SOME
@given(physical(7, gap=600), st.data())
def test_prompt_sources_agree_and_nobody_is_asked(sessions: tuple[Session, ...], data: st.DataObject) -> None:
    """Asking is no way out: where both sources are prompt, there is one movement with two sources, and no question."""
    level = {1: STOCK, 2: STOCK}
    said = opening()
    for s in sessions:
        before, level[s.place] = level[s.place], level[s.place] + s.qty
        late = timedelta(seconds=data.draw(st.integers(-60, 100)))
        at = moment(s.second)
        said.append(Obs(0, at, s.qty, "camera:a", "camera", "move", s.place, before=before, after=level[s.place]))
        said.append(Obs(0, at + late, s.qty, "scan", "scan", "move", 0, s.operation, s.person, "post"))
    outcome = match(numbered(data.draw, said))
    assert outcome.questions == ()
    assert outcome.adjustments == ()
    moves = [e for e in outcome.events if len(e.observations) > 1]
    assert [(e.at, e.qty, e.place, e.person) for e in moves] == [
        (moment(s.second), s.qty, s.place, s.person) for s in sessions
    ]


def test_two_sessions_of_one_camera_at_one_instant_compare_their_counts_in_the_order_of_the_counts() -> None:
    """Found by the property above: the écart's time depended on which of the two had arrived first."""
    first = Obs(3, moment(0), -1000, "camera:a", "camera", "move", 1, before=STOCK, after=STOCK - 1000)
    second = replace(first, id=4, before=STOCK - 1000, after=STOCK - 2000)
    for one, other in ((first, second), (replace(second, id=3), replace(first, id=4))):
        outcome = match([*opening(), one, other])
        assert outcome.questions == ()
        assert outcome.levels()[1] == STOCK - 2000
