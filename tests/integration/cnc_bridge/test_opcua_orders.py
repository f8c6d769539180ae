"""What a machine that opted in is told over OPC UA (hold, programmes), and that no other is told anything."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cnc_bridge.port import Driver, DriverEvent, DriverFaultError, NotAllowedError
from cnc_bridge.testing import node_opcua
from tests.integration.cnc_bridge.opcua_far_side import LONG, NodeServer, codes, node_server, problem, read, values

pytestmark = [
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]

METHOD = {"object": "ns=8;s=Vendor", "method": "ns=8;s=HoldFeed", "args": ["surcharge"]}
NODE = {"node": "ns=8;s=Feed.Hold", "value": True}
RESIDENT = b"%\nO9000\nM30\n%\n"
LONG_CYCLE = ("--cycle", "600", "--between", "0.1")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeServer]:
    """A machine that cuts on and on, with one programme in its folder."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "programmes").mkdir()
    (folder / "programmes" / "O9000.NC").write_bytes(RESIDENT)
    async with node_server(folder, *LONG_CYCLE) as running:
        yield running


@contextlib.asynccontextmanager
async def connected(server: NodeServer, **settings: Any) -> AsyncIterator[Driver]:
    """A driver whose link is up, its events read and thrown away."""
    driver = server.source(**settings).create_driver()
    up = asyncio.Event()

    async def drain() -> None:
        seen: list[DriverEvent] = []
        async for batch in stream:
            seen += batch
            if values(seen, "execution"):
                up.set()

    async with driver.open() as stream:
        reading = asyncio.create_task(drain())
        try:
            async with asyncio.timeout(30):
                await up.wait()
            yield driver
        finally:
            reading.cancel()
            await asyncio.wait([reading])


@pytest.mark.parametrize("by", [METHOD, NODE], ids=["method", "node"])
async def test_a_hold_makes_the_velocity_fall_to_zero(tmp_path: Path, by: dict[str, object]) -> None:
    """The command returns when the controller has it; that the machine stands still is seen in `feed`, on its ramp."""
    async with node_server(tmp_path, *LONG_CYCLE, "--ramp-ms", "1000") as server:
        driver = server.source(allow=["hold"], hold=by).create_driver()
        seen: list[DriverEvent] = []
        held_at = None
        async with asyncio.timeout(LONG), driver.open() as stream:
            async for batch in stream:
                seen += batch
                if held_at is None and 320.0 in values(seen, "feed"):
                    await driver.hold()
                    held_at = len(values(seen, "feed"))
                elif held_at is not None and values(seen, "feed")[-1] == 0.0:
                    break
    falling = values(seen, "feed")[held_at:]
    assert len(falling) > 3, "the feed falls on a ramp, not at once"
    assert falling == sorted(falling, key=float, reverse=True)  # type: ignore[arg-type]  # numbers, as the signal has


@pytest.mark.parametrize("by", [METHOD, NODE], ids=["method", "node"])
async def test_a_machine_that_did_not_opt_in_is_not_held(server: NodeServer, by: dict[str, object]) -> None:
    async with connected(server, hold=by) as driver:
        with pytest.raises(NotAllowedError) as refusal:
            await driver.hold()
    assert "`allow`" in refusal.value.message_fr


async def test_a_hold_that_is_not_connected_says_so(server: NodeServer) -> None:
    driver = server.source(allow=["hold"], hold=METHOD).create_driver()
    with pytest.raises(DriverFaultError) as fault:
        await driver.hold()
    assert fault.value.code == "not_connected"


async def test_a_hold_that_cannot_be_given_is_told_before_it_is_needed(server: NodeServer) -> None:
    source = server.source(allow=["hold"], hold={"node": "ns=8;s=NotThere"})
    seen = await read(source, lambda seen: "hold_not_ready" in codes(seen))
    assert "arrêt d'avance" in problem(seen, "hold_not_ready").message_fr


async def test_programmes_make_the_round_trip_to_the_byte(server: NodeServer) -> None:
    rng = random.Random(3)
    contents = {"O1.NC": b"%", "LONG.MPF": rng.randbytes(300_000), "EMPTY.NC": b""}
    async with connected(server, allow=["programme"]) as driver:
        for name, content in contents.items():
            await driver.write_programme(name, content)
            assert await driver.read_programme(name) == content
            assert (server.folder / "programmes" / name).read_bytes() == content
        await driver.write_programme("LONG.MPF", b"M30\n")
        listed = {file.name: file.size for file in await driver.list_programmes()}
        assert await driver.read_programme("LONG.MPF") == b"M30\n", "the longer one before it is gone"
        assert await driver.read_programme("O9000.NC") == RESIDENT
        with pytest.raises(DriverFaultError) as fault:
            await driver.read_programme("O4711.NC")
    assert fault.value.code == "no_programme"
    assert listed == {"EMPTY.NC": 0, "LONG.MPF": 4, "O1.NC": 1, "O9000.NC": 14}


async def test_a_name_that_leads_out_of_the_folder_is_refused(server: NodeServer) -> None:
    before = sorted(server.folder.rglob("*"))
    async with connected(server, allow=["programme"]) as driver:
        for name in ("../O1.NC", "SUB/O1.NC", "..", "", ".hidden", "A\\B", "O1\x00.NC", "x" * 200):
            with pytest.raises(DriverFaultError) as fault:
                await driver.write_programme(name, b"M30\n")
            assert fault.value.code == "bad_name"
    assert sorted(server.folder.rglob("*")) == before


async def test_a_machine_that_did_not_opt_in_keeps_its_programmes(server: NodeServer) -> None:
    async with connected(server) as driver:
        for call in (
            driver.write_programme("O9000.NC", b"M30\n"),
            driver.read_programme("O9000.NC"),
            driver.list_programmes(),
        ):
            with pytest.raises(NotAllowedError):
                await call
    assert (server.folder / "programmes" / "O9000.NC").read_bytes() == RESIDENT


async def test_a_server_without_a_programme_folder_says_so(tmp_path: Path) -> None:
    async with (
        node_server(tmp_path, "--no-machine", "--items", "1") as server,
        connected(
            server, signals={"execution": {"node": "i=2259", "words": {"0": "READY"}}}, allow=["programme"]
        ) as it,
    ):
        with pytest.raises(DriverFaultError) as fault:
            await it.list_programmes()
    assert fault.value.code == "no_programmes"
    assert "`programmes`" in fault.value.message_fr
