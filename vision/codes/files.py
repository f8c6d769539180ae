"""Image files from people: bounded before they are decoded, and refused with a reason that they can act on."""

import stat
import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

MOST_BYTES = 64 * 1024 * 1024
MOST_PIXELS = 120_000_000


class ImageError(Exception):
    """The file cannot be used; the message is one sentence that says why."""


def load(path: Path) -> npt.NDArray[np.uint8]:
    """The image in `path` (JPEG, PNG, BMP, GIF or WebP), height x width x 3, BGR.

    ImageError when it is missing, not a file, too large, of another kind, truncated or damaged. Size and dimensions
    are judged before anything is decoded.
    """
    data = _bytes(path)
    size = _dimensions(data)
    if size is None:
        raise ImageError("not a JPEG, PNG, BMP, GIF or WebP image")
    width, height = size
    if width <= 0 or height <= 0:
        raise ImageError("the image header is damaged: it gives no size")
    if width * height > MOST_PIXELS:
        raise ImageError(
            f"the image is {width} x {height} pixels, more than the {MOST_PIXELS // 10**6} million allowed"
        )
    if not _complete(data):
        raise ImageError("the image is truncated: its end is missing")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError("the image is damaged and cannot be decoded") from error
    if image is None:
        raise ImageError("the image is damaged and cannot be decoded")
    return image.astype(np.uint8, copy=False)


def _bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError("it is a directory, not an image file")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("it is not a regular file")
        if status.st_size > MOST_BYTES:
            raise ImageError(f"the file has {status.st_size // 2**20} MiB, more than the {MOST_BYTES // 2**20} allowed")
        if status.st_size == 0:
            raise ImageError("the file is empty")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError("there is no such file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"the file cannot be read: {reason}") from error


def _dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height by the header, (0, 0) when it is damaged, None for an unknown kind."""
    try:
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return struct.unpack(">II", data[16:24])
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return struct.unpack("<HH", data[6:10])
        if data[:2] == b"BM":
            width, height = struct.unpack("<ii", data[18:26])
            return width, abs(height)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg(data)[0]
    except struct.error:
        return 0, 0
    return None


def _webp(data: bytes) -> tuple[int, int]:
    """RFC 9649, sections 2.5 to 2.7."""
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if len(data) < 30:
        return 0, 0
    return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1


def _jpeg(data: bytes) -> tuple[tuple[int, int], int]:
    """Size in the frame header and the offset of the first scan (ITU-T T.81, annex B); zeros where they are missing."""
    size, at = (0, 0), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker == 0xDA:
            return size, at
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            size = (width, height)
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        at += 2 + length
    return size, 0


def _complete(data: bytes) -> bool:
    """Whether the end mark is there, for the kinds that have one."""
    if data[:3] == b"\xff\xd8\xff":
        scan = _jpeg(data)[1]
        return scan > 0 and data.find(b"\xff\xd9", scan) > 0
    if data[:4] == b"\x89PNG":
        return b"IEND" in data[-4096:]
    if data[:4] == b"RIFF":
        return len(data) >= int.from_bytes(data[4:8], "little") + 8
    return True
