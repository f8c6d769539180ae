"""The demo is the main job: real broker, centre, agents, detector, recordings; its closing line must add up."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from copeau.servers import broker
from copeau.servers.broker import free_port

pytestmark = pytest.mark.skipif(broker.MISSING is not None, reason=broker.MISSING or "")


def demo(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "copeau.cli", "demo", "--data", str(tmp_path / "demo"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def test_a_minute_of_the_shop_adds_up(tmp_path: Path) -> None:
    done = demo(tmp_path, "--seconds", "60", "--json", "--port", str(free_port()))
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["lost"] == 0
    assert counts["doubled"] == 0
    assert counts["quarantined"] == 0
    assert counts["committed"] > 100
    assert counts["facts_made"] >= counts["committed"]
    assert counts["picks_true"] >= 6
    assert counts["picks_false"] == 0
    assert counts["picks_true"] - counts["picks_seen"] <= 1
    assert counts["scans"] >= 5
    assert counts["clockings"] >= 5
    assert counts["parts"] >= 2


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path: Path) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = demo(tmp_path, "--port", str(port))
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "precious.txt").write_text("mine", encoding="utf-8")
    done = demo(tmp_path, "--port", str(free_port()))
    assert done.returncode == 1
    assert "no demo made it" in done.stderr
    assert (tmp_path / "demo" / "precious.txt").read_text(encoding="utf-8") == "mine"
