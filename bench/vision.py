"""What the eyes cost: hands a second by runtime, an idle rack, four racks on two cores."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, ParamSpec, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from bench.figures import machine, quantiles
from contracts.racks import RackDescription
from vision.detectors import Detector, DetectorError, make_detector
from vision.rendering import RackShow
from vision.slots import Rack
from vision.watching import RackWatcher

P = ParamSpec("P")
R = TypeVar("R")
Picture = npt.NDArray[np.uint8]
_RUNTIMES: Final = ("onnx", "ncnn", "openvino")
_SLOTS: Final = 40
_FPS: Final = 5.0
_FIRST, _SESSIONS = 12, 4


def run(*, calls: int, seconds: float, palm: Path | None) -> dict[str, Any]:
    """Everything in one run. `calls` detections a runtime; `seconds` of watching for each of the others."""
    with TemporaryDirectory(prefix="copeau-bench-") as name:
        folder = Path(name)
        quiet = _apart(_write, folder / "quiet", 32, 0)
        return {
            "machine": machine(),
            "hands": hands(calls, palm),
            "idle": _apart(idle, folder / "quiet", quiet, seconds),
            "four_racks": four_racks(folder, seconds),
        }


def hands(calls: int, palm: Path | None = None) -> list[dict[str, Any]]:
    """Detections a second on one core: a 1080p picture in, boxes out, the fitting to 320 px included."""
    cv2.setNumThreads(1)
    pictures = list(_film(RackShow(seed=31, slots=_SLOTS), sessions=1))[-20:]
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


def idle(folder: Path, rack: RackDescription, seconds: float) -> dict[str, Any]:
    """A rack where nobody is, 1080p JPEG at `_FPS`: share of one core, most memory of the process."""
    cv2.setNumThreads(1)
    packed, watcher, clock = _pictures(folder), _watcher(rack), itertools.count()
    for picture in map(_unpacked, packed):
        watcher.feed(picture, next(clock) / _FPS)
    spent, begun = time.process_time(), time.monotonic()
    frames, seeing = 0, 0.0
    while time.monotonic() - begun < seconds:
        picture = _unpacked(packed[frames % len(packed)])
        before = time.process_time()
        watcher.feed(picture, next(clock) / _FPS)
        seeing += time.process_time() - before
        frames += 1
        time.sleep(max(0.0, begun + frames / _FPS - time.monotonic()))
    wall = time.monotonic() - begun
    return {
        "frames": frames,
        "core_share": round(seeing / wall, 4),
        "core_share_with_decoding": round((time.process_time() - spent) / wall, 4),
        "rss_mb": _most_memory(),
    }


def four_racks(folder: Path, seconds: float) -> dict[str, Any]:
    """Four racks, each in its own process, all on two cores, hands coming and going without a rest between."""
    folders = [folder / f"busy-{number}" for number in range(4)]
    racks = [_apart(_write, busy, 40 + number, _SESSIONS) for number, busy in enumerate(folders)]
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        each = pool.starmap(_busy, [(busy, rack, seconds) for busy, rack in zip(folders, racks, strict=True)])
    return {"racks": each, "fps_wanted": _FPS, "lowest_fps": min(one["fps"] for one in each)}


def _busy(folder: Path, rack: RackDescription, seconds: float) -> dict[str, Any]:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    cv2.setNumThreads(1)
    packed, watcher, clock = _pictures(folder), _watcher(rack), itertools.count()
    for picture in map(_unpacked, packed[:_FIRST]):
        watcher.feed(picture, next(clock) / _FPS)
    packed = packed[_FIRST:]
    begun, late = time.monotonic(), []
    frames = 0
    while (elapsed := time.monotonic() - begun) < seconds:
        due = frames / _FPS
        if elapsed < due:
            time.sleep(due - elapsed)
        watcher.feed(_unpacked(packed[frames % len(packed)]), next(clock) / _FPS)
        frames += 1
        late.append(max(0.0, time.monotonic() - begun - frames / _FPS) * 1000)
    wall = time.monotonic() - begun
    return {"fps": round(frames / wall, 2), "late": quantiles(late), "rss_mb": _most_memory()}


def _watcher(rack: RackDescription) -> RackWatcher:
    return RackWatcher(Rack.of(rack), make_detector())


def _write(folder: Path, seed: int, sessions: int) -> RackDescription:
    """A rack's rest and sessions of taking, each with a short rest, as numbered JPEGs; the rack they show."""
    folder.mkdir(parents=True)
    show = RackShow(seed=seed, slots=_SLOTS)
    for number, picture in enumerate(_film(show, sessions)):
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture)
    return show.description


def _film(show: RackShow, sessions: int) -> Iterator[Picture]:
    for shot in show.rest(_FIRST):
        yield shot.image
    for _ in range(sessions):
        for shot in [*show.act("take"), *show.rest(8)]:
            yield shot.image


def _pictures(folder: Path) -> list[Picture]:
    return [np.fromfile(path, np.uint8) for path in sorted(folder.glob("*.jpg"))]


def _unpacked(packed: Picture) -> Picture:
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def _most_memory() -> int:
    """The most this process ever held, MB. `getrusage` would tell the most of the process that began it too."""
    held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(held.split()[1]) / 1024)


def _apart(measure: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """In a process of its own, whose memory is then its own too."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, given, named)
