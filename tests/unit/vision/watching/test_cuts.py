"""Kills, blindness and gaps at every frame of a story: a ledger that believes the watcher is right in the end."""

from __future__ import annotations

import pytest

from tests.unit.vision.watching.bench import Scribe, Shop, dark

LENGTH = 142
SHORT = range(11, LENGTH, 41)


def every(indices: range) -> list[object]:
    """All of them in the long run, some of them always."""
    return [i if i in SHORT else pytest.param(i, marks=pytest.mark.long) for i in indices]


@pytest.fixture(scope="module")
def scribe() -> Scribe:
    return Scribe()


def settle(shop: Shop, scribe: Scribe) -> None:
    """Whatever happened, the rack is clear for a while at last; the ledger is then what lies there."""
    last, items = scribe.frames[-1]
    at = 0.1 * len(scribe.frames) + 1.0
    for i in range(30):
        shop.feed(scribe.frames[-1 - i % 6][0] if i % 6 else last, at + i / 10)
    assert shop.ledger == {f"A{i + 1}": int(there) for i, there in enumerate(items)}
    assert shop.watcher.counts == shop.ledger


def test_the_story_itself(scribe: Scribe) -> None:
    assert len(scribe.frames) == LENGTH
    shop = Shop()
    for i, (frame, _) in enumerate(scribe.frames):
        shop.feed(frame, i / 10)
    assert [(c.slot, c.delta, c.mode) for c in shop.booked] == [
        ("A2", -1, "auto"),
        ("A1", -1, "auto"),
        ("A2", 1, "auto"),
        ("A1", 1, "auto"),
        ("A3", -1, "auto"),
    ]
    settle(shop, scribe)


@pytest.mark.parametrize("at", every(range(LENGTH)))
def test_killed_at_any_frame(scribe: Scribe, at: int) -> None:
    shop = Shop()
    for i, (frame, _) in enumerate(scribe.frames):
        shop.feed(frame, i / 10, dies=i == at)
    settle(shop, scribe)


@pytest.mark.parametrize("at", every(range(LENGTH - 20)))
def test_dark_for_two_seconds_from_any_frame(scribe: Scribe, at: int) -> None:
    shop = Shop()
    for i, (frame, _) in enumerate(scribe.frames):
        shop.feed(dark(frame) if at <= i < at + 20 else frame, i / 10)
    settle(shop, scribe)


@pytest.mark.parametrize("at", every(range(LENGTH - 40)))
def test_no_frame_for_four_seconds_from_any_frame(scribe: Scribe, at: int) -> None:
    shop = Shop()
    for i, (frame, _) in enumerate(scribe.frames):
        if not at <= i < at + 40:
            shop.feed(frame, i / 10)
    settle(shop, scribe)


@pytest.mark.parametrize("at", every(range(LENGTH - 40)))
def test_camera_lost_and_killed_in_it(scribe: Scribe, at: int) -> None:
    shop = Shop()
    for i, (frame, _) in enumerate(scribe.frames):
        if i == at:
            shop.book(shop.watcher.camera_lost())
        if i == at + 15:
            shop.kill()
        if not at <= i < at + 25:
            shop.feed(frame, i / 10)
    settle(shop, scribe)


def test_killed_again_and_again(scribe: Scribe) -> None:
    shop = Shop()
    for i, (frame, _) in enumerate(scribe.frames):
        shop.feed(frame, i / 10, dies=i % 11 == 7)
    settle(shop, scribe)
