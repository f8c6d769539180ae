"""The demo's cameras: a small MJPEG server that shows a rendered rack and the real clip, and writes down what
it showed.

Run as its own process (``python -m copeau.demo.cameras PORT TRUTH_DIRECTORY``), so that the agent sees nothing
but an address, like any
network camera. The truth (one JSON line for each pick or return, when it was shown) is read by nobody but the
demo's closing count.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from copeau.demo.rack_show import rendered_rack
from copeau.demo.show import DATA, FPS, Shown, closing

BOUNDARY = b"frame"
CLIP_REST_S = 6.0
START_REST_S = 6.0
"""Nothing happens before somebody has watched for so long: an agent first learns what lies there."""

_STILL = 6
"""Frames at the beginning of each show in which nothing happens."""


def clip() -> Iterator[Shown]:
    """The real clip, over and over, with a rest before each take. The return of slot A closes each round.

    The frames that end the take and the return are the annotation's: source frames 213 and 400, every third kept.
    """
    frames = [path.read_bytes() for path in sorted((DATA / "clip" / "frames").glob("*.jpg"))]
    taken, returned = 213 // 3, 400 // 3
    resting = alive(frames[:_STILL])
    while True:
        for _ in range(int(CLIP_REST_S * FPS)):
            yield Shown(next(resting), [])
        if closing.is_set():
            continue
        for index, jpeg in enumerate(frames):
            yield Shown(jpeg, [("A", -1)] if index == taken else [("A", 1)] if index == returned else [])


def alive(frames: Sequence[bytes]) -> Iterator[bytes]:
    """Some frames of a rest to and fro, without end: the very same picture over and over would be a frozen camera's."""
    return itertools.cycle([*frames, *frames[-2:0:-1]])


class Camera:
    """Plays a show at `FPS` whether anybody watches or not; a watcher gets the newest frame, never a queue."""

    def __init__(self, name: str, show: Callable[[], Iterator[Shown]], truth: Path) -> None:
        self.name = name
        self._show = show
        self._truth = truth
        self._fresh = threading.Condition()
        self._jpeg = b""
        self._count = 0
        self._watched_at: float | None = None

    def play(self) -> None:
        due = time.monotonic()
        with self._truth.open("a", encoding="utf-8") as truth:
            for shown in self._after_start():
                with self._fresh:
                    self._jpeg, self._count = shown.jpeg, self._count + 1
                    self._fresh.notify_all()
                for slot, delta in shown.events:
                    line = {"at": datetime.now(UTC).isoformat(), "rack": self.name, "slot": slot, "delta": delta}
                    truth.write(json.dumps(line) + "\n")
                    truth.flush()
                due = max(due + 1 / FPS, time.monotonic() - 1.0)
                time.sleep(max(0.0, due - time.monotonic()))

    def _after_start(self) -> Iterator[Shown]:
        show = self._show()
        first = alive([shown.jpeg for shown in itertools.islice(show, _STILL)])
        while self._watched_at is None or time.monotonic() - self._watched_at < START_REST_S:
            yield Shown(next(first), [])
        yield from show

    def next(self, after: int) -> tuple[int, bytes]:
        with self._fresh:
            self._watched_at = self._watched_at or time.monotonic()
            self._fresh.wait_for(lambda: self._count > after, timeout=5)
            return self._count, self._jpeg


def handler(cameras: dict[str, Camera]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            camera = cameras.get(self.path.strip("/").removesuffix(".mjpg"))
            if camera is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}")
            self.end_headers()
            count = 0
            try:
                while True:
                    count, jpeg = camera.next(count)
                    head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (BOUNDARY, len(jpeg))
                    self.wfile.write(head + jpeg + b"\r\n")
            except (BrokenPipeError, ConnectionResetError):
                return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
            """One line a request says nothing here."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("truth", type=Path)
    arguments = parser.parse_args()
    signal.signal(signal.SIGUSR1, lambda *_: closing.set())
    arguments.truth.mkdir(parents=True, exist_ok=True)
    shows = {"rack-a": rendered_rack, "rack-b": clip}
    cameras = {name: Camera(name, show, arguments.truth / f"{name}.jsonl") for name, show in shows.items()}
    for camera in cameras.values():
        threading.Thread(target=camera.play, name=camera.name, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", arguments.port), handler(cameras)).serve_forever()


if __name__ == "__main__":
    main()
