"""The renderer is deterministic and its truth holds together."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vision.rendering.episodes import render_episode, write_episode
from vision.rendering.hand_pictures import load_material, render_hand_picture, write_hand_pictures
from vision.slots import HAND, load_rack

MATERIAL = load_material(None)


def test_the_same_seed_gives_the_same_picture() -> None:
    (a, boxes_a), (b, boxes_b) = render_hand_picture(5, MATERIAL), render_hand_picture(5, MATERIAL)
    assert np.array_equal(a, b)
    assert boxes_a == boxes_b
    assert not np.array_equal(a, render_hand_picture(6, MATERIAL)[0])


def test_labels_lie_inside_the_picture_and_some_pictures_have_none() -> None:
    drawn = [render_hand_picture(seed, MATERIAL) for seed in range(12)]
    for image, boxes in drawn:
        for box in boxes:
            assert 0 <= box.x0 < box.x1 <= image.shape[1]
            assert 0 <= box.y0 < box.y1 <= image.shape[0]
            assert box.label == HAND
    assert {bool(boxes) for _, boxes in drawn} == {True, False}


def test_a_data_set_has_a_label_file_for_each_picture(tmp_path: Path) -> None:
    config = write_hand_pictures(tmp_path, 4, 2, 4, None)
    assert config.is_file()
    for part, count in (("train", 4), ("val", 2)):
        assert len(list((tmp_path / "images" / part).glob("*.jpg"))) == count
        labels = list((tmp_path / "labels" / part).glob("*.txt"))
        assert len(labels) == count
        rows = [line.split() for label in labels for line in label.read_text().splitlines()]
        assert all(row[0] == "0" and all(0 <= float(v) <= 1 for v in row[1:]) for row in rows)


@pytest.mark.parametrize(("action", "total"), [("take", -1), ("return", 1), ("nothing", 0), ("take_and_put_back", 0)])
def test_an_episodes_truth_is_what_its_action_says(action: str, total: int) -> None:
    episode = render_episode(3, action, "steady")
    assert sum(episode.deltas.values()) == total
    assert len(episode.frames) > 25


def test_an_episode_on_disk_has_the_published_layout(tmp_path: Path) -> None:
    write_episode(tmp_path / "e", render_episode(4, "take", "steady"))
    rack = load_rack(tmp_path / "e" / "rack.json")
    truth = json.loads((tmp_path / "e" / "truth.json").read_text())
    assert truth["fps"] == 10
    assert set(truth["deltas"]) <= {slot.id for slot in rack.slots}
    first = cv2.imread(str(tmp_path / "e" / "frames" / "00000.jpg"))
    assert first is not None
    for slot in rack.slots:
        assert slot.polygon[:, 0].max() < first.shape[1] + 20
