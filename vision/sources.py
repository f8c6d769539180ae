"""Where frames come from: a folder, a video file or GIF, a USB camera, a Pi camera, a network stream (RTSP, MJPEG over
HTTP). One small port, `FrameSource`.

A rack's source is opened with a `cut` (`vision.privacy.OutlineCut`): it is applied to the source's own array before the
frame is given to anybody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import cv2
import numpy as np

from vision.detectors.base import Frame as Image

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
DEFAULT_FPS = 10.0
PICTURE_LIMIT: Final = 64 * 2**20
"""A file larger than this, bytes, is no picture of a camera."""
OPEN_TIMEOUT_S: Final = 8.0
READ_TIMEOUT_S: Final = 5.0
_SETTLE_S: Final = 2.0
_TRUNCATED: Final = 0.8

Cut: TypeAlias = Callable[[Image], Image]
Light: TypeAlias = Literal["locked", "free", "unknown"]
"""Exposure and white balance: held, changing by themselves, or not to be told (recordings, network cameras: set them in
the camera's own page)."""


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
    light: Light

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
    cut: Cut | None = None,
) -> FrameSource:
    """The source that ``spec`` names: a folder, a file, a camera number ("0") or device (/dev/video0,
    /dev/v4l/by-id/…, which stays the same when several are plugged in), "picamera2" or "picamera2:1", or an rtsp/http
    URL.

    Args:
        spec: as above.
        fps: rate of a folder's frames, or the rate to which a live camera is thinned; the recording's own when None.
        loop: begin a recording again when it ends.
        realtime: hold a recording to its own pace, as a camera would.
        sleep: for tests.
        cut: paints what must not be seen, in the array that it is given; what it raises ends the iteration and the
            frame is not passed on.

    Raises:
        SourceError: the folder is empty, there is no such file, or picamera2 is not installed.
    """
    if spec.isdigit():
        return CameraSource(int(spec), fps, sleep=sleep, cut=cut)
    if spec == "picamera2" or spec.startswith("picamera2:"):
        from vision.pi_camera import PiCameraSource

        number = spec.partition(":")[2] or "0"
        if not number.isdigit():
            raise SourceError(f'{spec}: write "picamera2" or "picamera2:1"')
        return PiCameraSource(int(number), fps, sleep=sleep, cut=cut)
    if "://" in spec or spec.startswith("/dev/"):
        return CameraSource(spec, fps, sleep=sleep, cut=cut)
    path = Path(spec)
    if path.is_dir():
        return RecordedSource(FolderReader(path), fps or DEFAULT_FPS, loop, realtime, sleep, cut)
    if path.is_file():
        return RecordedSource(VideoReader(path), fps, loop, realtime, sleep, cut)
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
            size = file.stat().st_size
            if size > PICTURE_LIMIT:
                raise SourceError(f"{file}: {size // 2**20} MB, too large for a picture of a camera")
            try:
                image = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR) if size else None
            except cv2.error as problem:
                raise SourceError(f"{file}: not a readable picture: {problem.err}") from problem
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
        self._expected = float(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if opened else 0.0
        capture.release()
        if not opened:
            raise SourceError(
                f"{path}: not a video that can be read here: cut off while it was copied, or of another format "
                "(MP4, AVI, MKV, GIF)"
            )
        self.fps: float | None = rate if 0.5 <= rate <= 240 else None

    def read(self) -> Iterator[Image]:
        """Each frame, one at a time; SourceError when none can be decoded, or when the file ends far too early."""
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
            if seen < _TRUNCATED * self._expected:
                raise SourceError(
                    f"{self._path}: ends after {seen} of {self._expected:.0f} frames: cut off while it was copied?"
                )
        finally:
            capture.release()


class RecordedSource:
    """A recording, as fast as it is read or at its own pace."""

    live = False
    light: Light = "unknown"

    def __init__(
        self,
        reader: FolderReader | VideoReader,
        fps: float | None,
        loop: bool,
        realtime: bool,
        sleep: Callable[[float], None],
        cut: Cut | None = None,
    ) -> None:
        self.name = reader.name
        self.fps = fps or reader.fps or DEFAULT_FPS
        self._reader, self._loop, self._realtime, self._sleep, self._cut = reader, loop, realtime, sleep, cut

    def __iter__(self) -> Iterator[Frame]:
        start, index = time.monotonic(), 0
        while True:
            for raw in self._reader.read():
                image = raw if self._cut is None else self._cut(raw)
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
    """A USB camera by its number or device, or a network stream by its URL.

    When it stops answering, the iteration ends with CameraGoneError; iterating again waits with growing pauses (0.5 …
    30 s) until it is back.

    Attributes:
        light: a USB camera's automatic exposure, white balance and focus are let settle and then held, as far as its
            driver allows.
    """

    live = True

    def __init__(
        self,
        device: int | str,
        fps: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        cut: Cut | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        self.name = f"camera {device}" if isinstance(device, int) else _without_password(device)
        self.light: Light = "unknown"
        self._device, self._fps, self._sleep, self._cut = device, fps, sleep, cut
        self._read_timeout_s = read_timeout_s
        self._pause = 0.0
        self._index = 0
        self._capture: cv2.VideoCapture | None = None

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        least = 1.0 / self._fps if self._fps else 0.0
        due, settled = 0.0, time.monotonic() + _SETTLE_S
        to_hold = not self._on_network
        try:
            while True:
                if not capture.grab():
                    self._lengthen()
                    raise CameraGoneError(f"{self.name} stopped answering; trying again")
                now = time.monotonic()
                if to_hold and now >= settled:
                    to_hold = False
                    self.light = _hold_light(capture)
                    log.info("%s: exposure and white balance %s", self.name, self.light)
                if now < due:
                    continue
                ok, image = capture.retrieve()
                if not ok:
                    continue
                due = max(due + least, now - least)
                self._pause = 0.0
                raw = np.asarray(image, np.uint8)
                yield Frame(raw if self._cut is None else self._cut(raw), now, self._index)
                self._index += 1
        finally:
            self.close()

    def close(self) -> None:
        """Release the camera."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    @property
    def _on_network(self) -> bool:
        return isinstance(self._device, str) and "://" in self._device

    def _open(self) -> cv2.VideoCapture:
        if self._pause:
            self._sleep(self._pause)
        self.close()
        if self._on_network:
            waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(1000 * OPEN_TIMEOUT_S)]
            waits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(1000 * self._read_timeout_s)]
            capture = cv2.VideoCapture(str(self._device), cv2.CAP_FFMPEG, waits)
        else:
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


class Adjustable(Protocol):
    """What `_hold_light` needs of a capture: OpenCV's property calls."""

    def get(self, prop: int, /) -> float: ...

    def set(self, prop: int, value: float, /) -> bool: ...


_V4L2_MANUAL: Final = 1.0


def _hold_light(capture: Adjustable) -> Light:
    """Freeze what the automatics found (V4L2): exposure first set to manual, then to the value that it had."""
    exposure = capture.get(cv2.CAP_PROP_EXPOSURE)
    warmth = capture.get(cv2.CAP_PROP_WB_TEMPERATURE)
    manual = capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _V4L2_MANUAL)
    if manual and exposure > 0:
        capture.set(cv2.CAP_PROP_EXPOSURE, exposure)
    white = capture.set(cv2.CAP_PROP_AUTO_WB, 0.0)
    if white and warmth > 0:
        capture.set(cv2.CAP_PROP_WB_TEMPERATURE, warmth)
    capture.set(cv2.CAP_PROP_AUTOFOCUS, 0.0)
    held = manual and white and capture.get(cv2.CAP_PROP_AUTO_EXPOSURE) == _V4L2_MANUAL
    return "locked" if held and capture.get(cv2.CAP_PROP_AUTO_WB) == 0.0 else "free"


def _without_password(url: str) -> str:
    head, sep, tail = url.partition("://")
    _, at, host = tail.rpartition("@")
    return f"{head}{sep}{host}" if at else url
