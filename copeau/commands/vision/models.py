"""``copeau vision labels``, ``compare``, ``sign``, ``markers``: from reviewed events to a model that is rolled out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from copeau.commands.vision.common import stop

if TYPE_CHECKING:
    from vision.judging import Judge

_TIMEOUT_S = 60.0
_OUTCOMES = ("right", "wrong", "missed", "asked", "needless")


@click.command("labels")
@click.argument("centre")
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--by", required=True, help="Who fetches: pictures that leave are viewings, and logged.")
@click.option("--rack", default=None)
@click.option("--limit", type=click.IntRange(1, 1000), default=500, show_default=True)
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Those still kept.")
def labels(centre: str, out: Path, by: str, rack: str | None, limit: int, pictures: bool) -> None:
    """Fetch what persons decided at CENTRE (http://nas:8000) into OUT: labels.jsonl, and pictures before and after."""
    import httpx
    import msgspec

    wanted: dict[str, Any] = {"by": by, "limit": limit, "pictures": str(pictures).lower()}
    if rack:
        wanted["rack"] = rack
    try:
        answer = httpx.get(f"{centre.rstrip('/')}/api/racks/labels", params=wanted, timeout=_TIMEOUT_S)
        answer.raise_for_status()
        rows = msgspec.msgpack.decode(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as problem:
        stop(f"{centre}: no labels ({problem}); give the centre's address, http://nas:8000")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / "labels.jsonl").open("w", encoding="utf-8") as file:
            for row in rows:
                name = hashlib.blake2b(str(row["key"]).encode(), digest_size=8).hexdigest()
                for moment in ("before", "after"):
                    content = row.pop(moment)
                    if content:
                        (out / f"{name}-{moment}.jpg").write_bytes(content)
                plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()}
                file.write(json.dumps(plain | {"pictures": name}) + "\n")
    except OSError as problem:
        stop(f"{out}: {problem.strerror or problem}")
    kept = len(list(out.glob("*-after.jpg")))
    click.echo(f"{len(rows)} labels in {out}, {kept} with pictures")


@click.command("compare")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--labels", "folder", type=click.Path(path_type=Path), default=None, help="A folder of `vision labels`.")
@click.option(
    "--pairs", type=click.IntRange(min=10), default=400, show_default=True, help="Rendered, without --labels."
)
@click.option("--seed", type=click.IntRange(min=100), default=100, show_default=True, help="Of rendered pairs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON line.")
def compare(old: Path, new: Path, folder: Path | None, pairs: int, seed: int, as_json: bool) -> None:
    """Two slot judges, OLD.onnx and NEW.onnx, on the same labels. Exit code 1 when NEW books more wrong numbers."""
    from vision.judging import TrainedJudge
    from vision.judging.net import NetError

    try:
        judges = {name: TrainedJudge(path) for name, path in (("old", old), ("new", new))}
    except (NetError, OSError) as problem:
        stop(str(problem))
    counts = {n: _on_labels(j, folder) if folder else _on_pairs(j, pairs, seed) for n, j in judges.items()}
    figures = {
        name: {
            "version": judges[name].version,
            **{o: one[o] for o in _OUTCOMES},
        }
        for name, one in counts.items()
    }
    if as_json:
        click.echo(json.dumps(figures))
    else:
        for name, figure in figures.items():
            click.echo(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figure.items()))
    raise SystemExit(1 if counts["new"]["wrong"] > counts["old"]["wrong"] else 0)


