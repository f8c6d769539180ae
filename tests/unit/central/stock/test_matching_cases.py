"""Cases that decided how the matching works, each in a few lines."""

from __future__ import annotations

from datetime import timedelta

from central.stock.rules import Decision, Obs, boundaries, match
from tests.unit.central.stock.world import STOCK, moment, opening

HOUR = 3600


def seen(id_: int, second: int, qty: int = -1000, before: int | None = None) -> Obs:
    after = None if before is None else before + qty
    return Obs(id_, moment(second), qty, "camera:a", "camera", "move", 1, before=before, after=after)


def told(id_: int, second: int, qty: int = -1000, person: str | None = None) -> Obs:
    return Obs(id_, moment(second), qty, "scan", "scan", "move", 0, None, person, "post")


def test_a_scan_too_many_that_fewer_events_would_explain_is_asked() -> None:
    """The scan at 3 h goes to the pick of that minute; the one at 6 h may then be the pick of the beginning's."""
    outcome = match([*opening(), seen(1, 0), seen(2, 3 * HOUR), told(3, 3 * HOUR), told(4, 6 * HOUR)], home=1)
    assert sum(e.qty for e in outcome.events) == 2 * STOCK - 3000
    assert {q.kind for q in outcome.questions} == {"pairing"}


def test_two_persons_named_for_one_movement_are_asked() -> None:
    manual = Obs(2, moment(10), -1000, "manual", "manual", "move", 1, None, "p2")
    (question,) = match([*opening(), told(1, 0, person="p1"), manual], home=1).questions
    assert question.kind == "pairing"


def test_a_corrected_quantity_of_unknown_place_is_what_is_booked() -> None:
    """The number that a person typed was taken as a yes."""
    said = [*opening(), told(1, 0)]
    asked = [q.key for q in match(said).questions if q.kind == "unplaced"]
    assert asked == ["place:1"]
    for qty, left in ((-3000, -3000), (0, 0)):
        outcome = match(said, {"place:1": Decision("corrected", qty)})
        assert (outcome.levels().get(0, 0), outcome.questions) == (left, ())


def test_a_refused_pair_stays_two_and_a_confirmed_one_stays_one() -> None:
    said = [*opening(), seen(1, 0), told(2, HOUR)]
    assert match(said).levels()[1] == STOCK - 1000
    assert match(said, {"pair:1:2": Decision("refused")}).levels() == {1: STOCK - 1000, 2: STOCK, 0: -1000}
    confirmed = match([*said, told(3, 10)], {"pair:1:2": Decision("confirmed")}, home=1)
    assert confirmed.levels()[1] == STOCK - 2000


def test_a_scan_told_after_the_camera_found_it_missing_explains_the_gap_and_asks_while_nothing_confirms() -> None:
    said = [*opening(), seen(1, HOUR, before=STOCK - 1000), told(2, HOUR + 600, person="p1")]
    # The scan could be the camera's own pick told late, which is the nearest reading: then the gap stays an écart.
    outcome = match(said, home=1)
    assert outcome.questions
    assert outcome.levels()[1] == STOCK - 2000


def test_a_word_after_a_count_is_taken_before_it_where_the_next_count_agrees() -> None:
    counts = [
        Obs(10, moment(HOUR), STOCK - 1000, "camera", "camera", "count", 1),
        Obs(11, moment(2 * HOUR), STOCK - 1000, "camera", "camera", "count", 1),
    ]
    said = [*opening(), told(1, HOUR + 300)]
    assert [q.kind for q in match([*said, counts[0]], home=1).questions] == ["pairing"]
    settled = match([*said, *counts], home=1)
    assert settled.questions == ()
    assert settled.adjustments == ()


def test_returns_between_picks_stay_apart() -> None:
    said = [*opening(), seen(1, 0), seen(2, 20, 1000), seen(3, 40), told(4, 5), told(5, 25, 1000), told(6, 45)]
    outcome = match(said)
    assert [e.qty for e in outcome.events if len(e.observations) == 2] == [-1000, 1000, -1000]
    assert outcome.questions == ()


def test_the_level_may_go_below_zero() -> None:
    assert match([told(1, 0)], home=1).levels() == {1: -1000}


def test_one_camera_alone_falls_apart_into_single_sayings() -> None:
    window = timedelta(hours=4)

    class Row:
        def __init__(self, obs: Obs) -> None:
            self.at, self.qty, self.channel, self.source, self.nature = (
                obs.at,
                obs.qty,
                obs.channel,
                obs.source,
                obs.nature,
            )
            self.count_before, self.count_after = obs.before, obs.after

    assert boundaries([Row(seen(i, 60 * i)) for i in range(4)], window) == [1, 2, 3]
    mixed = [Row(seen(0, 0)), Row(told(1, 60)), Row(seen(2, 9 * HOUR)), Row(seen(3, 9 * HOUR + 5))]
    assert boundaries(mixed, window) == [2, 3]
