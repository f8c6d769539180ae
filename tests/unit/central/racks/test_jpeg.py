"""Pictures that are small on the wire and huge when unfolded are refused unread."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.racks import jpeg
from central.racks.pictures import BadPictureError, Pictures


def picture(width: int = 64, height: int = 48, flags: tuple[int, ...] = ()) -> bytes:
    shades = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    done, code = cv2.imencode(".jpg", shades, flags)
    assert done
    return bytes(code)


def says(code: bytes, width: int, height: int) -> bytes:
    """The same with another size in its frame header."""
    at = next(i for i in range(len(code)) if code[i] == 0xFF and code[i + 1] in {0xC0, 0xC2})
    return code[: at + 5] + struct.pack(">HH", height, width) + code[at + 9 :]


@pytest.mark.parametrize("flags", [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)])
def test_the_size_is_read_without_decoding(flags: tuple[int, ...]) -> None:
    assert jpeg.size(picture(flags=flags)) == (64, 48)
    assert jpeg.is_jpeg(picture(flags=flags))


def test_a_bomb_is_refused() -> None:
    bomb = says(picture(), 65_500, 65_500)
    assert len(bomb) < 20_000
    assert jpeg.size(bomb) == (65_500, 65_500)
    assert not jpeg.is_jpeg(bomb)


def test_a_second_frame_does_not_hide_behind_a_small_first(monkeypatch: pytest.MonkeyPatch) -> None:
    small, bomb = picture(), says(picture(), 60_000, 60_000)
    both = small[:-2] + bomb[2:]
    assert jpeg.size(both) == (60_000, 60_000)


def test_the_rack_shows_no_bomb() -> None:
    at = datetime(2026, 5, 4, tzinfo=UTC)
    pictures = Pictures()
    with pytest.raises(BadPictureError):
        pictures.bring("rack-a", says(picture(), 65_500, 65_500), at)
    assert pictures.newest("rack-a", at) is None


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(code: bytes) -> None:
    jpeg.is_jpeg(b"\xff\xd8\xff" + code + b"\xff\xd9")