@click.command("sign")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--key", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Ed25519, PEM, private.")
@click.option("--new-key", is_flag=True, help="Make the key, and its public half beside it (.pub.pem).")
def sign(folder: Path, out: Path, key: Path, new_key: bool) -> None:
    """Pack the models in FOLDER into OUT.zip and sign it (OUT.zip.sig): what the centre and the agents accept."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from edge_agents.rack_models import FILES, pack

    if not any((folder / name).is_file() for name in FILES if name.endswith(".onnx")):
        stop(f"{folder}: no model in it ({', '.join(name for name in FILES if name.endswith('.onnx'))})")
    try:
        if new_key:
            _make_key(key)
        private = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(private, Ed25519PrivateKey):
            stop(f"{key}: not an Ed25519 key; make one with --new-key")
        content = pack(folder)
        digest = hashlib.sha256(content)
        out.write_bytes(content)
        out.with_name(out.name + ".sig").write_text(private.sign(digest.digest()).hex() + "\n")
    except FileExistsError:
        stop(f"{key}: is there already; leave out --new-key")
    except (ValueError, TypeError) as problem:
        stop(f"{key}: not a private key in PEM without a password ({problem})")
    except OSError as problem:
        stop(f"{problem.filename or key}: {problem.strerror or problem}")
    click.echo(f"{out}: {len(content)} bytes, sha256 {digest.hexdigest()}, signed by {key.name}")


@click.command("markers")
@click.argument("rack")
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--ids", default="0,1,2,3", show_default=True, help="Numbers, clockwise from top left; one set a rack.")
@click.option("--mm", type=float, default=25.0, show_default=True, help="Side of the black square.")
def markers(rack: str, out: Path, ids: str, mm: float) -> None:
    """Draw the sheet of printed markers of RACK into OUT.svg (A4, print at 100 %)."""
    from vision.markers import MarkerSheetError, marker_sheet

    try:
        numbers = [int(part) for part in ids.split(",")]
    except ValueError:
        stop(f"--ids {ids}: write `0,1,2,3`")
    try:
        out.write_bytes(marker_sheet(rack, numbers, mm))
    except MarkerSheetError as problem:
        stop(str(problem))
    except OSError as problem:
        stop(f"{out}: {problem.strerror or problem}")
    click.echo(f"{out}: markers {ids} of {rack}")


def _make_key(path: Path) -> None:
    """Raises FileExistsError."""
    import os

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    made = Ed25519PrivateKey.generate()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    path.with_suffix(".pub.pem").write_bytes(public)


def _on_pairs(judge: Judge, pairs: int, seed: int) -> Counter[str]:
    """Rendered pairs of seeds that no training or calibration used."""
    import tempfile

    from vision.judging.examples import render_examples
    from vision.judging.measuring import judge_examples

    with tempfile.TemporaryDirectory(prefix="copeau-compare-") as folder:
        return Counter(one.outcome for one in judge_examples(judge, render_examples(Path(folder), pairs, seed)))


def _on_labels(judge: Judge, folder: Path) -> Counter[str]:
    """Reviewed pairs; what lay there before is what the judge itself reads."""
    import cv2
    import numpy as np

    from vision.judging import Crop
    from vision.slots import Slot

    try:
        rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as problem:
        stop(f"{folder}: no labels of `copeau vision labels` in it ({problem})")
    counts: Counter[str] = Counter()
    for row in rows:
        read = [cv2.imread(str(folder / f"{row['pictures']}-{moment}.jpg")) for moment in ("before", "after")]
        pictures = [picture for picture in read if picture is not None]
        if row["truth"] is None or len(pictures) < 2:
            continue
        height, width = pictures[0].shape[:2]
        side = np.array([[0.12, 0.12], [0.88, 0.12], [0.88, 0.88], [0.12, 0.88]], np.float32)
        polygon = (side * np.array([width, height], np.float32)).astype(np.float32)
        slot = Slot(str(row["place"]), polygon, str(row["item"]), str(row["klass"]))
        crops = [
            Crop(np.asarray(cv2.resize(p, (width, height)), np.uint8), polygon, float(np.median(p[..., 1])))
            for p in pictures
        ]
        said = judge.judge(slot, judge.learn(slot, crops[:1], None), crops[1:])
        true = int(row["truth"]) // 1000
        if said.mode == "auto":
            counts["right" if said.delta == true else "wrong"] += 1
        elif said.mode == "none":
            counts["missed" if true else "right"] += 1
        else:
            counts["asked" if true else "needless"] += 1
    return counts
