from __future__ import annotations

import os
import struct

import pytest

from edge_agents.clock import Clock
from edge_agents.outbox import Fact, OutboxFullError
from edge_agents.parts.feeds import KeyReader, LineReader
from edge_agents.parts.scanner import Same, Scan, ScannerPart, _legible, fitting, of_device
from edge_agents.sections import ScannerSection


def strokes(text: str) -> bytes:
    """Linux input events as a US keyboard makes them, with their SYN events between."""
    plain = {c: 2 + n for n, c in enumerate("1234567890-=")} | {c: 16 + n for n, c in enumerate("qwertyuiop")}
    plain |= {c: 30 + n for n, c in enumerate("asdfghjkl;")} | {c: 44 + n for n, c in enumerate("zxcvbnm,./")}
    plain |= {"\n": 28}
    shifted = {":": ";", "_": "-"}
    out = b""
    for c in text:
        shift = c.isupper() or c in shifted
        key = plain[shifted.get(c, c.lower())]
        events = [(1, 42, 1)] * shift + [(1, key, 1), (0, 0, 0), (1, key, 0)] + [(1, 42, 0)] * shift
        out += b"".join(struct.pack("llHHi", 0, 0, *event) for event in events)
    return out


@pytest.mark.parametrize("ending", [b"\n", b"\r", b"\r\n"])
def test_lines_end_as_scanners_end_them(ending: bytes) -> None:
    reader = LineReader()
    assert reader.feed(b"3245060" + ending + b"OP:OF118-20") == ["3245060"]
    assert reader.feed(b":K" + ending + ending) == ["OP:OF118-20:K"]


def test_a_scanner_without_suffix_ends_its_code_by_a_pause() -> None:
    assert LineReader().feed(b"12") == LineReader().idle() == []
    reader = LineReader(ends_by_pause=True)
    assert reader.feed(b"12") == []
    assert reader.feed(b"34") == []
    assert reader.idle() == ["1234"]
    assert reader.idle() == []


def test_endless_noise_is_not_kept() -> None:
    reader = LineReader()
    for _ in range(100):
        assert reader.feed(b"x" * 100) == []
    assert reader.feed(b"\nA\n")[-1] == "A"
    assert len(reader._rest) <= 4096


def test_key_strokes_in_any_pieces_become_the_code() -> None:
    reader = KeyReader()
    data = strokes("OP:OF118-20:K\nab_9\n")
    found = [scan for n in range(0, len(data), 7) for scan in reader.feed(data[n : n + 7])]
    assert found == ["OP:OF118-20:K", "ab_9"]


@pytest.mark.parametrize(
    ("sent", "scan"),
    [
        ("3245060\x1d", Scan("3245060", "wedge")),
        ("]C13245060", Scan("3245060", "Code128")),
        ("]Q1OP:X:1", Scan("OP:X:1", "QRCode")),
        ("]x9abc", Scan("abc", "wedge")),
        (" \x00 ", None),
    ],
)
def test_a_symbology_sent_in_front_is_understood(sent: str, scan: Scan | None) -> None:
    assert of_device(sent) == scan


def test_the_same_code_within_five_seconds_is_one() -> None:
    same = Same(5000)
    assert [same.is_new("A", at) for at in (0, 3000, 4999, 5000, 9000)] == [True, False, False, True, False]
    assert same.is_new("B", 9001)


def test_a_code_that_lies_before_the_camera_is_one_as_long_as_it_lies() -> None:
    same = Same(5000, while_seen=True)
    assert [same.is_new("A", at) for at in range(0, 60_000, 1000)] == [True] + [False] * 59
    assert same.is_new("A", 64_000)


def test_codes_too_long_for_a_fact_stay_different() -> None:
    assert fitting("x" * 120) == "x" * 120
    one, other = fitting("x" * 200 + "1"), fitting("x" * 200 + "2")
    assert one != other
    assert len(one) == len(other) <= 120


class FakeDesk:
    """The agent's side of a part: an outbox that refuses its first write."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.refuse = True

    async def put(self, new: list[Fact], cursor: object = None) -> None:
        if self.refuse:
            self.refuse = False
            raise OutboxFullError("full", "Mémoire pleine.")
        self.written += [fact.body.code for fact in new]  # type: ignore[attr-defined]  # scans only


async def test_a_scan_that_could_not_be_written_can_be_made_again_at_once() -> None:
    part = ScannerPart(ScannerSection(name="douchette", post="magasin", lines="-"))
    desk = FakeDesk()
    moment = Clock().now()
    with pytest.raises(OutboxFullError):
        await part._record([Scan("3245060", "EAN13")], moment, desk)  # type: ignore[arg-type]  # a fake at the port
    await part._record([Scan("3245060", "EAN13")], moment, desk)  # type: ignore[arg-type]  # a fake at the port
    await part._record([Scan("3245060", "EAN13")], moment, desk)  # type: ignore[arg-type]  # a fake at the port
    assert desk.written == ["3245060"]


def test_a_photo_whose_name_is_not_utf_8_has_a_name_that_can_be_stored() -> None:
    name = os.fsdecode(b"pi\xe8ce.jpg")
    with pytest.raises(UnicodeEncodeError):
        name.encode()
    assert _legible(name) == "pi\\udce8ce.jpg"
    assert _legible("pièce.jpg") == "pièce.jpg"
