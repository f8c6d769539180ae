"""An agent that is wiped forgets its key, its facts and its pictures, and is retired; not while facts wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from central.fleet import enrolment
from copeau.servers.broker import MISSING
from edge_agents.agent import Agent, wipe
from edge_agents.config import load
from tests.support.centre import eventually
from tests.support.secure import SecureShop, secure_shop

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

CONFIG = '[agent]\nname = "rack-1"\nsite = "atelier"\n[centre]\nidentity = "identity"\nheartbeat_s = 0.5\n'


async def in_service(shop: SecureShop) -> list[str]:
    async with shop.centre.units.reading() as uow:
        return [device.name for device in await enrolment.devices(uow)]


async def test_a_wiped_agent_leaves_nothing_and_is_retired(tmp_path: Path, sqlite_url: str) -> None:
    async with secure_shop(tmp_path, sqlite_url) as shop:
        enrolled = await shop.enrol("rack-1")
        board = enrolled.folder.parent
        (board / "agent.toml").write_text(CONFIG + '[outbox]\npath = "box.db"\n', encoding="utf-8")
        (board / "box-pictures").mkdir()
        (board / "box-pictures" / "a").write_bytes(b"sealed")
        (board / "other.db").write_bytes(b"somebody else's")
        running = asyncio.create_task(Agent(load(board / "agent.toml")).run())

        async def heard() -> bool:
            async with shop.centre.units.reading() as uow:
                from central.fleet import service

                agents = await service.agents(uow)
                return bool(agents) and agents[0].online and agents[0].facts_pending == 0

        await eventually(heard)
        async with shop.centre.units.begin() as uow:
            await enrolment.wipe(uow, "rack-1", by="p-chef")
        async with asyncio.timeout(60):
            await running
        assert sorted(path.name for path in board.iterdir()) == ["agent.toml", "identity", "other.db"]
        assert list(enrolled.folder.iterdir()) == []

        async def gone() -> bool:
            return await in_service(shop) == []

        await eventually(gone)


def test_what_is_not_there_is_no_obstacle(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('[agent]\nname = "rack-1"\n[outbox]\npath = "box.db"\n', encoding="utf-8")
    wipe(load(config))
    assert config.exists()
