"""From the first frame without the hand to the movement on the rack's page: camera, agent, broker, centre, all real.

The camera is an MJPEG server of rendered sessions, its own process (``python -m bench.hand_to_page PORT DIRECTORY
SESSIONS``). The page is whoever listens to ``/api/live`` and then fetches the part that a browser fetches.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

from bench.figures import machine, quantiles
from contracts import racks
from copeau.demo.cameras import Camera, alive, handler
from copeau.demo.processes import Processes
from copeau.demo.show import FPS, Shown, encode
from copeau.servers.broker import Broker, free_port

SITE: Final = "bench"
RACK: Final = "rack-a"
SEED: Final = 51
_SLOTS: Final = 40
_REST_FRAMES: Final = 15
_RENDERING_PATIENCE_S: Final = 1800.0
_AGENT: Final = """
[agent]
name = "pi-1"
site = "{site}"

[centre]
port = {broker}
http = "http://127.0.0.1:{centre}"

[outbox]
path = "outbox.db"

[[rack]]
name = "{rack}"
source = "http://127.0.0.1:{camera}/{rack}.mjpg"
rack = "rack.json"
"""


def run(sessions: int) -> dict[str, Any]:
    """So many sessions of taking, 1080p at `FPS`; most lead to one movement or one question on the page."""
    with tempfile.TemporaryDirectory(prefix="copeau-bench-") as name:
        folder = Path(name)
        processes = Processes(folder / "logs")
        try:
            with Broker(folder / "broker") as broker:
                return {"machine": machine(), **_measured(folder, processes, broker, sessions)}
        finally:
            processes.stop_all()


def _measured(folder: Path, processes: Processes, broker: Broker, sessions: int) -> dict[str, Any]:
    camera, centre = free_port(), free_port()
    command = [sys.executable, "-m", "bench.hand_to_page", str(camera), str(folder), str(sessions)]
    processes.start("camera", command)
    processes.wait_for_port("camera", camera, _RENDERING_PATIENCE_S)
    url = f"sqlite:///{folder / 'centre.db'}"
    asyncio.run(_set_up(url, racks.parse((folder / "rack.json").read_bytes())))
    arguments = ["--database", url, "--port", str(centre), "--broker", f"127.0.0.1:{broker.port}", "--site", SITE]
    settings = {"COPEAU_RACKS_BEGIN": "automatic", "COPEAU_ACCESS": "open", "COPEAU_DATA": str(folder)}
    processes.copeau("centre", "central", *arguments, more=settings)
    processes.wait_for_port("centre", centre)
    page = _Page(f"http://127.0.0.1:{centre}")
    page.start()
    config = folder / "agent.toml"
    config.write_text(_AGENT.format(site=SITE, broker=broker.port, centre=centre, camera=camera, rack=RACK))
    processes.copeau("agent", "agent", "run", config)
    while not (folder / "over").exists():
        time.sleep(1.0)
        if ended := processes.ended():
            raise RuntimeError(f"ended by itself: {ended}; see {folder / 'logs'}")
    truth = (folder / f"{RACK}.jsonl").read_text().splitlines()
    gone = [datetime.fromisoformat(json.loads(line)["at"]).timestamp() for line in truth]
    shown = _first_after(gone, page.shown)
    spent = sorted(1000 * seconds for seconds in shown if seconds is not None)
    return {
        "sessions": sessions,
        "shown": len(spent),
        "p95_ms": round(spent[int(0.95 * len(spent))]) if spent else None,
        **quantiles(spent),
    }


def _first_after(gone: list[float], shown: list[float]) -> list[float | None]:
    """For each hand that went, seconds until the page first showed something, before the next one went."""
    ordered, found = sorted(shown), []
    for at, until in zip(gone, [*gone[1:], float("inf")], strict=True):
        index = bisect.bisect_right(ordered, at)
        hit = index < len(ordered) and ordered[index] < until
        found.append(ordered[index] - at if hit else None)
    return found


class _Page(threading.Thread):
    """Listens, and fetches the places' part at each movement or question.

    Attributes:
        shown: when the fetched part was there, wall clock, seconds.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self.shown: list[float] = []

    def run(self) -> None:
        patience = httpx.Timeout(10.0, read=None)
        with httpx.Client(base_url=self._url, timeout=patience) as client, client.stream("GET", "/api/live") as events:
            for line in events.iter_lines():
                if line.startswith("data:") and {"movement", "proposals"} & json.loads(line[5:]).keys():
                    httpx.get(f"{self._url}/parts/rack/{RACK}/cases").raise_for_status()
                    self.shown.append(time.time())


async def _set_up(url: str, taught: racks.RackDescription) -> None:
    from central.core.settings import Settings
    from central.items import service as items
    from central.offline import prepare
    from central.racks import service as racks_service
    from central.stock import service as stock

    async with prepare(Settings(database_url=url, site=SITE)) as units, units.begin() as uow:
        for slot in taught.slots:
            place = f"{RACK}/{slot.id}"
            await items.add_place(uow, place)
            await items.add_item(uow, slot.item, slot.item, "other", place=place)
            if slot.count:
                await stock.receive(uow, slot.item, slot.count * 1000, place, comment="Bench", key=f"bench:{slot.id}")
        await racks_service.teach(uow, RACK, taught, by="p-bench")


def _film(folder: Path, sessions: int) -> tuple[list[Shown], list[bytes]]:
    """All the sessions, the first frame after each hand marked; and a rest to end on."""
    from vision.rendering import RackShow

    show = RackShow(seed=SEED, slots=_SLOTS)
    slots = [msgspec.structs.replace(slot, item=f"ART-{slot.id}") for slot in show.description.slots]
    (folder / "rack.json").write_bytes(racks.dump(msgspec.structs.replace(show.description, slots=slots)))
    film = [Shown(encode(shot.image), []) for shot in show.rest(FPS)]
    for _ in range(sessions):
        there = False
        for shot in show.act("take", after=_REST_FRAMES):
            left = there and not shot.hands
            there = bool(shot.hands)
            film.append(Shown(encode(shot.image), [("gone", 0)] if left else []))
    return film, [shot.jpeg for shot in film[-6:]]


def _serve() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sessions", type=int)
    arguments = parser.parse_args()
    film, rest = _film(arguments.folder, arguments.sessions)

    def show() -> Iterator[Shown]:
        yield from film
        for number, jpeg in enumerate(alive(rest)):
            if number == 3 * FPS:
                (arguments.folder / "over").touch()
            yield Shown(jpeg, [])

    camera = Camera(RACK, show, arguments.folder / f"{RACK}.jsonl")
    threading.Thread(target=camera.play, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", arguments.port), handler({RACK: camera})).serve_forever()


if __name__ == "__main__":
    _serve()
