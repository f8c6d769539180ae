"""A centre and its broker for one measurement: open on this machine, or secured as they are shipped.

Secured: Mosquitto by ``mosquitto/mosquitto.conf`` and ``acl`` (TLS, our authority, names from certificates), the centre
with accounts and HTTPS, every agent of the load enrolled by an invitation, one person signed in at the page.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.traffic import AGENTS, SITE, Size, agent_name, item_code, machine_name
from contracts.enrolment import Invitation
from copeau.servers.broker import Broker, free_port

_TICK = os.sysconf("SC_CLK_TCK")
_START_S = 180.0


class Shop(NamedTuple):
    """A running one. `devices`: the folder of the agents' identities and of ``cookie``; None: open."""

    broker_port: int
    port: int
    broker_pid: int
    centre_pid: int
    devices: Path | None

    def cpu_s(self) -> dict[str, float]:
        return {"broker_cpu_s": _cpu_s(self.broker_pid), "centre_cpu_s": _cpu_s(self.centre_pid)}


def measure(folder: Path, url: str, rate: int, seconds: float, *, secure: bool = False) -> dict[str, Any]:
    """The load on a fresh centre: the generator's figures, and what broker and centre needed for them."""
    with running(folder, url, Size.of(rate), secure=secure) as shop:
        before = shop.cpu_s()
        figures = generate(shop.broker_port, shop.port, rate, seconds, shop.devices)
        after = shop.cpu_s()
    return figures | {name: round(after[name] - before[name], 2) for name in before}


@contextmanager
def running(folder: Path, url: str, size: Size, *, secure: bool = False) -> Iterator[Shop]:
    """Everything fresh in `folder`, which is made here. Raises RuntimeError with the log of what did not start."""
    data = folder / "data"
    data.mkdir(parents=True)
    tokens, cookie = asyncio.run(_seed(url, data, size, secure=secure))
    port, tls_port = free_port(), free_port()
    broker = Broker(folder / "broker", secure=data / "broker" if secure else None)
    settings = {"COPEAU_RACKS_BEGIN": "automatic", "COPEAU_DATA": str(data), "COPEAU_ACCESS": "open"}
    if secure:
        settings |= {
            "COPEAU_ACCESS": "accounts", "COPEAU_BROKER_TLS": "true",
            "COPEAU_TLS_PORT": str(tls_port), "COPEAU_TLS_HOST": "127.0.0.1",
        }  # fmt: skip
    command = [sys.executable, "-m", "copeau.cli", "central", "--database", url, "--port", str(port)]
    command += ["--broker", f"127.0.0.1:{broker.port}", "--site", SITE]
    broker.start(wait=False)
    with (folder / "centre.log").open("wb") as log:
        centre = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | settings)  # nosec B603  # our own commands
    try:
        _wait(tls_port if secure else port, centre, folder / "centre.log")
        broker.wait(_START_S)
        devices = None
        if secure:
            devices = folder / "devices"
            asyncio.run(_enrol(devices, tls_port, (data / "trust" / "ca.crt").read_bytes(), tokens))
            (devices / "cookie").write_text(cookie, encoding="utf-8")
        yield Shop(broker.port, port, broker.pid, centre.pid, devices)
    finally:
        centre.send_signal(signal.SIGTERM)
        centre.wait(_START_S)
        broker.stop()


def generate(broker_port: int, centre_port: int, rate: int, seconds: float, devices: Path | None) -> dict[str, Any]:
    """What `bench.generator` says. Raises RuntimeError."""
    command = [sys.executable, "-m", "bench.generator", str(broker_port), str(centre_port), str(rate), str(seconds)]
    command += [] if devices is None else [str(devices)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 300)  # nosec B603  # our own commands
    if done.returncode != 0:
        raise RuntimeError(f"the generator failed:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


async def _seed(url: str, data: Path, size: Size, *, secure: bool) -> tuple[list[str], str]:
    """Items and machines that the traffic names, so that observations go through matching and not to the unknown.

    Secured: also the agents' tokens, and the cookie of a person who has signed in.
    """
    from central.core.settings import Settings
    from central.fleet import enrolment
    from central.items import service as items
    from central.machines import service as machines
    from central.offline import prepare

    settings = Settings(database_url=url, site=SITE, data=data)
    async with prepare(settings) as units, units.begin() as uow:
        for number in range(size.items):
            await items.add_item(uow, item_code(number), f"Article {number}", "insert")
        for number in range(size.machines):
            await machines.add_machine(uow, machine_name(number), f"Machine {number}")
        if not secure:
            return [], ""
        names = [agent_name(number) for number in range(AGENTS)]
        tokens = [(await enrolment.invite(uow, name, "agent", by="system")).token for name in names]
        return tokens, await _signed_in(uow, settings)


async def _signed_in(uow: Any, settings: Any) -> str:
    """Somebody with an account who looks at the machines: the Cookie header of the browser."""
    from central.people import accounts, sessions
    from central.people.account_models import Account
    from central.people.identity import cookie_name
    from central.people.keys import Keys

    keys = Keys(settings)
    keys.open()
    person = await accounts.add(uow, "Banc", by="system")
    uow.session.add(Account(person=person, created_at=uow.now))
    await uow.session.flush()
    await accounts.set_roles(uow, person, ["regleur"], by="system")
    caller = sessions.Caller("127.0.0.1", "bench")
    token = await sessions.begin(uow, keys, person, caller, strong=True, finished=True)
    return f"{cookie_name('session', secure=True)}={token}"


async def _enrol(devices: Path, port: int, ca: bytes, tokens: list[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from edge_agents import identity

    authority = x509.load_pem_x509_certificate(ca).public_bytes(Encoding.DER)
    fingerprint = hashlib.sha256(authority).hexdigest()
    for number, token in enumerate(tokens):
        invitation = Invitation("127.0.0.1", port, token, fingerprint)
        await identity.enrol(invitation, devices / agent_name(number))


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + _START_S
    while time.monotonic() < limit and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the centre did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _cpu_s(pid: int) -> float:
    """Of a process and of all that it started, also of what has ended since."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(map(int, fields[11:15])) / _TICK + sum(_cpu_s(int(child)) for child in children)
