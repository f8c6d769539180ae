"""A rack's eye and its agent killed at any moment: what left and came is told once, its pictures arrive once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter

import pytest

from contracts.control import SetSlotCount
from copeau.servers.broker import Broker as Mosquitto
from edge_agents.spool import Spool
from tests.integration.edge_agents.conftest import RackShop


def booked(shop: RackShop) -> Counter[str]:
    total: Counter[str] = Counter()
    for slot, pieces in shop.moved:
        total[slot] += pieces
    return total


def true(shop: RackShop) -> Counter[str]:
    total: Counter[str] = Counter()
    for slot, pieces in shop.truth:
        total[slot] += pieces
    return total


async def kill_eyes(shop: RackShop, ended: asyncio.Event, dice: random.Random) -> int:
    """Kill the eye again and again, at any moment, until `ended`; how often."""
    killed = 0
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(dice.uniform(1.0, 5.0)):
                await ended.wait()
        for eye in shop.eyes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(eye, signal.SIGKILL)
                killed += 1
    return killed


async def a_shift_under_kills(shop: RackShop, sessions: int) -> None:
    shop.start()
    await shop.heard("rack.read")
    ended, dice = asyncio.Event(), random.Random(5)
    killing = asyncio.create_task(kill_eyes(shop, ended, dice))
    for _ in range(sessions):
        await shop.act(dice.choice(["take", "take", "return", "nothing"]))
    ended.set()
    assert await killing > 1
    await shop.wait(lambda: +booked(shop) == +true(shop) and -booked(shop) == -true(shop), f"the truth {true(shop)}")
    facts = shop.said("stock.observed")
    assert len({fact.crops for fact in facts}) == len(facts)
    await shop.wait(lambda: {fact.crops for fact in facts if fact.crops} <= set(shop.http.crops), "pairs")


async def test_some_sessions_while_the_eye_is_killed(shop: RackShop) -> None:
    await a_shift_under_kills(shop, 3)


@pytest.mark.long
async def test_a_shift_while_the_eye_is_killed(shop: RackShop) -> None:
    await a_shift_under_kills(shop, 40)


async def test_the_agent_dies_between_the_fact_and_its_picture(shop: RackShop) -> None:
    shop.start()
    await shop.heard("rack.read")
    shop.http.down = True
    await shop.act("take")
    (pick,) = await shop.heard("stock.observed")
    shop.kill()
    (waiting,) = (shop.directory / "outbox-pictures").iterdir()
    assert waiting.name.endswith(pick.crops)
    assert b"\xff\xd8\xff" not in waiting.read_bytes()
    assert (shop.directory / "outbox-pictures.key").stat().st_mode & 0o777 == 0o600
    shop.http.down = False
    shop.again()
    await shop.wait(lambda: list(shop.http.crops) == [pick.crops], "pair after the restart")
    await shop.wait(lambda: not list((shop.directory / "outbox-pictures").iterdir()), "empty spool")


async def test_the_centre_is_away_for_long(shop: RackShop, mosquitto: Mosquitto) -> None:
    shop.start()
    await shop.heard("rack.read")
    mosquitto.kill()
    shop.http.stop()
    for _ in range(2):
        await shop.act("take")
    spool = Spool(shop.directory / "outbox-pictures", shop.directory / "outbox-pictures.key", 10**9)
    await shop.wait(lambda: len(spool.waiting()) == len(shop.truth), "pairs on disk")
    mosquitto.start()
    shop.http.start()
    await shop.heard("stock.observed", len(shop.truth))
    assert Counter(shop.moved) == Counter(shop.truth)
    await shop.wait(lambda: {fact.crops for fact in shop.said("stock.observed")} == set(shop.http.crops), "pairs")


async def test_a_count_that_was_answered_outlives_the_eye_and_the_agent(shop: RackShop) -> None:
    """Answered done while no eye was there to take it: it is on disk, and the next eye begins with it."""
    shop.start()
    await shop.heard("rack.read")
    slot = next(slot for slot in shop.live.scene.slots if slot.items)
    count = len(slot.items)
    for eye in shop.eyes:
        os.kill(eye, signal.SIGKILL)
    answer = await shop.order("rack-count", SetSlotCount, slot=slot.id, count=count + 1)
    assert answer.done
    shop.kill()
    shop.again()
    await shop.wait(
        lambda: any(
            seen.count == count + 1
            for read in [read for read in shop.said("rack.read") if read.why == "start"][1:]
            for seen in read.slots
            if seen.place == f"rack-a/{slot.id}"
        ),
        "the person's word in the next reading",
    )
