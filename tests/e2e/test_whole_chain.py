"""From the floor to the page through every room: camera or controller, agent, broker, centre, browser."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import cv2
import msgspec
import pytest
from playwright.sync_api import Page, expect

from cnc_bridge.testing.opcua_machine import example_config
from contracts import racks
from contracts.facts import CodeScanned
from copeau.demo.processes import Processes
from copeau.servers.broker import Broker, free_port
from tests.e2e.harness import SITE, Centre, Terminal
from tests.e2e.seed import INSERT, INSERT_EAN
from vision.rendering.live import LiveRack

SEED = 3
LABEL = "Plaquette CNMG 120408"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    running = Processes(tmp_path / "logs")
    yield running
    running.stop_all()


def run_agent(
    processes: Processes, directory: Path, name: str, broker: Broker, parts: str, centre: Centre | None = None
) -> None:
    config = directory / f"{name}.toml"
    head = f'[agent]\nname = "{name}"\nsite = "{SITE}"\n\n[centre]\nport = {broker.port}\nheartbeat_s = 1\n'
    head += "\n" if centre is None else f'http = "{centre.url}"\n\n'
    config.write_text(f'{head}[outbox]\npath = "{name}.outbox.db"\n\n{parts}', encoding="utf-8")
    processes.copeau(name, "agent", "run", config)


def film_a_pick(directory: Path) -> str:
    """Frames of a rest, one take, and a long rest, with the rack's file; the slot that was taken from."""
    live = LiveRack(SEED)
    stretches = [live.rest(40), live.session("take"), live.rest(600)]
    taken = [slot for stretch in stretches for _, slot, delta in stretch.events if delta == -1]
    frames = directory / "frames"
    frames.mkdir()
    for number, image in enumerate(image for stretch in stretches for image in stretch.frames):
        cv2.imwrite(str(frames / f"{number:05d}.jpg"), image)
    counts = {slot.id: len(slot.items) for slot in LiveRack(SEED).scene.slots}
    rack = racks.parse(live.rack)
    slots = [
        msgspec.structs.replace(slot, item=INSERT if slot.id in taken else f"AUTRE-{slot.id}", count=counts[slot.id])
        for slot in rack.slots
    ]
    (directory / "rack.json").write_bytes(racks.dump(msgspec.structs.replace(rack, slots=slots)))
    (slot,) = taken
    return str(slot)


def test_a_rendered_pick_and_its_scan_are_one_movement_on_the_page(
    page: Page, centre: Centre, broker: Broker, processes: Processes, tmp_path: Path
) -> None:
    slot = film_a_pick(tmp_path)
    page.goto("/stock")
    page.evaluate("window.sameDocument = true")
    rack = '[[rack]]\nname = "rack-film"\nsource = "frames"\nrack = "rack.json"\nfps = 10\n'
    run_agent(processes, tmp_path, "pi-rack", broker, rack, centre)
    moved = page.locator("#movements li[id^=mouvement]", has_text="Pris").filter(has_text=LABEL)
    expect(moved).to_have_count(1, timeout=90_000)
    expect(moved).to_contain_text(f"rack-film/{slot}")
    expect(moved).to_contain_text("Caméra")
    screen = page.context.new_page()
    screen.goto("/rack/rack-film/ecran")
    pair = screen.locator(".pair img")
    expect(pair).to_have_count(2)
    for picture in pair.all():
        expect(picture).to_have_js_property("complete", value=True)
        assert picture.evaluate("image => image.naturalWidth") > 20
    screen.close()

    Terminal(centre, "poste-scan").send(scan_of(INSERT_EAN))
    expect(moved).to_contain_text("Scan")
    expect(moved).to_contain_text("Caméra")
    expect(moved).to_have_count(1)
    assert page.evaluate("window.sameDocument") is True


def scan_of(code: str) -> CodeScanned:
    return CodeScanned(code=code, format="EAN13", post="poste-scan", action="take")


def test_a_machine_whose_server_is_killed_shows_no_news(
    page: Page, centre: Centre, broker: Broker, processes: Processes, tmp_path: Path
) -> None:
    port = free_port()
    server = processes.copeau("server", "cnc", "simulate", "--port", str(port), "--cycle", "60")
    processes.wait_for_port("server", port)
    settings = example_config(f"opc.tcp://127.0.0.1:{port}/copeau", "tour-1")
    machine = settings.replace(
        '[machine]\nid = "tour-1"\n\n[driver]\nkind = ', '[[machine]]\nname = "tour-1"\ndriver = '
    ).replace("[driver.signals]", "[machine.signals]")
    run_agent(processes, tmp_path, "pi-tour", broker, machine)
    page.goto("/")
    state = page.locator(".tile", has_text="Tour 1").locator(".state")
    expect(state).to_have_text("En production", timeout=90_000)
    os.killpg(server.pid, signal.SIGKILL)
    expect(state).to_have_text("Sans nouvelles", timeout=90_000)
    processes.stop("server")
    processes.copeau("server again", "cnc", "simulate", "--port", str(port), "--cycle", "60")
    expect(state).to_have_text("En production", timeout=90_000)
