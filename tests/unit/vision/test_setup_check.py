"""The clear zone of a machine before the cut: things that were put there, light that changed, doors that moved."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner

from copeau.commands.vision import command
from vision.setup_check import SetupCheckError, changed_zones

Picture = npt.NDArray[np.uint8]


def scene(seed: int = 3) -> Picture:
    """A vise, slots of a table and machined texture, 640 x 480 grey."""
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.normal(120, 40, (480, 640)).astype(np.float32), (0, 0), 3) + 0.0
    for x in range(40, 640, 90):
        picture[:, x : x + 14] -= 50
    cv2.rectangle(picture, (230, 180), (420, 320), 170.0, -1)
    cv2.rectangle(picture, (250, 230), (400, 270), 90.0, -1)
    return np.clip(picture, 0, 255).astype(np.uint8)


def lit(picture: Picture, gain: float, *, seed: int = 9) -> Picture:
    """Another exposure, a light gradient and sensor noise."""
    ramp = np.linspace(0.8, 1.25, picture.shape[1])[None, :]
    noise = np.random.default_rng(seed).normal(0, 2.0, picture.shape)
    return np.clip(picture * gain * ramp + noise, 0, 255).astype(np.uint8)


def with_key(picture: Picture, x: int = 500, y: int = 330) -> Picture:
    """A chuck key left behind."""
    out = picture.copy()
    cv2.line(out, (x, y), (x + 60, y + 25), 235, 9)
    cv2.line(out, (x + 10, y + 30), (x + 35, y - 20), 235, 7)
    return out


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.25])
def test_a_forgotten_key_is_found_where_it_lies(gain: float) -> None:
    found = changed_zones(scene(), lit(with_key(scene()), gain))
    assert found
    first = found[0]
    assert 480 <= first.x + first.width / 2 <= 570
    assert 310 <= first.y + first.height / 2 <= 370


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.25])
def test_light_alone_is_no_change(gain: float) -> None:
    assert changed_zones(scene(), lit(scene(), gain)) == []


def test_a_camera_that_moved_two_pixels_is_no_change() -> None:
    moved = np.roll(scene(), (2, -2), axis=(0, 1))
    assert changed_zones(scene(), moved, [(20, 20), (620, 20), (620, 460), (20, 460)]) == []


def test_what_went_missing_is_a_change_too() -> None:
    assert changed_zones(with_key(scene()), scene())


def test_only_the_zone_counts() -> None:
    left = [(0.0, 0.0), (300.0, 0.0), (300.0, 480.0), (0.0, 480.0)]
    assert changed_zones(scene(), with_key(scene()), left) == []
    assert changed_zones(scene(), with_key(scene(), x=100), left)


def test_pictures_of_two_cameras_are_refused() -> None:
    with pytest.raises(SetupCheckError, match="one camera"):
        changed_zones(scene(), scene()[:400])


def test_the_command_says_what_differs(tmp_path: Path) -> None:
    before, after = tmp_path / "before.png", tmp_path / "after.png"
    cv2.imwrite(str(before), scene())
    cv2.imwrite(str(after), with_key(scene()))
    run = CliRunner().invoke
    assert run(command, ["setup-check", str(before), str(before)]).exit_code == 0
    found = run(command, ["setup-check", str(before), str(after), "--zone", "0,0 639,0 639,479 0,479", "--json"])
    assert found.exit_code == 1
    assert json.loads(found.stdout.splitlines()[0])["contrast"] > 0.12
    for bad in ([str(before), str(tmp_path / "none.png")], [str(before), str(after), "--zone", "1,2"]):
        refused = run(command, ["setup-check", *bad])
        assert refused.exit_code == 2
        assert refused.stderr
