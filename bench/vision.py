"""What the eyes cost: hands a second by runtime, an idle rack, four racks on two cores."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from bench.figures import machine, quantiles
from vision.detectors import Detector, DetectorError, make_detector
from vision.rendering import RackShow
from vision.slots import Rack
from vision.watching import RackWatcher

Picture = npt.NDArray[np.uint8]
_RUNTIMES: Final = ("onnx", "ncnn", "openvino")
_SLOTS: Final = 40
_FPS: Final = 5.0
_RESTS, _SESSIONS = 24, 4


def run(*, calls: int, seconds: float, palm: Path | None) -> dict[str, Any]:
    """Everything in one run. `calls` detections a runtime; `seconds` of watching for each of the others."""
    return {
        "machine": machine(),
        "hands": hands(calls, palm),
        "idle": _apart(idle, seconds),
        "four_racks": four_racks(seconds),
    }


def hands(calls: int, palm: Path | None = None) -> list[dict[str, Any]]:
    """Detections a second on one core: a 1080p picture in, boxes out, the fitting to 320 px included."""
    cv2.setNumThreads(1)
    pictures = _film(RackShow(seed=31, slots=_SLOTS), sessions=1)[0][-20:]
    rows: list[dict[str, Any]] = []
    makers: list[tuple[str, Callable[[], Detector]]] = [(name, partial(make_detector, name)) for name in _RUNTIMES]
    if palm is not None:
        from vision.detectors.palm import PalmDetector

        makers.append(("palm", lambda: PalmDetector(palm)))
    for name, make in makers:
        try:
            detector = make()
        except DetectorError as missing:
            rows.append({"runtime": name, "missing": str(missing)})
            continue
        for picture in pictures:
            detector.detect(picture)
        spent = []
        for picture in itertools.islice(itertools.cycle(pictures), calls):
            begun = time.perf_counter()
            detector.detect(picture)
            spent.append((time.perf_counter() - begun) * 1000)
        rows.append(
            {"runtime": name, "model": detector.version, "calls": calls, **quantiles(spent)}
            | {"per_s": round(1000 * len(spent) / sum(spent), 1)}
        )
    return rows


def idle(seconds: float) -> dict[str, Any]:
    """A rack where nobody is, 1080p at `_FPS`: share of one core, memory of the process."""
    cv2.setNumThreads(1)
    show = RackShow(seed=32, slots=_SLOTS)
    watcher, pictures = _watcher(show), [shot.image for shot in show.rest(_RESTS)]
    clock = itertools.count()
    for picture in pictures:
        watcher.feed(picture, next(clock) / _FPS)
    spent, begun = time.process_time(), time.monotonic()
    frames = 0
    while time.monotonic() - begun < seconds:
        watcher.feed(pictures[frames % len(pictures)], next(clock) / _FPS)
        frames += 1
        time.sleep(max(0.0, begun + frames / _FPS - time.monotonic()))
    wall = time.monotonic() - begun
    return {
        "frames": frames,
        "core_share": round((time.process_time() - spent) / wall, 4),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "note": "decoding of the camera's stream not included",
    }


def four_racks(seconds: float) -> dict[str, Any]:
    """Four racks, each in its own process, all on two cores, hands coming and going without a rest between."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        each = pool.starmap(_busy, [(40 + number, seconds) for number in range(4)])
    return {"racks": each, "fps_wanted": _FPS, "lowest_fps": min(one["fps"] for one in each)}


def _busy(seed: int, seconds: float) -> dict[str, Any]:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    cv2.setNumThreads(1)
    show = RackShow(seed=seed, slots=_SLOTS)
    watcher = _watcher(show)
    pictures, first = _film(show, _SESSIONS)
    packed = [cv2.imencode(".jpg", picture)[1] for picture in pictures]
    clock = itertools.count()
    for picture in first:
        watcher.feed(picture, next(clock) / _FPS)
    begun, late = time.monotonic(), []
    frames = 0
    while (elapsed := time.monotonic() - begun) < seconds:
        due = frames / _FPS
        if elapsed < due:
            time.sleep(due - elapsed)
        picture = np.asarray(cv2.imdecode(packed[frames % len(packed)], cv2.IMREAD_COLOR), np.uint8)
        watcher.feed(picture, next(clock) / _FPS)
        frames += 1
        late.append(max(0.0, time.monotonic() - begun - frames / _FPS) * 1000)
    wall = time.monotonic() - begun
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"fps": round(frames / wall, 2), "late": quantiles(late), "rss_mb": round(memory)}


def _watcher(show: RackShow) -> RackWatcher:
    return RackWatcher(Rack.of(show.description), make_detector())


def _film(show: RackShow, sessions: int) -> tuple[list[Picture], list[Picture]]:
    """Sessions of taking and putting back, each with a short rest; and the rest before them."""
    first = [shot.image for shot in show.rest(12)]
    pictures = []
    for _ in range(sessions):
        pictures += [shot.image for shot in show.act("take")]
        pictures += [shot.image for shot in show.rest(8)]
    return pictures, first


def _apart(measure: Callable[[float], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """In a process of its own, whose memory is then its own too."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (seconds,))
