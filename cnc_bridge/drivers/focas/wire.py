"""FOCAS 2 on the wire: frames, and the subpackets of a request and of its answer. Pure.

Numbers are big endian. A frame is A0 A0 A0 A0, origin (2 bytes), type (2), length of what follows (2), payload. The
payload of a request (2101) is a count, then subpackets: length with itself (2), device 1 CNC or 2 PMC (2), function
(4), five 32-bit arguments. Each is answered (2102) by its device and function, an error code (2), 4 unused bytes, the
length of its data (2), the data.

Source: the descriptions published with pyfocas 0.1.1 and diohpix/pyfanuc; docs/decisions/0012-focas-client.md.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

SYNC = b"\xa0\xa0\xa0\xa0"
HEADER = 10
OPEN, OPENED, REFUSED = 0x0101, 0x0102, 0x0103
CLOSE, CLOSED = 0x0201, 0x0202
ASK, ANSWER = 0x2101, 0x2102
_HEAD = struct.Struct(">4sHHH")
_COMMAND = struct.Struct(">HHH")


class WireError(Exception):
    """These bytes are no FOCAS."""


class Request(NamedTuple):
    """One subpacket: `device` 1 is the CNC, 2 the PMC; `function` its two halves, five signed arguments at most."""

    device: int
    function: tuple[int, int]
    arguments: tuple[int, ...] = ()


class Reply(NamedTuple):
    """One subpacket of an answer; `error` 0 is good."""

    error: int
    data: bytes


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A frame of ours."""
    return _HEAD.pack(SYNC, 1, kind, len(payload)) + payload


def header(data: bytes) -> tuple[int, int]:
    """Type and payload length of the frame that these ten bytes begin. Raises WireError."""
    sync, _, kind, length = _HEAD.unpack(data)
    if sync != SYNC:
        raise WireError(f"no frame: {data.hex(' ')}")
    return kind, length


def ask(requests: Sequence[Request]) -> bytes:
    """One frame with all `requests`."""
    parts = [struct.pack(">H", len(requests))]
    for request in requests:
        arguments = (*request.arguments, 0, 0, 0, 0, 0)[:5]
        body = _COMMAND.pack(request.device, *request.function) + struct.pack(">5i", *arguments)
        parts.append(struct.pack(">H", len(body) + 2) + body)
    return frame(ASK, b"".join(parts))


def replies(payload: bytes, requests: Sequence[Request]) -> list[Reply]:
    """What was answered to each of `requests`, in their order. Raises WireError."""
    if len(payload) < 2 or int.from_bytes(payload[:2], "big") != len(requests):
        raise WireError(f"{len(requests)} questions, another number of answers: {payload[:16].hex(' ')}")
    found, at = [], 2
    for request in requests:
        length = int.from_bytes(payload[at : at + 2], "big")
        body = payload[at + 2 : at + length]
        if length < 16 or len(body) != length - 2:
            raise WireError(f"a subpacket of {length} bytes where {len(payload) - at} are left")
        if body[:6] != _COMMAND.pack(request.device, *request.function):
            raise WireError(f"an answer to another question: {body[:6].hex(' ')}")
        error, size = struct.unpack(">h4xH", body[6:14])
        data = body[14 : 14 + size]
        if error == 0 and len(data) != size:
            raise WireError(f"{size} bytes of data announced, {len(data)} there")
        found.append(Reply(error, data))
        at += length
    return found


def scaled(data: bytes) -> float | None:
    """A number of 8 bytes: mantissa (4), unused, base 2 or 10, exponent (2, all ones: no value). Raises WireError."""
    if len(data) < 8 or data[5] not in (2, 10):
        raise WireError(f"no scaled number: {data[:8].hex(' ')}")
    if data[6:8] == b"\xff\xff":
        return None
    mantissa = int.from_bytes(data[:4], "big", signed=True)
    return float(mantissa / data[5] ** data[7])
