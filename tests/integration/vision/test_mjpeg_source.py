"""MJPEG over HTTP from a real small server: read, thinned, lost, waited for, cut in the source's own step."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np
import pytest

from vision.sources import CameraGoneError, CameraSource, open_source

OUTSIDE = (255, 0, 255)


class MjpegCamera(ThreadingHTTPServer):
    """Sends numbered pictures; `silent` keeps the line open and sends none, `hang_up` closes after some."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.silent = threading.Event()
        self.hang_up = threading.Event()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://nobody:secret@127.0.0.1:{self.server_address[1]}/stream.mjpg"


class Answer(BaseHTTPRequestHandler):
    server: MjpegCamera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        for number in itertools.count():
            if self.server.over.is_set() or (self.server.hang_up.is_set() and number >= 40):
                return
            if self.server.silent.is_set():
                self.server.over.wait(0.1)
                continue
            image = np.full((240, 320, 3), OUTSIDE, np.uint8)
            image[60:180, 80:240] = 40 + 10 * (number % 16)
            part = cv2.imencode(".jpg", image)[1].tobytes()
            try:
                self.wfile.write(b"--picture\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(f"Content-Length: {len(part)}\r\n\r\n".encode() + part + b"\r\n")
            except OSError:
                return
            time.sleep(0.02)

    def log_message(self, *_: Any) -> None:
        """Nothing: the test's output is not a web server's log."""


@pytest.fixture
def camera() -> Iterator[MjpegCamera]:
    server = MjpegCamera()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_mjpeg_stream_over_http_is_read(camera: MjpegCamera) -> None:
    source = open_source(camera.url)
    frames = list(itertools.islice(source, 12))
    assert frames[0].image.shape == (240, 320, 3)
    assert all(b.ts >= a.ts for a, b in itertools.pairwise(frames))
    levels = [float(f.image[120, 160, 1]) for f in frames]
    assert len({round(level / 10) for level in levels}) > 5
    assert "secret" not in source.name


def test_a_stream_that_ends_is_said_and_found_again(camera: MjpegCamera) -> None:
    camera.hang_up.set()
    source = open_source(camera.url, sleep=lambda _: None)
    with pytest.raises(CameraGoneError, match="stopped answering"):
        for _ in source:
            pass
    camera.hang_up.clear()
    assert next(iter(source)).image.shape == (240, 320, 3)


def test_a_stream_that_falls_silent_with_its_line_open_is_said(camera: MjpegCamera) -> None:
    source = CameraSource(camera.url, sleep=lambda _: None, read_timeout_s=1.0)
    frames = iter(source)
    next(frames)
    camera.silent.set()
    with pytest.raises(CameraGoneError):
        for _ in frames:
            pass


def test_the_cut_is_made_before_a_streamed_frame_is_given(camera: MjpegCamera) -> None:
    def cut(image: Any) -> Any:
        kept = image[60:180, 80:240].copy()
        image[:] = 0
        image[60:180, 80:240] = kept
        return image

    for frame in itertools.islice(open_source(camera.url, cut=cut), 5):
        assert not frame.image[:50].any()
        assert frame.image[120, 160].any()
