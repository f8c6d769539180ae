"""A small file that says it is a huge picture is refused by its header."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from vision.codes.files import ImageError, load


def test_a_png_of_ten_gigapixels_is_not_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(ImageError, match="pixels"):
        load(tmp_path / "bomb.png")
