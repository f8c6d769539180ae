"""The reader on rendered labels: what it must read, and that it never says another text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.vision.codes.labels import Image, label, on_bench
from vision.codes import CodeReader, decoders

TEXTS = {
    "QRCode": "OF-2026-0012/30",
    "DataMatrix": "LOT 4711-A",
    "Code128": "OF-2026-0012",
    "Code93": "COUL47110815",
    "Code39": "OF20260012",
    "Codabar": "A4711081B",
    "ITF": "0123456789",
    "EAN13": "3574660239843",
    "EAN8": "96385074",
}


def read(image: Image, effort: str = "thorough") -> list[tuple[str, str]]:
    """Format and text of each code."""
    return [(code.format, code.text) for code in CodeReader(effort=effort).read(image)]  # type: ignore[arg-type]  # a test's parameter


@pytest.mark.parametrize("effort", ["live", "thorough"])
@pytest.mark.parametrize("name", TEXTS)
def test_an_easy_label_is_read_whole(name: str, effort: str) -> None:
    assert read(on_bench(label(TEXTS[name], name)), effort) == [(name, TEXTS[name])]


@pytest.mark.parametrize("name", ["Code128", "Code39", "EAN13", "ITF", "DataMatrix", "QRCode"])
def test_every_tilt_is_read(name: str) -> None:
    """0 to 180 degrees in steps that no rotation of the ladder hits."""
    module = 1.6 if name not in ("DataMatrix", "QRCode") else 4.0
    answers = {
        angle: read(on_bench(label(TEXTS[name], name, module), angle=angle, seed=angle)) for angle in range(4, 180, 22)
    }
    assert answers == {angle: [(name, TEXTS[name])] for angle in answers}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(TEXTS)),
    angle=st.floats(0, 180),
    module=st.floats(1.0, 2.2),
    blur=st.floats(0.3, 2.0),
    noise=st.floats(1, 25),
    seed=st.integers(0, 10**6),
)
def test_damage_may_silence_the_reader_but_never_make_it_lie(
    name: str, angle: float, module: float, blur: float, noise: float, seed: int
) -> None:
    image = on_bench(label(TEXTS[name], name, module), angle=angle, blur=blur, noise=noise, seed=seed)
    assert read(image) in ([], [(name, TEXTS[name])])


def test_most_of_the_moderately_damaged_labels_are_read() -> None:
    """The floor: 24 of 30 (bars of 1.7 px, blur up to 1 px, noise of 10 grey levels); zxing-cpp alone reads 14."""
    rng = np.random.default_rng(5)
    names = ["Code128", "Code39", "EAN13", "ITF", "QRCode", "DataMatrix"] * 5
    hits = 0
    for seed, name in enumerate(names):
        module = 1.7 if name not in ("DataMatrix", "QRCode") else 3.5
        angle, blur = float(rng.uniform(0, 180)), float(rng.uniform(0.5, 1.0))
        found = read(on_bench(label(TEXTS[name], name, module), angle=angle, blur=blur, noise=10, seed=seed))
        assert found in ([], [(name, TEXTS[name])])
        hits += bool(found)
    assert hits >= 24


@pytest.mark.parametrize("text", ["5J2451", "NWTNT4", "4NX7JF"])
def test_a_six_character_code_39_is_not_rewritten_as_code_32(text: str) -> None:
    """Such labels once came back as an Italian pharmacy number, and stopped the reader."""
    assert read(on_bench(label(text, "Code39"))) == [("Code39", text)]


def test_two_stacked_barcodes_are_two_codes() -> None:
    labels = label("OF-2026-0012", "Code128")[40:110], label("OF-2026-0013", "Code128")[40:110]
    image = on_bench(*labels, centres=((320, 180), (320, 260)))
    assert sorted(read(image)) == [("Code128", "OF-2026-0012"), ("Code128", "OF-2026-0013")]


def test_codes_of_different_kinds_are_all_read() -> None:
    image = on_bench(
        label("OF-2026-0012", "Code128", 1.5),
        label("LOT 4711", "QRCode", 4),
        label("3574660239843", "EAN13", 1.5),
        centres=((160, 120), (480, 150), (250, 360)),
    )
    assert sorted(read(image)) == [("Code128", "OF-2026-0012"), ("EAN13", "3574660239843"), ("QRCode", "LOT 4711")]


@pytest.mark.parametrize("cut", [0.35, 0.5, 0.65])
def test_a_part_of_an_interleaved_code_is_not_a_code(cut: float) -> None:
    whole = label("2167361334", "ITF", 2.5)
    assert read(on_bench(whole[:, : int(whole.shape[1] * cut)])) == []


@pytest.mark.parametrize("seed", range(8))
def test_stripes_and_noise_are_no_code(seed: int) -> None:
    rng = np.random.default_rng(seed)
    widths = rng.integers(1, 5, 160)
    line = np.repeat(np.resize([30, 225], 160), widths)[:600].astype(np.uint8)
    stripes = np.full((480, 640), 225, np.uint8)
    stripes[100:300, 20 : 20 + len(line)] = line
    assert read(stripes) == []
    assert read(rng.integers(0, 256, (480, 640), dtype=np.uint8)) == []


def test_the_polygon_lies_around_the_label() -> None:
    (code,) = CodeReader().read(on_bench(label("OF-2026-0012", "Code128"), angle=30))
    xs, ys = zip(*code.polygon, strict=True)
    assert min(xs) < 320 < max(xs)
    assert min(ys) < 240 < max(ys)


def test_only_the_asked_formats_come_out() -> None:
    image = on_bench(label("OF-2026-0012", "Code128"), label("LOT 4711", "QRCode", 3), centres=((250, 120), (300, 360)))
    assert [code.format for code in CodeReader(formats=["QRCode"]).read(image)] == ["QRCode"]


def test_colour_and_grey_give_the_same_codes() -> None:
    grey = on_bench(label("OF-2026-0012", "Code128"))
    assert read(np.dstack([grey, grey, grey])) == read(grey)


def test_without_zbar_the_reader_still_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "_zbar", lambda: None)
    assert read(on_bench(label("OF20260012", "Code39"), angle=40)) == [("Code39", "OF20260012")]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10), np.float32),
        np.zeros(10, np.uint8),
    ],
)
def test_what_is_no_image_is_refused(image: Image) -> None:
    with pytest.raises(ValueError, match="expected"):
        CodeReader().read(image)


@pytest.mark.parametrize("size", [(1, 1), (2, 5000), (9, 9), (3, 700)])
def test_tiny_and_thin_images_are_read_as_nothing(size: tuple[int, int]) -> None:
    assert read(np.full(size, 128, np.uint8)) == []


def test_unknown_settings_are_named() -> None:
    with pytest.raises(ValueError, match="Code40"):
        CodeReader(formats=["Code40"])
    with pytest.raises(ValueError, match="slow"):
        CodeReader(effort="slow")  # type: ignore[arg-type]  # the mistake under test
