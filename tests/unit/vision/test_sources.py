"""Frame sources."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from vision.sources import CameraGoneError, CameraSource, SourceError, open_source


def folder(tmp_path: Path, count: int = 3) -> Path:
    for i in range(count):
        cv2.imwrite(str(tmp_path / f"{i:03d}.png"), np.full((20, 30, 3), i * 10, np.uint8))
    return tmp_path


def test_a_folder_gives_its_pictures_in_order_at_the_given_rate(tmp_path: Path) -> None:
    frames = list(open_source(str(folder(tmp_path)), fps=5))
    assert [f.image[0, 0, 0] for f in frames] == [0, 10, 20]
    assert [f.ts for f in frames] == [0.0, 0.2, 0.4]


def test_a_loop_goes_on_with_rising_time(tmp_path: Path) -> None:
    frames = list(itertools.islice(open_source(str(folder(tmp_path)), fps=10, loop=True), 7))
    assert [f.index for f in frames] == list(range(7))
    assert all(b.ts > a.ts for a, b in itertools.pairwise(frames))


def test_real_time_waits_between_frames(tmp_path: Path) -> None:
    waits: list[float] = []
    list(open_source(str(folder(tmp_path)), fps=0.5, realtime=True, sleep=waits.append))
    assert len(waits) == 2
    assert all(w > 0 for w in waits)


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no picture"):
        open_source(str(tmp_path))


def test_a_missing_path_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such"):
        open_source(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("content", [b"", b"not a picture"])
def test_an_unreadable_picture_is_named(tmp_path: Path, content: bytes) -> None:
    (folder(tmp_path) / "002.png").write_bytes(content)
    with pytest.raises(SourceError, match=r"002\.png"):
        list(open_source(str(tmp_path)))


def test_a_file_that_is_no_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(SourceError, match="not a video"):
        open_source(str(tmp_path / "clip.mp4"))


def test_a_video_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 8.0, (32, 24))
    for i in range(4):
        writer.write(np.full((24, 32, 3), 40 * i, np.uint8))
    writer.release()
    frames = list(open_source(str(path)))
    assert len(frames) == 4
    assert frames[1].ts == pytest.approx(1 / 8)


def test_a_camera_that_is_gone_is_said_and_waited_for_with_growing_pauses() -> None:
    waits: list[float] = []
    camera = CameraSource("rtsp://nobody:secret@127.0.0.1:9/none", sleep=waits.append)
    for _ in range(4):
        with pytest.raises(CameraGoneError) as gone:
            next(iter(camera))
        assert "secret" not in str(gone.value)
    assert waits == [0.5, 1.0, 2.0]
