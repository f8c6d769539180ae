"""Whole agents as their own processes: real broker, real files, real detector, killed as power cuts do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import msgspec
import pytest

from cnc_bridge.replay import RecordingAdapter
from contracts.control import Restart
from contracts.facts import decode_body
from copeau.servers.broker import MISSING, free_port
from copeau.servers.broker import Broker as Mosquitto
from edge_agents.link import Broker
from tests.support.honest_centre import HonestCentre, until
from vision.rendering.episodes import Episode, render_episode

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

LABELS = Path(__file__).resolve().parents[3] / "copeau" / "demo" / "data" / "labels"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as running:
        yield running


class AgentProcess:
    """``copeau agent run`` on a configuration of its own."""

    def __init__(self, directory: Path, port: int, parts: str) -> None:
        self.config = directory / "agent.toml"
        head = f'[agent]\nname = "pi-1"\n[centre]\nport = {port}\nheartbeat_s = 0.5\nresend_s = 2\n'
        self.config.write_text(head + parts, encoding="utf-8")
        self.log = directory / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> AgentProcess:  # noqa: PYI034 - not made to be inherited
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    def start(self) -> AgentProcess:
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "copeau.cli", "-v", "agent", "run", str(self.config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> int:
        """Exit code after SIGTERM."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)


def bodies(centre: HonestCentre, kind: str, stream: str = "facts") -> list[Any]:
    rows = sorted(centre.rows("pi-1", stream), key=lambda row: (row.ts, row.seq))
    return [decode_body(row.kind, row.body) for row in rows if row.kind == kind]


def has(centre: HonestCentre, kind: str, count: int, stream: str = "facts") -> Callable[[], bool]:
    return lambda: len(bodies(centre, kind, stream)) >= count


async def test_photos_put_into_a_folder_are_read_once_whatever_is_killed(tmp_path: Path, mosquitto: Mosquitto) -> None:
    inbox = tmp_path / "photos"
    inbox.mkdir()
    agent = AgentProcess(
        tmp_path,
        mosquitto.port,
        f'[[scanner]]\nname = "scan-1"\npost = "poste-1"\nimages = "{inbox}"\naction = "take"\nplace = "armoire"\n'
        "same_within_s = 0\n",
    )
    photos = sorted(p for p in LABELS.iterdir() if p.suffix in {".jpg", ".png"})[:6]
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with agent:
            for n, photo in enumerate(photos):
                shutil.copy(photo, inbox / f"new-{photo.name}.part")
                (inbox / f"new-{photo.name}.part").rename(inbox / photo.name)
                if n % 2:
                    await until(has(centre, "code.scanned", n))
                    agent.kill()
                    agent.start()
            await until(has(centre, "code.scanned", len(photos)))
            found = bodies(centre, "code.scanned")
            assert len(found) == len({scan.code for scan in found}) == len(photos)
            assert {(scan.post, scan.action, scan.place) for scan in found} == {("poste-1", "take", "armoire")}
            (inbox / "broken.jpg").write_bytes(b"\xff\xd8\xff not a photo")
            os.utime(inbox / "broken.jpg", (0, 0))
            await until(lambda: any(status.status == "error" for status in bodies(centre, "source.status")))
            errors = [s for s in bodies(centre, "source.status") if s.status == "error"]
            assert [(s.source, "broken.jpg" in s.message) for s in errors] == [("scan-1", True)]
            assert agent.stop() == 0
            await until(lambda: not centre.states["pi-1"].online)
            assert not centre.states["pi-1"].online


async def test_a_scanner_s_lines_and_its_absence(tmp_path: Path, mosquitto: Mosquitto) -> None:
    pipe = tmp_path / "wedge"
    agent = AgentProcess(
        tmp_path, mosquitto.port, f'[[scanner]]\nname = "scan-1"\npost = "poste-1"\nlines = "{pipe}"\n'
    )  # fmt: skip
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with agent:
            await until(lambda: any(s.status == "lost" for s in bodies(centre, "source.status")))
            (lost,) = [s for s in bodies(centre, "source.status") if s.status == "lost"]
            assert (lost.source, lost.code) == ("scan-1", "unplugged")
            assert "rebrancher" in lost.message
            await until(lambda: any(part.status == "waiting" for part in centre.states["pi-1"].parts))
            assert centre.states["pi-1"].parts[0].status == "waiting"
            os.mkfifo(pipe)
            await until(lambda: any(s.status == "ok" for s in bodies(centre, "source.status")))
            with pipe.open("wb", buffering=0) as device:
                device.write(b"3245060\r\n3245060\r\nOP:OF118-20:K\r\n]C1ABC\r\n")
            with pipe.open("wb", buffering=0) as device:
                device.write(b"after the writer went away\n")
            await until(has(centre, "code.scanned", 4))
            found = [(scan.code, scan.format) for scan in bodies(centre, "code.scanned")]
            assert found == [
                ("3245060", "wedge"),
                ("OP:OF118-20:K", "wedge"),
                ("ABC", "Code128"),
                ("after the writer went away", "wedge"),
            ]


