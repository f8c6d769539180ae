"""`copeau scan`: one line per image, whatever the file is."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import zxingcpp
from click.testing import CliRunner

from copeau.commands.scan import command


@pytest.fixture
def label(tmp_path: Path) -> Path:
    """A JPEG of a Code 128."""
    symbol = zxingcpp.create_barcode("OF-2026-0012", zxingcpp.BarcodeFormat.Code128)
    path = tmp_path / "label.jpg"
    cv2.imwrite(str(path), np.pad(np.array(symbol.to_image(scale=2), np.uint8), 40, constant_values=255))
    return path


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_json_is_one_line_with_the_file_as_given(label: Path) -> None:
    result = CliRunner().invoke(command, ["--json", str(label)])
    assert result.exit_code == 0
    codes = [{"format": "Code128", "text": "OF-2026-0012"}]
    assert [json.loads(line) for line in result.stdout.splitlines()] == [{"file": str(label), "codes": codes}]


def test_without_json_a_person_reads_it(label: Path) -> None:
    result = CliRunner().invoke(command, [str(label)])
    assert result.stdout == f'{label}: Code128 "OF-2026-0012"\n'


def test_bad_files_are_explained_and_the_good_one_is_still_read(label: Path, tmp_path: Path) -> None:
    whole = label.read_bytes()
    bad = {
        "truncated.jpg": (whole[: len(whole) // 2], "truncated"),
        "headless.jpg": (whole[:3], "damaged"),
        "text.png": (b"not an image", "not a JPEG"),
        "empty.png": (b"", "empty"),
        "bomb.png": (png(60_000, 60_000), "60000 x 60000"),
        "hollow.png": (png(40, 40), "damaged"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(600_000_000)  # sparse: it takes no room
    names = [*bad, "huge.jpg", "absent.jpg", "."]
    reasons = [*(reason for _, reason in bad.values()), "572 MiB", "no such file", "directory"]

    result = CliRunner().invoke(command, ["--json", *(str(tmp_path / name) for name in names), str(label)])

    assert result.exit_code == 2
    *failed, good = [json.loads(line) for line in result.stdout.splitlines()]
    assert good["codes"][0]["text"] == "OF-2026-0012"
    for answer, reason in zip(failed, reasons, strict=True):
        assert reason in answer["error"], answer
        assert answer["codes"] == []
