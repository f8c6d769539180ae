"""The reader on real photos, by the comparison rules of their READMEs."""

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from vision.codes import CodeReader
from vision.codes.files import load

DATA = Path(__file__).parents[3].parent / "shared" / "data"
needs_data = pytest.mark.skipif(
    not (DATA / "barcodes").is_dir(), reason="the label photos are not at ../shared/data/barcodes"
)


def rows(folder: str) -> Iterator[tuple[Path, str, str]]:
    """Photo, format and true text (empty: the authors give none)."""
    with (DATA / "barcodes" / folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            text = row.get("text", row.get("text(empty: jsQR found none)", ""))
            yield DATA / "barcodes" / folder / row["file"], row.get("format", "qr"), text.replace("<GS>", "\x1d")


def same(seen: str, truth: str, kind: str) -> bool:
    """UPC-A is EAN-13 with a leading 0; the truth of a VIN drops its leading I."""
    if kind in ("upc_a", "ean_13"):
        return seen.zfill(13) == truth.zfill(13)
    return seen == truth or (kind == "code_39_vin" and seen == "I" + truth)


@needs_data
@pytest.mark.parametrize(("folder", "count", "floor"), [("quagga2", 23, 22), ("jsqr", 5, 5)])
@pytest.mark.parametrize("effort", ["live", "thorough"])
def test_label_photos(folder: str, count: int, floor: int, effort: str) -> None:
    reader = CodeReader(effort=effort)  # type: ignore[arg-type]  # a test's parameter
    known = [(photo, kind, truth) for photo, kind, truth in rows(folder) if truth]
    assert len(known) == count
    answers = [
        (photo.name, truth, [same(code.text, truth, kind) for code in reader.read(load(photo))])
        for photo, kind, truth in known
    ]
    assert [answer for answer in answers if False in answer[2]] == []
    assert sum(True in matches for *_, matches in answers) >= floor


@needs_data
def test_photos_without_truth_give_web_addresses_or_nothing() -> None:
    """Their QR codes exist, jsQR did not read them: what comes out must look like what people print there."""
    reader = CodeReader()
    for photo, _, truth in rows("jsqr"):
        if not truth:
            assert all("http" in code.text and code.format == "QRCode" for code in reader.read(load(photo))), photo.name


@pytest.mark.skipif(not (DATA / "photos").is_dir(), reason="the photos are not at ../shared/data/photos")
def test_photos_without_codes_give_none() -> None:
    reader = CodeReader()
    photos = sorted((DATA / "photos").glob("**/*.jpg"))
    clip = [photo for photo in photos if "clip" in str(photo)]
    chosen = [photo for photo in photos if photo not in clip] + clip[::30]
    assert len(chosen) > 20
    found = {photo.name: reader.read(load(photo)) for photo in chosen}
    assert {name: codes for name, codes in found.items() if codes} == {}


@needs_data
def test_a_photo_at_any_turn_says_the_same_or_nothing() -> None:
    reader = CodeReader()
    for photo, kind, truth in list(rows("quagga2"))[::4]:
        image = load(photo)
        for turn in (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180):
            texts = [code.text for code in reader.read(cv2.rotate(image, turn))]  # type: ignore[arg-type]  # stubs lose uint8
            assert all(same(text, truth, kind) for text in texts), (photo.name, turn, texts)
