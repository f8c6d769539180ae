"""The Raspberry Pi's own camera, through picamera2 where the system has it (``apt install python3-picamera2``).

Written after picamera2's manual and not tested here: no Pi was available.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from vision.sources import CameraGoneError, Cut, Frame, Light, SourceError

log = logging.getLogger(__name__)

SIZE: Final = (1920, 1080)
_SETTLE_S: Final = 2.0


class PiCameraSource:
    """Frames of one Pi camera.

    Args:
        number: which camera, 0 or 1 on a Pi 5.
        fps: rate to which it is thinned.
        sleep: for tests.
        cut: applied to its own array before a frame is given.

    Raises:
        SourceError: picamera2 is not installed.
    """

    live = True

    def __init__(
        self,
        number: int,
        fps: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
        cut: Cut | None = None,
    ) -> None:
        try:
            self._module: Any = importlib.import_module("picamera2")
        except ImportError as problem:
            raise SourceError(
                "picamera2 is not here: on a Raspberry Pi run `apt install python3-picamera2` and make the agent's "
                "environment with --system-site-packages"
            ) from problem
        self.name = f"picamera2:{number}"
        self.light: Light = "free"
        self._number, self._fps, self._sleep, self._cut = number, fps, sleep, cut
        self._pause = 0.0
        self._index = 0
        self._camera: Any = None

    def __iter__(self) -> Iterator[Frame]:
        camera = self._open()
        least = 1.0 / self._fps if self._fps else 0.0
        due, settled = 0.0, time.monotonic() + _SETTLE_S
        try:
            while True:
                try:
                    raw = np.asarray(camera.capture_array("main"), np.uint8)
                except (RuntimeError, OSError, TimeoutError) as problem:
                    self._lengthen()
                    raise CameraGoneError(f"{self.name} stopped answering; trying again: {problem}") from problem
                now = time.monotonic()
                if self.light == "free" and now >= settled:
                    self._hold_light(camera)
                if now < due:
                    continue
                due = max(due + least, now - least)
                self._pause = 0.0
                yield Frame(raw if self._cut is None else self._cut(raw), now, self._index)
                self._index += 1
        finally:
            self.close()

    def close(self) -> None:
        """Release the camera."""
        if self._camera is not None:
            camera, self._camera = self._camera, None
            camera.stop()
            camera.close()

    def _open(self) -> Any:
        if self._pause:
            self._sleep(self._pause)
        self.close()
        try:
            camera = self._module.Picamera2(self._number)
            # picamera2's "RGB888" is blue, green, red in the array's order
            camera.configure(camera.create_video_configuration(main={"size": SIZE, "format": "RGB888"}, buffer_count=3))
            camera.start()
        except (RuntimeError, OSError, IndexError) as problem:
            self._lengthen()
            raise CameraGoneError(
                f"{self.name} cannot be opened: is its ribbon in, and does no other program hold it? {problem}"
            ) from problem
        self._camera = camera
        self.light = "free"
        return camera

    def _hold_light(self, camera: Any) -> None:
        """Freeze the exposure and white balance that the automatics found."""
        found = camera.capture_metadata()
        held = {k: found[k] for k in ("ExposureTime", "AnalogueGain", "ColourGains") if k in found}
        camera.set_controls({"AeEnable": False, "AwbEnable": False} | held)
        self.light = "locked"
        log.info("%s: exposure and white balance locked: %s", self.name, held)

    def _lengthen(self) -> None:
        self._pause = min(30.0, max(0.5, self._pause * 2))
