"""Frame sources."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from vision.sources import PICTURE_LIMIT, CameraGoneError, CameraSource, SourceError, _hold_light, open_source


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


def video(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 8.0, (64, 48))
    noise = np.random.default_rng(0)
    for _ in range(count):
        writer.write(noise.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    writer.release()
    return path


def test_a_video_that_was_cut_off_is_said_after_its_last_frame(tmp_path: Path) -> None:
    path = video(tmp_path / "clip.avi", 60)
    os.truncate(path, path.stat().st_size // 2)
    seen: list[int] = []
    with pytest.raises(SourceError, match="cut off"):
        seen.extend(frame.index for frame in open_source(str(path)))
    assert 20 < len(seen) < 40


def test_a_video_without_its_end_is_said(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 8.0, (64, 48))
    for i in range(30):
        writer.write(np.full((48, 64, 3), 8 * i, np.uint8))
    writer.release()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(SourceError, match="cut off"):
        open_source(str(path))


def test_a_huge_file_among_pictures_is_not_loaded(tmp_path: Path) -> None:
    with (folder(tmp_path) / "003.png").open("wb") as file:
        file.truncate(PICTURE_LIMIT + 1)
    with pytest.raises(SourceError, match=r"003\.png: 64 MB, too large"):
        list(open_source(str(tmp_path)))


def test_a_huge_file_that_is_no_video_is_said(tmp_path: Path) -> None:
    with (tmp_path / "clip.mp4").open("wb") as file:
        file.truncate(600 * 2**20)
    with pytest.raises(SourceError, match="not a video"):
        open_source(str(tmp_path / "clip.mp4"))


def test_a_text_in_place_of_a_video_is_said(tmp_path: Path) -> None:
    (tmp_path / "rack.csv").write_text("a;b;c\n" * 1000)
    with pytest.raises(SourceError, match="not a video"):
        open_source(str(tmp_path / "rack.csv"))


def test_a_camera_device_that_is_not_there_is_a_camera_gone() -> None:
    with pytest.raises(CameraGoneError, match="/dev/video97"):
        next(iter(open_source("/dev/video97", sleep=lambda _: None)))


def test_without_picamera2_the_next_step_is_said() -> None:
    with pytest.raises(SourceError, match="apt install python3-picamera2"):
        open_source("picamera2")
    with pytest.raises(SourceError, match="picamera2:1"):
        open_source("picamera2:left")


def test_the_cut_is_made_before_a_recorded_frame_is_given(tmp_path: Path) -> None:
    def cut(image: np.ndarray) -> np.ndarray:
        image[:10] = 7
        return image

    for source in (
        open_source(str(folder(tmp_path)), cut=cut),
        open_source(str(video(tmp_path / "c.avi", 3)), cut=cut),
    ):
        assert all((frame.image[:10] == 7).all() for frame in source)


class FakeCapture:
    """A V4L2 camera; `stubborn` drivers ignore what they are told."""

    def __init__(self, stubborn: bool) -> None:
        self.stubborn = stubborn
        self.values = {
            cv2.CAP_PROP_AUTO_EXPOSURE: 3.0,
            cv2.CAP_PROP_EXPOSURE: 156.0,
            cv2.CAP_PROP_AUTO_WB: 1.0,
            cv2.CAP_PROP_WB_TEMPERATURE: 4600.0,
        }

    def get(self, prop: int, /) -> float:
        return self.values.get(prop, -1.0)

    def set(self, prop: int, value: float, /) -> bool:
        if self.stubborn:
            return False
        if prop == cv2.CAP_PROP_AUTO_EXPOSURE:  # many drivers jump to their default when the automatic goes off
            self.values[cv2.CAP_PROP_EXPOSURE] = 250.0
        self.values[prop] = value
        return True


def test_light_is_held_at_what_the_automatic_found() -> None:
    camera = FakeCapture(stubborn=False)
    assert _hold_light(camera) == "locked"
    assert camera.values[cv2.CAP_PROP_EXPOSURE] == 156.0
    assert camera.values[cv2.CAP_PROP_WB_TEMPERATURE] == 4600.0


def test_a_driver_that_does_not_obey_is_said() -> None:
    assert _hold_light(FakeCapture(stubborn=True)) == "free"
