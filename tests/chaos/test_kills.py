"""Facts survive: everything that can be killed is killed at random moments, and the books equal what physically
happened.

The judge is the list of physical events (`tests.chaos.shop.happen`), not ids: parts made, pieces moved place by place.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from central.core.settings import Settings
from central.items import service as items
from central.offline import prepare
from copeau.servers import broker
from copeau.servers.postgres import Postgres, find_binaries
from tests.chaos.floor import SITE
from tests.chaos.shop import ITEMS, Shop, Truth, happen

pytestmark = pytest.mark.skipif(broker.MISSING is not None, reason=broker.MISSING or "")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Postgres | None]]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'centre.db'}", None
        return
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (apt package postgresql)")
    directory = Path("/tmp") / f"copeau-chaos-{random.randrange(10**9)}"
    directory.mkdir()
    server = Postgres(binaries, directory)
    server.start()
    try:
        yield server.create_database(), server
    finally:
        server.stop()


async def describe(url: str) -> None:
    """The articles that the floors move; unknown ones would wait for a person instead."""
    async with prepare(Settings(_env_file=None, database_url=url, site=SITE)) as units, units.begin() as uow:
        for number in range(ITEMS):
            await items.add_item(uow, f"ART-{number}", f"Article {number}", "insert")


def run(shop: Shop, truth: Truth, kills: int, rng: random.Random) -> None:
    """Kill until `kills` are done, each thing back after a moment; then let everything arrive and compare."""
    asyncio.run(describe(shop.url))
    shop.start()
    try:
        for _ in range(kills):
            time.sleep(rng.uniform(0.3, 2.5))
            assert shop.died() == {}
            name = rng.choice(shop.targets)
            shop.kill(name)
            time.sleep(rng.uniform(0.0, 1.5))
            shop.revive(name)
        assert shop.wait_for_facts(truth.total) == truth.total, shop.died()
        compare(shop, truth)
    finally:
        shop.stop()


def compare(shop: Shop, truth: Truth) -> None:
    assert shop.ask("SELECT count(*) FROM (SELECT DISTINCT stream_id, seq FROM facts) AS f") == [(truth.total,)]
    assert shop.ask("SELECT count(*) FROM quarantine") == [(0,)]
    parts = dict(shop.ask("SELECT machine, sum(delta) FROM machine_count GROUP BY machine"))
    assert {machine: int(total) for machine, total in parts.items()} == dict(truth.parts)
    assert shop.ask("SELECT count(*) FROM machine_state") == [(truth.states,)]
    assert shop.ask("SELECT count(*) FROM stock_observations") == [(truth.picks,)]
    moved = shop.ask(
        "SELECT items.code, places.code, sum(stock_movements.qty) FROM stock_movements "
        "JOIN items ON items.id = item_id JOIN places ON places.id = stock_movements.place_id GROUP BY 1, 2"
    )
    booked = {(item, place): int(qty) for item, place, qty in moved if qty}
    assert booked == {key: qty for key, qty in truth.stock.items() if qty}


def plan(
    tmp_path: Path, database: tuple[str, Postgres | None], facts: int, rate: float, seed: int
) -> tuple[Shop, Truth, random.Random]:
    rng = random.Random(seed)
    agents = ["pi-1", "pi-2", "pi-3"]
    truth = Truth()
    for agent in agents:
        happen(tmp_path / f"{agent}.jsonl", facts // len(agents), agent, truth, rng)
    return Shop(tmp_path, database[0], agents, rate / len(agents), database[1]), truth, rng


def test_nothing_is_lost_or_doubled_over_twenty_kills(tmp_path: Path, database: tuple[str, Postgres | None]) -> None:
    shop, truth, rng = plan(tmp_path, database, facts=100_000, rate=3_000, seed=20)
    run(shop, truth, kills=20, rng=rng)


@pytest.mark.chaos
def test_nothing_is_lost_or_doubled_over_two_hundred_kills(
    tmp_path: Path, database: tuple[str, Postgres | None]
) -> None:
    shop, truth, rng = plan(tmp_path, database, facts=1_000_000, rate=3_000, seed=200)
    run(shop, truth, kills=200, rng=rng)
