"""`copeau vision sign`, `markers`, `labels`, `compare`: what the agents accept, and one sentence for bad input."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from copeau.commands.vision import command
from edge_agents.rack_models import DETECTOR


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / DETECTOR).write_bytes(b"weights")
    (made / DETECTOR).with_suffix(".json").write_text("{}")
    return made


def test_what_is_signed_is_what_the_agent_checks(folder: Path, tmp_path: Path) -> None:
    out, key = tmp_path / "v2.zip", tmp_path / "key.pem"
    result = CliRunner().invoke(command, ["sign", str(folder), str(out), "--key", str(key), "--new-key"])
    assert result.exit_code == 0, result.output
    public = load_pem_public_key(key.with_suffix(".pub.pem").read_bytes())
    assert isinstance(public, Ed25519PublicKey)
    signature = bytes.fromhex((tmp_path / "v2.zip.sig").read_text())
    public.verify(signature, hashlib.sha256(out.read_bytes()).digest())
    assert zipfile.ZipFile(out).namelist() == [DETECTOR, "hand-detector.json"]
    assert key.stat().st_mode & 0o077 == 0


def test_a_key_is_never_written_over(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("precious")
    result = CliRunner().invoke(command, ["sign", str(folder), str(tmp_path / "o"), "--key", str(key), "--new-key"])
    assert result.exit_code == 2
    assert key.read_text() == "precious"


def test_markers_are_drawn(tmp_path: Path) -> None:
    out = tmp_path / "sheet.svg"
    assert CliRunner().invoke(command, ["markers", "rack-a", str(out), "--ids", "4,5,6,7"]).exit_code == 0
    assert b'data-id="7"' in out.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["sign", "{model}", "{tmp}/o.zip", "--key", "{tmp}/none.pem"], "none.pem"),
        (["sign", "{model}", "{tmp}/o.zip", "--key", "{model}/hand-detector.json"], "private key"),
        (["sign", "{tmp}", "{tmp}/o.zip", "--key", "{tmp}/k.pem", "--new-key"], "no model"),
        (["markers", "rack-a", "{tmp}/m.svg", "--ids", "one"], "--ids"),
        (["markers", "rack-a", "{tmp}/m.svg", "--ids", "0,1"], ""),
        (["markers", "rack-a", "{tmp}/none/m.svg"], "none"),
        (["labels", "http://127.0.0.1:9", "{tmp}/l", "--by", "p1"], "127.0.0.1:9"),
        (["labels", "nas", "{tmp}/l", "--by", "p1"], "nas"),
        (["compare", "{tmp}/a.onnx", "{tmp}/b.onnx"], "a.onnx"),
        (["eval", "--rendered", "--slots", "13"], "--slots 13"),
        (["eval", "--rendered", "--cases", "juggle"], "juggle"),
        (["eval", "--rendered", "--size", "big"], "--size"),
        (["eval", "--hands", "--photos", "{tmp}"], "hands-backlit"),
        (["eval", "--clip", "--photos", "{tmp}"], "clip"),
        (["eval", "--clip", "--judge", "{model}/none.onnx"], "none.onnx"),
        (["recette", "{tmp}/none", "--rack", "{tmp}/none.json"], "none.json"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    filled = [part.format(tmp=tmp_path, model=folder) for part in arguments]
    result = CliRunner().invoke(command, filled)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) <= 2  # a note on what judges may come first
    assert "Traceback" not in result.output


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("vision.markers")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cv2", None)
    result = CliRunner().invoke(command, ["markers", "rack-a", str(tmp_path / "m.svg")])
    assert result.exit_code == 2
    assert "'cv2'" in result.stderr


def test_a_file_that_is_no_description_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "rack.json").open("wb") as file:
        file.truncate(600_000_000)
    result = CliRunner().invoke(command, ["watch", str(tmp_path), "--rack", str(tmp_path / "rack.json")])
    assert result.exit_code == 2
    assert "too large" in result.stderr


def test_eval_without_anything_to_do_says_what_there_is() -> None:
    result = CliRunner().invoke(command, ["eval"])
    assert result.exit_code == 2
    assert "--rendered" in result.stderr
