"""`copeau cnc` as a person or a script calls it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

CNC = [sys.executable, "-c", "from copeau.commands.cnc import command; command()"]


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CNC, *arguments], capture_output=True, text=True, timeout=120, check=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def okuma(tmp_path: Path) -> Iterator[Path]:
    """A configuration that reads a replaying adapter."""
    far_side = subprocess.Popen(
        [*CNC, "replay", "--port", "0", "--speed", "50", "--heartbeat-ms", "500"], stdout=subprocess.PIPE, text=True
    )
    assert far_side.stdout is not None
    port = json.loads(far_side.stdout.readline())["listening"].rpartition(":")[2]
    config = tmp_path / "okuma.toml"
    config.write_text(f'[machine]\nid = "tour-1"\n[driver]\nkind = "shdr"\nhost = "127.0.0.1"\nport = {port}\n')
    yield config
    far_side.kill()
    far_side.wait()
    far_side.stdout.close()


def test_watch_gives_facts_as_json_lines_and_totals(okuma: Path) -> None:
    answer = call("watch", "--config", str(okuma), "--seconds", "6", "--json")
    assert answer.returncode == 0, answer.stderr
    *events, totals = [json.loads(line) for line in answer.stdout.splitlines()]
    assert totals["type"] == "totals"
    assert totals["machine"] == "tour-1"
    assert totals["samples"] > 100
    assert {"source_trouble", "state_changed", "samples_ready"} <= {event["type"] for event in events}


def test_watch_goes_on_from_the_saved_counter(okuma: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"part_count": 90, "programme": "O1"}))
    answer = call("watch", "--config", str(okuma), "--seconds", "4", "--json", "--state", str(state))
    counted = [json.loads(line) for line in answer.stdout.splitlines() if '"parts_counted"' in line]
    assert (counted[0]["first"], counted[0]["reset"], counted[0]["during_absence"]) == (90, True, True)
    assert json.loads(state.read_text())["part_count"] < 90


def test_probe_tells_the_keys_seen(okuma: Path) -> None:
    answer = call("probe", "--config", str(okuma), "--json")
    assert answer.returncode == 0, answer.stderr
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    assert found[0]["kind"] == "server"
    assert {"heartbeat", "key", "signal"} <= {finding["kind"] for finding in found}


def test_probe_of_nothing_says_so_in_both_languages_and_ends_with_2(tmp_path: Path) -> None:
    config = tmp_path / "none.toml"
    config.write_text(
        f'[machine]\nid = "m"\n[driver]\nkind = "opcua"\nendpoint = "opc.tcp://127.0.0.1:{free_port()}"\n'
        '[driver.signals]\nexecution = "ns=2;s=X"\n'
    )
    answer = call("probe", "--config", str(config))
    assert answer.returncode == 2
    assert "nothing listens on this port" in answer.stderr
    assert "activer le serveur OPC UA" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_wrong_configuration_ends_with_2_and_the_line(tmp_path: Path) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text('[machine]\nid = "m"\n[driver]\nkind = "shdr"\nhots = "x"\n')
    for command in (["probe"], ["watch", "--seconds", "1"]):
        answer = call(*command, "--config", str(config))
        assert answer.returncode == 2
        assert "line 5: driver.hots: unknown key: did you mean `host`?" in answer.stderr


def test_the_simulated_machine_prints_the_configuration_that_reads_it(tmp_path: Path) -> None:
    port = str(free_port())
    config = tmp_path / "machine.toml"
    config.write_text(call("simulate", "--port", port, "--print-config").stdout)
    with subprocess.Popen([*CNC, "simulate", "--port", port], stdout=subprocess.PIPE, text=True) as far_side:
        try:
            assert far_side.stdout is not None
            since = json.loads(far_side.stdout.readline())["since"]
            assert since <= time.time() + 1
            answer = call("probe", "--config", str(config))
        finally:
            far_side.kill()
    assert answer.returncode == 0, answer.stderr
    assert "MISSING" not in answer.stdout
    assert "not a controller" in answer.stdout
