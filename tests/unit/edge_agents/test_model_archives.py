"""A model archive that is hostile is refused before anything of it is on disk."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from edge_agents import rack_models
from edge_agents.rack_models import FILES, ModelRefusedError


def archive(*files: tuple[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files:
            made.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("name", ["../../evil", "/etc/cron.d/evil", "..\\evil", f"a/{FILES[0]}", "evil.sh"])
def test_no_path_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelRefusedError, match="inattendu"):
        rack_models._unpack(archive((FILES[0], b"x"), (name, b"evil")), tmp_path / "m" / "v1")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_unfolds_beyond_bounds_is_not_unfolded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rack_models, "MAX_BYTES", 1000)
    bomb = archive((FILES[0], b"\0" * 1_000_000))
    assert len(bomb) < 2000
    with pytest.raises(ModelRefusedError, match="trop grand"):
        rack_models._unpack(bomb, tmp_path / "m" / "v1")


def test_a_size_that_lies_gives_no_more_than_it_says(tmp_path: Path) -> None:
    content = bytearray(archive((FILES[0], b"\0" * 1_000_000)))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        where = content.find(mark) + at
        content[where : where + 4] = struct.pack("<I", 10)
    with pytest.raises(ModelRefusedError):
        rack_models._unpack(bytes(content), tmp_path / "m" / "v1")
    assert not (tmp_path / "m" / "v1").exists()
