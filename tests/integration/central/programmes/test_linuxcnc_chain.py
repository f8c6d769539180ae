"""A validated programme into a real LinuxCNC through centre, broker and agent; run there, seen and counted here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cnc_bridge.config import parse
from cnc_bridge.testing import linuxcnc_sim
from copeau.servers import broker as brokers
from tests.support.centre import eventually
from tests.support.process import REPOSITORY, CentreProcess

MISSING = linuxcnc_sim.missing() or brokers.MISSING
pytestmark = pytest.mark.skipif(bool(MISSING), reason=str(MISSING))

PART = b"(BRIDE)\nG21 G17 G90 G54\nT1 M6\nS1200 M3\nG1 X20 F1500\nT2 M6\nS2500 M3\nG1 X0\nM5\nM30\n"
CHANGED = PART.replace(b"F1500", b"F1200")
NAME = "bride.ngc"
MACHINE = "fraiseuse-1"


@contextlib.contextmanager
def agent(folder: Path, centre: CentreProcess, broker: brokers.Broker, entrance: list[str]) -> Iterator[None]:
    """Its process, on this machine's driver."""
    config = folder / "agent.toml"
    config.write_text(
        f'[agent]\nname = "pi-1"\n[centre]\nport = {broker.port}\nhttp = "{centre.url}"\nprogrammes_s = 0.5\n'
        f'heartbeat_s = 0.5\n[[machine]]\nname = "{MACHINE}"\ndriver = "linuxcnc"\ncommand = {json.dumps(entrance)}\n'
        'allow = ["programme"]\nreconnect_max_s = 1.0\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "copeau.cli", "-v", "agent", "run", str(config)]
    with (folder / "agent.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


class Web:
    """What a person does and sees."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.seen: set[tuple[str, str | None]] = set()

    async def state(self) -> str:
        reply = await self._client.get(f"/api/machines/{MACHINE}")
        if reply.status_code != 200:
            return ""
        tile = reply.json()
        self.seen.add((tile["state"], tile["tool"]))
        return str(tile["state"])

    async def cycles(self) -> int:
        await self.state()
        return int((await self._client.get(f"/api/machines/{MACHINE}")).json()["cycles_today"])

    async def validated(self) -> None:
        files, page = {"fichier": (NAME, PART)}, {"HX-Request": "true"}
        reply = await self._client.post("/programmes", files=files, data={"machine": MACHINE}, headers=page)
        assert reply.headers.get("HX-Redirect") == "/programmes/1", reply.text
        for act in ("submit", "validate"):
            by = {"by": "p-7k3f", "role": "methodes"}
            assert (await self._client.post(f"/api/programmes/versions/1/{act}", json=by)).status_code == 204

    async def loaded(self) -> tuple[str, str]:
        asked = await self._client.post("/api/programmes/1/load", json={"machine": MACHINE, "person": "p-7k3f"})
        assert asked.status_code == 202, asked.text
        address = f"/api/programmes/transfers/{asked.json()['transfer']}"

        async def answered() -> bool:
            return str((await self._client.get(address)).json()["state"]) != "asked"

        await eventually(answered, 60)
        told = (await self._client.get(address)).json()
        return told["state"], told["detail"]

    async def versions(self) -> list[tuple[str, str, str]]:
        found = (await self._client.get("/api/programmes/1")).json()
        return [(version["status"], version["origin"], version["comment"]) for version in found]


async def test_linuxcnc_gets_the_validated_text_runs_it_and_gives_back_what_was_changed(
    tmp_path: Path, broker: brokers.Broker
) -> None:
    state_file = tmp_path / "linuxcnc.json"
    entrance = linuxcnc_sim.entrance(state_file)
    with CentreProcess(f"sqlite:///{tmp_path / 'copeau.db'}", tmp_path, broker.port) as centre:
        async with linuxcnc_sim.simulated(state_file) as machine, httpx.AsyncClient(base_url=centre.url) as client:
            with agent(tmp_path, centre, broker, entrance):
                web = Web(client)

                async def ready() -> bool:
                    return await web.state() in {"ready", "setup"}  # in manual mode it is being set up

                async def counted() -> bool:
                    return await web.cycles() == 1

                async def came_back() -> bool:
                    return len(await web.versions()) == 2

                await eventually(ready, 60)
                await web.validated()
                assert await web.loaded() == ("done", f"« {NAME} » est dans la machine, relu identique.")
                await machine.do("run", NAME)
                await eventually(counted, 60)
                assert web.seen >= {("running", "1"), ("running", "2")}

                await eventually(ready, 60)
                await change_at_the_machine(entrance)
                await eventually(came_back, 60)
                draft, valid = await web.versions()
                assert draft == ("draft", "machine", f"Changé à la machine {MACHINE}. 1 ligne changée.")
                assert valid[:2] == ("validated", "upload")


async def change_at_the_machine(entrance: list[str]) -> None:
    """Somebody edits the file there, as the agent could not know."""
    table = {"kind": "linuxcnc", "command": entrance, "allow": ["programme"]}
    driver = parse({"machine": {"id": "editor"}, "driver": table}).create_driver()
    async with asyncio.timeout(60), driver.open() as stream:
        await anext(stream)
        await driver.write_programme(NAME, CHANGED)
