"""A simulated lathe behind a real OPC UA server, for the demo and the tests. No controller speaks here.

It runs cycles of three tools with a load curve each, counts parts, stops at times for an alarm, and is set ready again.
A restart begins at 0 parts, as some controllers do.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from asyncua import ua
from asyncua.common.node import Node
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.server import Server
from asyncua.server.user_managers import UserManager
from cryptography.x509.oid import ExtendedKeyUsageOID

URI = "urn:copeau:simulated-machine"
NAME = "Copeau simulated machine (not a controller)"
NODES = {
    "execution": ("Execution", 0),
    "mode": ("Mode", "AUTOMATIC"),
    "programme": ("Program", ""),
    "tool": ("Tool", 0),
    "part_count": ("PartCount", 0),
    "alarm": ("Alarm", 0),
    "spindle_load": ("SpindleLoad", 0.0),
    "spindle_speed": ("SpindleSpeed", 0.0),
    "feed": ("Feed", 0.0),
    "feed_override": ("FeedOverride", 100.0),
}
EXECUTION = {"READY": 1, "ACTIVE": 2, "PROGRAM_COMPLETED": 3, "STOPPED": 4}
"""Execution is an integer, as on many controllers: the configuration maps it with `words`."""
TOOLS = ((1, 2400.0, 320.0, 38.0), (5, 3200.0, 180.0, 22.0), (7, 900.0, 90.0, 55.0))
"""Number, spindle speed (rpm), feed (mm/min), load (% of rated power)."""


@dataclass
class Plan:
    """How the simulated machine works: times in seconds."""

    cycle_s: float = 20.0
    between_s: float = 3.0
    alarm_every: int = 7
    alarm_s: float = 6.0
    jam_every: int = 0
    """Cycles; the last tool then cuts at twice its load, as a chip that jams does. 0: never."""
    period_s: float = 0.1
    programme: str = "O1234"
    seed: int = 1
    omit: frozenset[str] = field(default_factory=frozenset)


class _OneUser(UserManager):
    """Accepts one name and password, and nobody else."""

    def __init__(self, user: str, password: str) -> None:
        self._user, self._password = user, password

    def get_user(
        self,
        iserver: object,  # noqa: ARG002 - the base class names it
        username: str | None = None,
        password: str | bytes | None = None,
        certificate: object = None,  # noqa: ARG002 - the base class names it
    ) -> User | None:
        given = password.decode() if isinstance(password, bytes) else password
        return User(role=UserRole.User) if (username, given) == (self._user, self._password) else None


class SimulatedMachine:
    """The server and its machine: `async with SimulatedMachine(port) as machine: await machine.run()`."""

    def __init__(
        self,
        port: int,
        plan: Plan | None = None,
        *,
        user: str | None = None,
        password: str | None = None,
        certificates: Path | None = None,
    ) -> None:
        self.endpoint = f"opc.tcp://127.0.0.1:{port}/copeau"
        self._plan = plan or Plan()
        self._certificates = certificates
        self.server = Server(user_manager=_OneUser(user, password or "") if user else None)
        self._anonymous = user is None
        self._nodes: dict[str, Node] = {}
        self._noise = random.Random(self._plan.seed)  # noqa: S311  # nosec B311  # a load curve, not a secret

    async def __aenter__(self) -> Self:
        server = self.server
        await server.init()
        server.set_endpoint(self.endpoint)
        server.set_server_name(NAME)
        await server.set_application_uri(URI)
        policies = [ua.SecurityPolicyType.NoSecurity]
        if self._certificates is not None:
            await self._certify(self._certificates)
            policies += [
                ua.SecurityPolicyType.Basic256Sha256_Sign,
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
        server.set_security_policy(policies)
        if not self._anonymous:
            server.set_identity_tokens([ua.UserNameIdentityToken])
        index = await server.register_namespace(f"{URI}:nodes")
        machine = await server.nodes.objects.add_object(_node_id("Machine", index), "Machine")
        for signal, (name, value) in NODES.items():
            if signal not in self._plan.omit:
                self._nodes[signal] = await machine.add_variable(_node_id(f"Machine.{name}", index), name, value)
        await server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.stop()

    async def _certify(self, folder: Path) -> None:
        key, certificate = folder / "server.pem", folder / "server.der"
        await setup_self_signed_certificate(
            key, certificate, URI, "localhost", [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH], {}
        )
        await self.server.load_certificate(certificate)
        await self.server.load_private_key(key)

    async def write(self, signal: str, value: object) -> None:
        """Set one node, when it is not omitted."""
        node = self._nodes.get(signal)
        if node is not None:
            kind = ua.VariantType.Int64 if isinstance(value, int) else None
            await node.write_value(value, kind)

    async def run(self, each_cycle: Callable[[int], None] | None = None) -> None:
        """Work until cancelled; `each_cycle` is told the part count."""
        plan, parts, cycles = self._plan, 0, 0
        await self.write("execution", EXECUTION["READY"])
        await self.write("programme", plan.programme)
        while True:
            await asyncio.sleep(plan.between_s)
            cycles += 1
            await self.write("execution", EXECUTION["ACTIVE"])
            for number, speed, feed, load in TOOLS:
                await self.write("tool", number)
                await self.write("spindle_speed", speed)
                jammed = plan.jam_every and cycles % plan.jam_every == 0 and number == TOOLS[-1][0]
                await self._cut(plan.cycle_s / len(TOOLS), feed, 2 * load if jammed else load)
            if plan.alarm_every and cycles % plan.alarm_every == 0:
                await self._alarm()
                continue
            await self.write("execution", EXECUTION["PROGRAM_COMPLETED"])
            parts += 1
            await self.write("part_count", parts)
            await self.write("execution", EXECUTION["READY"])
            if each_cycle is not None:
                each_cycle(parts)

    async def _cut(self, seconds: float, feed: float, load: float) -> None:
        steps = max(1, round(seconds / self._plan.period_s))
        for step in range(steps):
            # runs in, cuts, runs out; a little chatter and noise on top
            engaged = math.sin(math.pi * (step + 0.5) / steps) ** 0.3
            chatter = 1 + 0.08 * math.sin(step * 0.9) + self._noise.gauss(0, 0.03)
            await self.write("spindle_load", round(max(0.0, 3 + load * engaged * chatter), 2))
            await self.write("feed", round(feed * engaged, 1))
            await asyncio.sleep(seconds / steps)

    async def _alarm(self) -> None:
        await self.write("alarm", 1042)
        await self.write("execution", EXECUTION["STOPPED"])
        for signal in ("spindle_load", "spindle_speed", "feed"):
            await self.write(signal, 0.0)
        await asyncio.sleep(self._plan.alarm_s)
        await self.write("alarm", 0)
        await self.write("execution", EXECUTION["READY"])


def _node_id(name: str, namespace: int) -> ua.NodeId:
    return ua.NodeId(ua.String(name), ua.Int16(namespace))


def example_config(endpoint: str, machine: str = "tour-2") -> str:
    """The TOML that reads this machine."""
    words = ", ".join(f'{number} = "{word}"' for word, number in EXECUTION.items())
    lines = [f'{signal} = "ns=2;s=Machine.{name}"' for signal, (name, _) in NODES.items() if signal != "execution"]
    return "\n".join([
        "[machine]",
        f'id = "{machine}"',
        "",
        "[driver]",
        'kind = "opcua"',
        f'endpoint = "{endpoint}"',
        "",
        "[driver.signals]",
        f'execution = {{ node = "ns=2;s=Machine.Execution", words = {{ {words} }} }}',
        *lines,
        "",
    ])  # fmt: skip
