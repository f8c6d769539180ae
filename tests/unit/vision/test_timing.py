"""When a place changed inside a session."""

from __future__ import annotations

import numpy as np

from vision.timing import SessionFilm

PLACE = np.array([[10, 10], [30, 10], [30, 30], [10, 30]], np.float32)


def scene(item: bool, hand_at: int | None = None) -> np.ndarray:
    band = np.zeros((48, 64), np.float32)
    if item:
        band[15:25, 15:25] = 0.6
    if hand_at is not None:
        band[:, hand_at : hand_at + 8] = -0.5
    return np.repeat(band[..., None], 3, 2)


def test_the_moment_is_the_change_point_not_the_hands_arrival_or_leaving() -> None:
    film = SessionFilm()
    for i in range(30):
        hand = 50 if i < 10 else (34 if i < 20 else 50)
        film.add(i / 10, scene(item=i < 17, hand_at=hand), np.zeros((48, 64), np.uint8))
    assert film.moment(PLACE, scene(item=True)) == 1.7


def test_a_place_is_touched_when_foreground_ever_covered_it() -> None:
    film = SessionFilm()
    mask = np.zeros((48, 64), np.uint8)
    film.add(0.0, scene(True), mask)
    assert film.touched(PLACE) == 0.0
    mask = mask.copy()
    mask[20:30, 20:40] = 1
    film.add(0.1, scene(True), mask)
    film.add(0.2, scene(True), np.zeros_like(mask))
    assert film.touched(PLACE) > 0.2
    assert film.touched(PLACE + 0) > film.touched(PLACE - np.array([8, 8], np.float32))


def test_a_very_long_session_keeps_a_bounded_film() -> None:
    film = SessionFilm()
    for i in range(3000):
        film.add(i / 10, scene(item=i < 2000), np.zeros((48, 64), np.uint8))
    assert len(film._bands) <= 241
    assert abs(film.moment(PLACE, scene(True)) - 200) < 2
