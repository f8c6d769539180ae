"""Programmes through a whole agent: its process, a real broker, HTTP; the controller is a labelled fake at the port."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.control import ReadProgramme, RearmGuard, SendProgramme
from contracts.facts import AgentAnswered, ProgrammeTransferred, decode_body
from contracts.programmes import same
from copeau.servers.broker import MISSING
from copeau.servers.broker import Broker as Mosquitto
from edge_agents.link import Broker
from tests.support.fake_cnc import Bench
from tests.support.honest_centre import HonestCentre, until
from tests.support.text_store import TextStore

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

OLD = b"O1234\r\nG0 X1\r\nM30\r\n"
NEW = b"O1234\n" + b"".join(b"N%d G1 X%d Z-%d F0.2\n" % (n, n, n) for n in range(10, 400, 10)) + b"M30\n"


class AgentProcess:
    """An agent that knows the fake driver; killed as power cuts do."""

    def __init__(self, directory: Path, port: int, http: str, machine: str) -> None:
        self.config = directory / "agent.toml"
        centre = f'[centre]\nport = {port}\nhttp = "{http}"\nprogrammes_s = 0.5\nheartbeat_s = 0.5\nresend_s = 2\n'
        self.config.write_text(f'[agent]\nname = "pi-1"\n{centre}{machine}', encoding="utf-8")
        self.log = directory / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.fake_cnc", "-v", "agent", "run", str(self.config)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, cwd=Path(__file__).parents[3], stdout=log, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)


class Shop:
    def __init__(self, centre: HonestCentre, machine: Bench, store: TextStore, agent: AgentProcess) -> None:
        self.centre, self.machine, self.store, self.agent = centre, machine, store, agent

    def told(self, event: str = "") -> list[ProgrammeTransferred]:
        return [body for body in self._bodies("machine.programme") if event in ("", body.event)]

    def answers(self) -> list[AgentAnswered]:
        return self._bodies("agent.answered")

    def _bodies(self, kind: str) -> list[Any]:
        rows = sorted(self.centre.rows("pi-1"), key=lambda row: (row.ts, row.seq))
        return [decode_body(row.kind, row.body) for row in rows if row.kind == kind]

    async def knows(self, state: str) -> None:
        """The agent has said that the machine is so."""
        await until(lambda: any(body.state == state for body in self._bodies("machine.state")[-1:]))
        assert self._bodies("machine.state")[-1].state == state

    def send(self, content: bytes = NEW, name: str = "O1234", **changes: Any) -> SendProgramme:
        digest = self.store.keep(content)
        fields: dict[str, Any] = {
            "id": uuid.uuid4().hex, "expires": datetime.now(UTC) + timedelta(minutes=2), "machine": "tour-1",
            "name": name, "sha256": digest, "size": len(content), "path": f"{TextStore.path}/{digest}",
            "person": "p-7k3f",
        }  # fmt: skip
        command = SendProgramme(**(fields | changes))
        self.centre.command("pi-1", "programme-send", command)
        return command

    async def answered(self, command: SendProgramme | ReadProgramme | RearmGuard) -> AgentAnswered:
        await until(lambda: any(answer.id == command.id for answer in self.answers()))
        (answer,) = [answer for answer in self.answers() if answer.id == command.id]
        return answer


@asynccontextmanager
async def opened(tmp_path: Path, *, line_s: float = 0.0, allow: str = '["programme"]') -> AsyncIterator[Shop]:
    machine, store = Bench(tmp_path / "machine"), TextStore()
    with Mosquitto(tmp_path / "broker") as mosquitto:
        agent = AgentProcess(tmp_path, mosquitto.port, store.url, machine.toml("tour-1", line_s=line_s, allow=allow))
        async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
            agent.start()
            try:
                shop = Shop(centre, machine, store, agent)
                await shop.knows("ready")
                yield shop
            finally:
                agent.stop()
                store.close()


async def test_a_programme_goes_to_the_machine_comes_back_and_is_watched(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        command = shop.send()
        answer = await shop.answered(command)
        assert (answer.done, "relu identique" in answer.detail) == (True, True)
        (fact,) = shop.told()
        assert (fact.event, fact.same, fact.sha256, fact.command) == ("sent", True, command.sha256, command.id)
        assert (fact.person, fact.size) == ("p-7k3f", len(NEW))
        text = shop.machine.text("O1234")
        assert text is not None
        assert same(text, NEW, "O1234")

        again = await shop.answered(shop.send())
        assert (again.done, "déjà" in again.detail) == (True, True)

        changed = text.replace(b"F0.2", b"F0.15", 1)
        shop.machine.edit("O1234", changed)
        await until(lambda: len(shop.told("changed")) == 1)
        (fact,) = shop.told("changed")
        assert fact.sha256 is not None
        assert same(shop.store.texts[fact.sha256], changed, "O1234")
        puts = len(shop.store.puts)
        shop.agent.kill()
        shop.agent.start()
        read = ReadProgramme(
            id="lecture", expires=datetime.now(UTC) + timedelta(minutes=2), machine="tour-1", path=TextStore.path
        )
        await until(lambda: len(shop._bodies("agent.started")) == 2)
        await shop.knows("ready")
        shop.centre.command("pi-1", "programme-read", read)
        assert (await shop.answered(read)).done
        (fact,) = shop.told("read")
        assert (fact.name, fact.sha256, fact.command) == ("O1234", shop.told("changed")[0].sha256, "lecture")
        assert len(shop.told("changed")) == 1, "a change is told once, also after a restart"
        assert len(shop.store.puts) == puts + 1


@pytest.mark.parametrize("execution", ["ACTIVE", "FEED_HOLD", "INTERRUPTED"])
async def test_nothing_is_written_while_the_machine_runs(tmp_path: Path, execution: str) -> None:
    async with opened(tmp_path) as shop:
        shop.machine.edit("O1234", OLD)
        shop.machine.is_(execution="ACTIVE")
        await shop.knows("running")
        shop.machine.is_(execution=execution)
        await shop.knows({"ACTIVE": "running", "FEED_HOLD": "ready", "INTERRUPTED": "stopped"}[execution])
        answer = await shop.answered(shop.send())
        assert not answer.done
        assert "tourne" in answer.detail or "suspendu" in answer.detail
        assert [fact.event for fact in shop.told()] == ["refused"]
        assert shop.machine.text("O1234") == OLD


async def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as shop:
        shop.store.spoil = True
        assert "validé" in (await shop.answered(shop.send())).detail
        shop.store.spoil = False
        assert "404" in (await shop.answered(shop.send(path=f"{TextStore.path}/{'0' * 64}"))).detail
        assert "nom de programme" in (await shop.answered(shop.send(name="../../etc/passwd"))).detail
        late = shop.send(expires=datetime.now(UTC) - timedelta(seconds=5))
        assert "trop tard" in (await shop.answered(late)).detail
        rearm = RearmGuard(id="garde", expires=datetime.now(UTC) + timedelta(minutes=1), machine="tour-1")
        shop.centre.command("pi-1", "guard-rearm", rearm)
        assert not (await shop.answered(rearm)).done
        shop.store.close()
        assert "ne répond pas" in (await shop.answered(shop.send())).detail
        assert list((shop.machine.folder / "memory").iterdir()) == []


async def test_a_machine_that_allows_nothing_is_only_read(tmp_path: Path) -> None:
    async with opened(tmp_path, allow="[]") as shop:
        answer = await shop.answered(shop.send())
        assert not answer.done
        assert "allow" in answer.detail
        assert list((shop.machine.folder / "memory").iterdir()) == []


@pytest.mark.parametrize("former", [OLD, None])
async def test_a_power_cut_in_the_middle_leaves_no_half_programme(tmp_path: Path, former: bytes | None) -> None:
    """The former text is back; where there was none, the sending is finished (a driver cannot delete)."""
    async with opened(tmp_path, line_s=0.05) as shop:
        if former is not None:
            shop.machine.edit("O1234", former)
        command = shop.send()
        await until(lambda: b"N50" in (shop.machine.text("O1234") or b""))
        shop.agent.kill()
        half = shop.machine.text("O1234")
        assert half is not None
        assert not same(half, NEW, "O1234")
        assert not same(half, OLD, "O1234")
        shop.machine.is_(execution="ACTIVE")
        shop.agent.start()
        await until(lambda: any(fact.same is False for fact in shop.told()))
        (warning,) = shop.told()
        assert ("ne pas le lancer" in warning.detail, warning.command) == (True, command.id)
        assert shop.machine.text("O1234") == half, "nothing is written while the machine runs"
        shop.machine.is_(execution="READY")
        await until(lambda: len(shop.told()) == 2)
        end = shop.told()[-1]
        assert (end.event, end.same) == (("refused", False) if former else ("sent", True))
        text = shop.machine.text("O1234")
        assert text is not None
        assert same(text, former or NEW, "O1234")


async def test_a_command_asked_again_after_a_power_cut_is_done(tmp_path: Path) -> None:
    async with opened(tmp_path, line_s=0.02) as shop:
        shop.machine.edit("O1234", OLD)
        command = shop.send()
        await until(lambda: b"N50" in (shop.machine.text("O1234") or b""))
        shop.agent.kill()
        shop.agent.start()
        await until(lambda: any(fact.same is False for fact in shop.told()))
        await shop.knows("ready")
        await until(lambda: len(shop.told()) >= 2)
        shop.centre.command("pi-1", "programme-send", command)
        answer = await shop.answered(command)
        assert answer.done
        text = shop.machine.text("O1234")
        assert text is not None
        assert same(text, NEW, "O1234")
        assert shop.told()[-1].same is True


@pytest.fixture(autouse=True)
def _agent_log(tmp_path: Path) -> Iterator[None]:
    yield
    log = tmp_path / "agent.log"
    if log.exists():
        print(log.read_text(errors="replace")[-6000:])
