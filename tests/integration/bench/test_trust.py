"""The figures of trust: the secured side is the shop as it is shipped, and what it counts was committed."""

from __future__ import annotations

import json
import socket
import sqlite3
import ssl
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.shop import generate, running
from bench.traffic import AGENTS, Size
from copeau.commands.bench import command
from copeau.servers.broker import MISSING

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
CONNECT = bytes.fromhex("101000044d5154540402000a000470692d30")
"""An MQTT 3.1.1 CONNECT of a client that calls itself pi-0."""


def answered(port: int, context: ssl.SSLContext | None) -> bytes:
    """What the broker says to whoever has no certificate."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") if context else plain as line:
                line.sendall(CONNECT)
                return line.recv(64)
        except (ssl.SSLError, ConnectionError):
            return b""


def test_the_secured_side_lets_nobody_in_without_a_certificate_and_commits_all_that_was_sent(tmp_path: Path) -> None:
    database = tmp_path / "centre.db"
    with running(tmp_path / "shop", f"sqlite:///{database}", Size.of(100), secure=True) as shop:
        assert answered(shop.broker_port, None) == b""
        ca = tmp_path / "shop" / "data" / "trust" / "ca.crt"
        assert answered(shop.broker_port, ssl.create_default_context(cafile=str(ca))) == b""
        figures = generate(shop.broker_port, shop.port, 100, 4, shop.devices)
    assert figures["tls"].startswith("TLSv1.3 ")
    assert (figures["published"], figures["unacked_at_end"]) == (400, 0)
    assert figures["publish_to_page"]["p50_ms"] is not None, "the signed-in page heard of it"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM facts").fetchone() == (400,)
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)
        enrolled = "SELECT count(*) FROM audit_entry WHERE what = 'fleet.enrol'"
        assert connection.execute(enrolled).fetchone() == (AGENTS,)


def test_the_command_says_both_sides_and_their_ratio() -> None:
    arguments = ["trust", "--rates", "50", "--seconds", "2", "--pairs", "1", "--databases", "sqlite", "--json"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert [one["side"] for one in shown["runs"]] == ["plain", "secure"]
    assert [one["tls"] is None for one in shown["runs"]] == [True, False]
    assert all(one["unacked_at_end"] == 0 for one in shown["runs"])
    assert shown["compared"][0]["ratio"] > 0
