"""Where frames come from: a folder, a video file or GIF, a USB camera, a network stream. One small port,
`FrameSource`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from vision.detectors.base import Frame as Image

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
DEFAULT_FPS = 10.0


class SourceError(RuntimeError):
    """A source that cannot give frames; the text says what to do about it."""


class CameraGoneError(SourceError):
    """A live camera that stopped answering. The source reconnects by itself when it is iterated again."""


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        ts: monotonic seconds; for recordings the position in the recording.
        index: number of the frame in the source, from 0.
    """

    image: Image
    ts: float
    index: int


class FrameSource(Protocol):
    """A blocking iterator of frames. Live sources never end; recordings do."""

    name: str
    live: bool

    def __iter__(self) -> Iterator[Frame]:
        """Frames in time order.

        Raises:
            SourceError: nothing can be read.
            CameraGoneError: a live camera is gone; iterate again to wait for it (with backoff).
        """
        ...

    def close(self) -> None:
        """Let the camera or file go."""
        ...


def open_source(
    spec: str,
    fps: float | None = None,
    loop: bool = False,
    realtime: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> FrameSource:
    """The source that ``spec`` names: a folder, a file, a camera number ("0") or an rtsp/http URL.

    Args:
        spec: as above.
        fps: rate of a folder's frames, or the rate to which a live camera is thinned; the recording's own when None.
        loop: begin a recording again when it ends.
        realtime: hold a recording to its own pace, as a camera would.
        sleep: for tests.

    Raises:
        SourceError: the folder is empty, or there is no such file.
    """
    if spec.isdigit():
        return CameraSource(int(spec), fps, sleep=sleep)
    if "://" in spec:
        return CameraSource(spec, fps, sleep=sleep)
    path = Path(spec)
    if path.is_dir():
        return RecordedSource(FolderReader(path), fps or DEFAULT_FPS, loop, realtime, sleep)
    if path.is_file():
        return RecordedSource(VideoReader(path), fps, loop, realtime, sleep)
    raise SourceError(f"{spec}: no such folder, file or camera")


class FolderReader:
    """The pictures of a folder in the order of their names."""

    fps: float | None = None

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._files = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
        if not self._files:
            raise SourceError(f"{path}: no picture in this folder ({', '.join(IMAGE_SUFFIXES)})")

    def read(self) -> Iterator[Image]:
        """Each picture; SourceError for one that cannot be decoded."""
        for file in self._files:
            image = (
                cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
                if file.stat().st_size
                else None
            )
            if image is None:
                raise SourceError(f"{file}: not a readable picture")
            yield np.asarray(image, np.uint8)


class VideoReader:
    """A video file or an animated GIF."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        capture = cv2.VideoCapture(str(path))
        opened = capture.isOpened()
        rate = float(capture.get(cv2.CAP_PROP_FPS)) if opened else 0.0
        capture.release()
        if not opened:
            raise SourceError(f"{path}: not a video that can be read here")
        self.fps: float | None = rate if 0.5 <= rate <= 240 else None

    def read(self) -> Iterator[Image]:
        """Each frame; SourceError when not even one can be decoded."""
        capture = cv2.VideoCapture(str(self._path))
        try:
            seen = 0
            while True:
                ok, image = capture.read()
                if not ok:
                    break
                seen += 1
                yield np.asarray(image, np.uint8)
            if not seen:
                raise SourceError(f"{self._path}: no frame could be decoded")
        finally:
            capture.release()


class RecordedSource:
    """A recording, as fast as it is read or at its own pace."""

    live = False

    def __init__(
        self,
        reader: FolderReader | VideoReader,
        fps: float | None,
        loop: bool,
        realtime: bool,
        sleep: Callable[[float], None],
    ) -> None:
        self.name = reader.name
        self.fps = fps or reader.fps or DEFAULT_FPS
        self._reader, self._loop, self._realtime, self._sleep = reader, loop, realtime, sleep

    def __iter__(self) -> Iterator[Frame]:
        start, index = time.monotonic(), 0
        while True:
            for image in self._reader.read():
                ts = index / self.fps
                if self._realtime:
                    ahead = start + ts - time.monotonic()
                    if ahead > 0:
                        self._sleep(ahead)
                yield Frame(image, start + ts if self._realtime else ts, index)
                index += 1
            if not self._loop:
                return

    def close(self) -> None:
        """Nothing is held between two frames."""


class CameraSource:
    """A USB camera by its number or a network stream by its URL.

    When it stops answering, the iteration ends with CameraGoneError; iterating again waits with growing pauses (0.5 …
    30 s) until it is back.
    """

    live = True

    def __init__(
        self, device: int | str, fps: float | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.name = f"camera {device}" if isinstance(device, int) else _without_password(device)
        self._device, self._fps, self._sleep = device, fps, sleep
        self._pause = 0.0
        self._index = 0
        self._capture: cv2.VideoCapture | None = None

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        least = 1.0 / self._fps if self._fps else 0.0
        due = 0.0
        try:
            while True:
                if not capture.grab():
                    self._lengthen()
                    raise CameraGoneError(f"{self.name} stopped answering; trying again")
                now = time.monotonic()
                if now < due:
                    continue
                ok, image = capture.retrieve()
                if not ok:
                    continue
                due = max(due + least, now - least)
                self._pause = 0.0
                yield Frame(np.asarray(image, np.uint8), now, self._index)
                self._index += 1
        finally:
            self.close()

    def close(self) -> None:
        """Release the camera."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _open(self) -> cv2.VideoCapture:
        if self._pause:
            self._sleep(self._pause)
        self.close()
        capture = cv2.VideoCapture(self._device)
        if not capture.isOpened():
            capture.release()
            self._lengthen()
            raise CameraGoneError(f"{self.name} cannot be opened: is it plugged in, and is its address right?")
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture = capture
        return capture

    def _lengthen(self) -> None:
        self._pause = min(30.0, max(0.5, self._pause * 2))


def _without_password(url: str) -> str:
    head, sep, tail = url.partition("://")
    _, at, host = tail.rpartition("@")
    return f"{head}{sep}{host}" if at else url
