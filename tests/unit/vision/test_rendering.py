"""The renderer is deterministic and its truth holds together."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vision.rendering.dataset import CLASSES, render_example, write_dataset
from vision.rendering.episodes import render_episode, write_episode
from vision.slots import load_rack


def test_the_same_seed_gives_the_same_picture() -> None:
    (a, boxes_a), (b, boxes_b) = render_example(5), render_example(5)
    assert np.array_equal(a, b)
    assert boxes_a == boxes_b
    assert not np.array_equal(a, np.resize(render_example(6)[0], a.shape))


def test_labels_lie_inside_the_picture_and_every_class_occurs() -> None:
    seen = set()
    for seed in range(12):
        image, boxes = render_example(seed)
        for box in boxes:
            assert 0 <= box.x0 < box.x1 < image.shape[1]
            assert 0 <= box.y0 < box.y1 < image.shape[0]
            seen.add(box.label)
    assert seen == set(CLASSES)


def test_a_data_set_has_a_label_file_for_each_picture(tmp_path: Path) -> None:
    config = write_dataset(tmp_path, 3, 2, 4)
    assert config.is_file()
    for part, count in (("train", 3), ("val", 2)):
        assert len(list((tmp_path / "images" / part).glob("*.jpg"))) == count
        for label in (tmp_path / "labels" / part).glob("*.txt"):
            rows = [line.split() for line in label.read_text().splitlines()]
            assert all(0 <= float(v) <= 1 for row in rows for v in row[1:])


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
