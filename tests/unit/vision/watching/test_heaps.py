"""Places that cannot be seen into: asked about when a hand was in them, and not when an arm only came by."""

from __future__ import annotations

import numpy as np

from tests.unit.vision.watching.bench import Bench, FakeJudge, polygon, rack
from vision.detectors.none import NoDetector
from vision.gate import Reach
from vision.timing import SessionFilm
from vision.watching import RackWatcher, asks

FAST = 45


def bench() -> Bench:
    made = Bench(RackWatcher(rack(kind="hidden"), NoDetector(), judge=FakeJudge()))
    made.show(8)
    return made


def asked(made: Bench, since: int) -> list[str]:
    return [a.slot for a in asks(made.said[since:])]


def sweep(made: Bench) -> list[str]:
    """An arm comes by over all places and never stops; the places asked about."""
    since = len(made.said)
    for x in range(20, 320, FAST):
        made.show(1, (x, 120 if x > 60 else 190))
    made.show(12)
    return asked(made, since)


def test_a_hand_that_stays_in_a_heap_is_asked_about_even_when_nothing_looks_otherwise() -> None:
    made = bench()
    since = len(made.said)
    for y in (230, 190, 150):
        made.show(1, (160, y))
    made.show(6, (160, 105))
    for y in (150, 190, 230):
        made.show(1, (160, y))
    made.show(10)
    assert asked(made, since) == ["A2"]


def test_fingers_that_reach_on_beyond_a_heap_were_in_it_when_nothing_else_is_told() -> None:
    made = bench()
    since = len(made.said)
    for y in (230, 190, 150, 100):
        made.show(1, (160, y))
    made.show(6, (160, 58))
    for y in (100, 150, 190, 230):
        made.show(1, (160, y))
    made.show(10)
    assert asked(made, since) == ["A2"]


def test_an_arm_that_comes_by_is_not_asked_about() -> None:
    assert sweep(bench()) == []


def test_a_heap_that_was_asked_about_is_compared_with_how_it_lies_since() -> None:
    made = bench()
    since = len(made.said)
    made.session(1, put=False)
    assert asked(made, since) == ["A2"]
    assert sweep(made) == []


def ends(*at: tuple[float, float]) -> list[list[Reach]]:
    """Arms from the lower edge."""
    return [[Reach((x, 200.0), (x, y))] for x, y in at]


def test_only_an_end_at_rest_dwells() -> None:
    place = np.array(polygon(0), np.float32)
    film = SessionFilm()
    for k in range(10):
        film.rest_at(k / 10, ends((20.0 + 9 * k, 100.0)))
    assert film.dwelt(place) == 0.0
    film = SessionFilm()
    for k, x in enumerate((200, 60, 61, 62, 60, 200)):
        film.rest_at(k / 10, ends((float(x), 100.0)))
    assert round(film.dwelt(place), 3) == 0.3


def test_two_ends_are_told_apart() -> None:
    place = np.array(polygon(2), np.float32)
    film = SessionFilm()
    for k in range(5):
        film.rest_at(k / 10, ends((40.0, 100.0 + 20 * k), (260.0, 100.0)))
    assert round(film.dwelt(place), 3) == 0.4


def test_an_arm_that_meets_the_border_twice_came_in_where_it_was_seen_to() -> None:
    beyond, root = np.array(polygon(2), np.float32), np.array(polygon(0), np.float32)
    either = [[Reach((40.0, 0.0), (260.0, 100.0)), Reach((260.0, 200.0), (60.0, 60.0))]]
    film = SessionFilm()
    film.rest_at(0.0, [[Reach((45.0, 0.0), (70.0, 20.0))]])
    for k in range(1, 5):
        film.rest_at(k / 10, either)
    assert (round(film.dwelt(beyond), 3), film.dwelt(root)) == (0.3, 0.0)
    film = SessionFilm()
    for k in range(5):
        film.rest_at(k / 10, either)
    assert (round(film.dwelt(beyond), 3), round(film.dwelt(root), 3)) == (0.4, 0.4)