def ended(centre: HonestCentre) -> Callable[[], bool]:
    """The agent is there and its recording is over."""

    def over() -> bool:
        state = centre.states.get("pi-1")
        racks = [] if state is None else [part for part in state.parts if part.kind == "rack"]
        return bool(racks) and all(part.status == "stopped" for part in racks)

    return over


def save_frames(frames: list[Any], folder: Path) -> None:
    folder.mkdir(parents=True)
    for n, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{n:05d}.png"), frame)


def taken(seed: int) -> Episode:
    return render_episode(seed, action="take", light="steady")


async def test_a_pick_is_recorded_once_when_the_agent_is_killed_right_after_it(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    episode = taken(3)
    ((slot, delta),) = episode.deltas.items()
    (tmp_path / "rack.json").write_bytes(msgspec.json.encode(episode.rack))
    save_frames(episode.frames, tmp_path / "shown")
    agent = AgentProcess(tmp_path, mosquitto.port, '[[rack]]\nname = "rack-a"\nsource = "shown"\nplace = "armoire"\n')
    agent.config.write_text(agent.config.read_text().replace('"shown"', f'"{tmp_path / "shown"}"'))
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with agent:
            await until(has(centre, "stock.observed", 1), 90)
            agent.kill()
            (pick,) = bodies(centre, "stock.observed")
            assert (pick.source, pick.qty, pick.place) == ("camera", delta * 1000, f"armoire/{slot}")
            assert pick.item
            assert pick.crops
            assert pick.model
            assert not pick.during_absence
            # the camera now shows the rack as it is after the pick
            shutil.rmtree(tmp_path / "shown")
            save_frames(episode.frames[-8:] * 4, tmp_path / "shown")
            centre.states.clear()
            agent.start()
            await until(ended(centre), 90)
            assert len(bodies(centre, "stock.observed")) == 1


async def test_a_pick_made_while_the_agent_was_down_is_reported_as_such(tmp_path: Path, mosquitto: Mosquitto) -> None:
    episode = taken(5)
    ((slot, delta),) = episode.deltas.items()
    (tmp_path / "rack.json").write_bytes(msgspec.json.encode(episode.rack))
    shown = tmp_path / "shown"
    save_frames(episode.frames[:9] * 4, shown)
    agent = AgentProcess(tmp_path, mosquitto.port, f'[[rack]]\nname = "rack-a"\nsource = "{shown}"\n')
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with agent:
            await until(ended(centre), 90)
            agent.kill()
            assert bodies(centre, "stock.observed") == []
            shutil.rmtree(shown)
            save_frames(episode.frames[-8:] * 4, shown)
            centre.states.clear()
            agent.start()
            await until(has(centre, "stock.observed", 1), 90)
            (pick,) = bodies(centre, "stock.observed")
            assert (pick.qty, pick.place, pick.during_absence) == (delta * 1000, f"rack-a/{slot}", True)
            agent.kill()
            centre.states.clear()
            agent.start()
            await until(ended(centre), 90)
            assert len(bodies(centre, "stock.observed")) == 1


async def test_a_camera_that_is_gone_is_said_and_costs_nothing_else(tmp_path: Path, mosquitto: Mosquitto) -> None:
    pipe = tmp_path / "wedge"
    os.mkfifo(pipe)
    (tmp_path / "rack.json").write_bytes(msgspec.json.encode(taken(3).rack))
    parts = (
        f'[[rack]]\nname = "rack-a"\nsource = "http://127.0.0.1:{free_port()}/none.mjpg"\n'
        f'[[scanner]]\nname = "scan-1"\npost = "poste-1"\nlines = "{pipe}"\n'
    )
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with AgentProcess(tmp_path, mosquitto.port, parts):
            await until(lambda: any(s.source == "rack-a" for s in bodies(centre, "source.status")), 90)
            (status,) = [s for s in bodies(centre, "source.status") if s.source == "rack-a"]
            assert (status.status, status.code, status.rack) == ("lost", "camera_gone", "rack-a")
            assert "vérifier" in status.message
            pipe.write_bytes(b"A1\n")
            await until(has(centre, "code.scanned", 1))
            assert [scan.code for scan in bodies(centre, "code.scanned")] == ["A1"]


async def test_a_machine_s_parts_states_and_samples_reach_the_centre_once(tmp_path: Path, mosquitto: Mosquitto) -> None:
    port = free_port()
    machine = f'[[machine]]\nname = "tour-1"\ndriver = "shdr"\nhost = "127.0.0.1"\nport = {port}\n'
    agent = AgentProcess(tmp_path, mosquitto.port, machine)
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with agent:
            await until(lambda: any(s.status in ("error", "lost") for s in bodies(centre, "source.status")))
            assert any(s.machine == "tour-1" and s.message for s in bodies(centre, "source.status"))
            async with RecordingAdapter(port=port, speed=0, loop=False, wait_for_client=True) as adapter:
                await until(adapter.finished.is_set, 90)
                await until(has(centre, "machine.parts", 1), 60)
                await until(lambda: sum(step.delta for step in bodies(centre, "machine.parts")) >= 4, 60)
                await until(has(centre, "machine.samples", 5, "samples"), 60)
                agent.kill()
                agent.start()
                await until(lambda: any(state.repeated for state in bodies(centre, "machine.state")), 60)
            assert any(state.repeated for state in bodies(centre, "machine.state"))
            parts = bodies(centre, "machine.parts")
            assert [step.first for step in parts[1:]] == [step.last for step in parts[:-1]]
            assert sum(step.delta for step in parts) == 4  # of the recording, by an independent reading
            assert {"running", "ready"} <= {state.state for state in bodies(centre, "machine.state")}
            assert all(len(block.dt) == len(block.v) for block in bodies(centre, "machine.samples", "samples"))


async def test_one_part_is_restarted_by_command_once_and_only_in_time(tmp_path: Path, mosquitto: Mosquitto) -> None:
    pipe = tmp_path / "wedge"
    os.mkfifo(pipe)
    scanner = f'[[scanner]]\nname = "scan-1"\npost = "poste-1"\nlines = "{pipe}"\n'
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with AgentProcess(tmp_path, mosquitto.port, scanner):
            await until(lambda: "pi-1" in centre.states)
            soon, past = datetime.now(UTC) + timedelta(minutes=1), datetime.now(UTC) - timedelta(minutes=1)
            for name, expires, part in (
                ("c1", soon, "scan-1"),
                ("c1", soon, "scan-1"),
                ("c2", past, "scan-1"),
                ("c3", soon, "x"),
            ):
                centre.command("pi-1", "restart", Restart(id=name, expires=expires, part=part))
            await until(has(centre, "agent.answered", 3))
            answers = sorted((answer.id, answer.done) for answer in bodies(centre, "agent.answered"))
            assert answers == [("c1", True), ("c2", False), ("c3", False)]
            await until(lambda: sum(part.restarts for part in centre.states["pi-1"].parts) == 1)
            assert centre.states["pi-1"].parts[0].restarts == 1


async def test_kill_after_kill_no_scan_is_lost_or_doubled(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """Agent and broker killed in turn: what was recorded is at the centre, once."""
    pipe = tmp_path / "wedge"
    os.mkfifo(pipe)
    scanner = f'[[scanner]]\nname = "scan-1"\npost = "poste-1"\nlines = "{pipe}"\nsame_within_s = 0\n'
    agent = AgentProcess(tmp_path, mosquitto.port, scanner)
    keeper = os.open(pipe, os.O_RDWR)  # holds what was written while no agent reads
    async with HonestCentre(Broker(port=mosquitto.port), "atelier") as centre:
        with agent:
            for n in range(5):
                os.write(keeper, b"".join(b"S%d\n" % (n * 100 + k) for k in range(100)))
                await until(has(centre, "code.scanned", n * 100 + 30), 60)
                if n == 3:
                    mosquitto.kill()
                    time.sleep(0.2)  # noqa: ASYNC251 - nothing else is to happen here
                    mosquitto.start()
                await until(has(centre, "code.scanned", (n + 1) * 100), 60)
                agent.kill()
                agent.start()
            found = [scan.code for scan in bodies(centre, "code.scanned")]
            assert sorted(found, key=lambda code: int(code[1:])) == [f"S{k}" for k in range(500)]
            assert centre.disk.conflicts == centre.disk.settlements == []
            await until(has(centre, "agent.started", 6))
            assert [start.clean for start in bodies(centre, "agent.started")] == [True] + [False] * 5
    os.close(keeper)
