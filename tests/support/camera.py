"""A network camera for tests: an MJPEG server that shows what it is told, at 10 frames a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

FPS = 10
Image = npt.NDArray[np.uint8]


def jpeg(image: Image) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])[1])


class Camera:
    """`show` holds one picture; `play` lets frames pass and holds the last."""

    def __init__(self, first: Image) -> None:
        self._fresh = threading.Condition()
        self._image, self._shown_at = first, 0.0
        self._jpeg, self._count = jpeg(first), 1
        self._ended = False
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                count = 0
                try:
                    while not camera._ended:
                        count, content = camera._next(count)
                        head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(content)
                        self.wfile.write(head + content + b"\r\n")
                except (BrokenPipeError, ConnectionResetError):
                    return

            def log_message(self, *args: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/rack.mjpg"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._repeat, daemon=True).start()

    def show(self, image: Image) -> None:
        with self._fresh:
            self._image, self._shown_at = image, time.monotonic()
            self._jpeg, self._count = jpeg(image), self._count + 1
            self._fresh.notify_all()

    def play(self, frames: Iterable[Image]) -> None:
        """Takes as long as they last."""
        due = time.monotonic()
        for frame in frames:
            self.show(frame)
            due += 1 / FPS
            time.sleep(max(0.0, due - time.monotonic()))

    def stop(self) -> None:
        self._ended = True
        self._server.shutdown()
        self._server.server_close()

    def _repeat(self) -> None:
        """A picture that stays has the noise of a sensor: the very same bytes would be a frozen camera's."""
        dice = np.random.default_rng(1)
        while not self._ended:
            time.sleep(1 / FPS)
            with self._fresh:
                image, shown_at = self._image, self._shown_at
            if time.monotonic() - shown_at < 2 / FPS:
                continue
            noisy = np.clip(image + dice.normal(0, 1.5, image.shape), 0, 255).astype(np.uint8)
            with self._fresh:
                if self._shown_at == shown_at:
                    self._jpeg, self._count = jpeg(noisy), self._count + 1
                    self._fresh.notify_all()

    def _next(self, after: int) -> tuple[int, bytes]:
        with self._fresh:
            self._fresh.wait_for(lambda: self._count > after, timeout=5)
            return self._count, self._jpeg
