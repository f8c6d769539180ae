"""From nothing to facts over TLS, as the guide says it: owner, second factor, an agent enrolled by its one command."""

from __future__ import annotations

import html
import os
import re
import shlex
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pyotp
import pytest

from contracts.enrolment import parse_invitation
from copeau.servers.broker import MISSING, Broker, free_port
from tests.e2e.harness import ROOT, wait_until

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
HX = {"HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
PASSWORD = "une phrase assez longue pour le centre"


class FreshShop:
    """What a person starts on the NAS: the broker's script and `copeau central`, with a certificate of its own."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.directory = directory
        self._stack = stack
        self.data = directory / "data"
        self.broker = Broker(directory / "broker", secure=self.data / "broker")
        self.tls_port = free_port()
        self.log = directory / "centre.log"
        self.url = f"https://127.0.0.1:{self.tls_port}"

    def start(self) -> None:
        self.broker.start(wait=False)
        self._stack.callback(self.broker.stop)
        settings = {
            "COPEAU_DATA": str(self.data), "COPEAU_TLS_PORT": str(self.tls_port), "COPEAU_TLS_HOST": "127.0.0.1",
            "COPEAU_BROKER_TLS": "true", "COPEAU_ACCESS": "accounts",
        }  # fmt: skip
        database = f"sqlite:///{self.data / 'copeau.db'}"
        address = f"127.0.0.1:{self.broker.port}"
        self.data.mkdir(exist_ok=True)
        command = ("central", "--database", database, "--port", str(free_port()), "--broker", address)
        self.run(self.log, *command, environment=settings)
        self.broker.wait(60)
        wait_until(lambda: "first start" in self.log.read_text(encoding="utf-8"))

    def run(self, log: Path, *arguments: str, environment: dict[str, str] | None = None) -> None:
        """One of our commands, stopped with the test."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "copeau.cli", "-v", *arguments],
                cwd=ROOT, env=os.environ | (environment or {}), stdout=out, stderr=out,
            )  # fmt: skip

        def stop() -> None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

        self._stack.callback(stop)

    @property
    def owner_link(self) -> str:
        found = re.search(r"/bienvenue/\S+", self.log.read_text(encoding="utf-8"))
        assert found is not None
        return found[0]

    def committed(self) -> int:
        with closing(sqlite3.connect(f"file:{self.data / 'copeau.db'}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM facts").fetchone()[0])


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[FreshShop]:
    with ExitStack() as stack:
        yield FreshShop(tmp_path, stack)


def become_owner(client: httpx.Client, shop: FreshShop) -> None:
    answer = client.post(
        shop.owner_link,
        data={"name": "Le patron", "login": "patron", "password": PASSWORD, "again": PASSWORD},
        headers=HX,
    )
    assert client.cookies, answer.text
    refused = client.post("/appareils/inviter", data={"name": "rack-1", "kind": "agent"}, headers=HX)
    assert refused.status_code == 403, "who may enrol devices has a second factor"
    page = client.post("/compte/totp", data={"password": PASSWORD}, headers=HX).text
    secret = re.search(r'<span class="code">([A-Z2-7 ]+)</span>', page)
    pending = re.search(r'name="pending" value="([^"]+)"', page)
    assert secret is not None, page
    assert pending is not None
    code = pyotp.TOTP(secret[1].replace(" ", "")).now()
    sealed = html.unescape(pending[1])
    answer = client.post("/compte/totp/confirmer", data={"pending": sealed, "code": code}, headers=HX)
    assert answer.status_code == 200, answer.text


def test_fresh_start_owner_enrolment_facts_over_tls_within_three_minutes(shop: FreshShop, tmp_path: Path) -> None:
    began = time.monotonic()
    shop.start()
    trusting = ssl.create_default_context(cafile=str(shop.data / "trust" / "ca.crt"))
    with httpx.Client(base_url=shop.url, verify=trusting, trust_env=False) as client:
        assert client.get("/agents", follow_redirects=False).status_code in {303, 401}
        become_owner(client, shop)
        page = html.unescape(
            client.post("/appareils/inviter", data={"name": "rack-1", "kind": "agent"}, headers=HX).text
        )
        shown = re.search(r"copeau agent enrol (\S+)</code>", page)
        assert shown is not None, page
        [url] = shlex.split(shown[1])
        url = parse_invitation(url)._replace(host="127.0.0.1").url()  # this machine's name may lead nowhere here
        board = tmp_path / "board"
        board.mkdir()
        enrol = [sys.executable, "-m", "copeau.cli", "agent", "enrol", url]
        done = subprocess.run(
            enrol, cwd=board, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        shop.run(board / "agent.log", "agent", "run", str(board / "agent.toml"))
        wait_until(lambda: shop.committed() >= 1)
        wait_until(lambda: "Connecté" in client.get("/parts/agents").text)
    assert time.monotonic() - began < 180
    secrets = [shop.data / "trust" / "ca.pem", shop.data / "broker" / "broker.pem", board / "identity" / "agent.pem"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets)
    for log in (shop.log, board / "agent.log"):
        assert "PRIVATE KEY" not in log.read_text(encoding="utf-8")
