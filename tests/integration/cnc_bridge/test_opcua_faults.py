"""OPC UA: security, refused persons, nodes that come and go, impossible values. The server is asyncua's."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.server import Server

from cnc_bridge.config import MachineSource, parse
from cnc_bridge.port import DriverEvent, DriverFaultError, Link, Problem, Reading, Solved
from cnc_bridge.testing.opcua_machine import Plan, SimulatedMachine

WORDS = {"1": "READY", "2": "ACTIVE", "3": "PROGRAM_COMPLETED", "4": "STOPPED"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def source(endpoint: str, signals: dict[str, object] | None = None, **settings: Any) -> MachineSource:
    known: dict[str, object] = {
        "execution": {"node": "ns=2;s=Machine.Execution", "words": WORDS},
        "spindle_load": "ns=2;s=Machine.SpindleLoad",
        "tool": "ns=2;s=Machine.Tool",
    }
    table = {"kind": "opcua", "endpoint": endpoint, "resync_s": 0.5, "check_s": 0.5, "reconnect_max_s": 1.0}
    return parse({"machine": {"id": "m"}, "driver": {**table, "signals": signals or known, **settings}})


async def read(source: MachineSource, enough: Callable[[list[DriverEvent]], bool]) -> list[DriverEvent]:
    seen: list[DriverEvent] = []
    async with asyncio.timeout(60), source.create_driver().open() as stream:
        async for batch in stream:
            seen += batch
            if enough(seen):
                return seen
    raise AssertionError("the stream ended by itself")


def values(seen: list[DriverEvent], signal: str) -> list[object]:
    return [event.value for event in seen if isinstance(event, Reading) and event.signal == signal]


def codes(seen: list[DriverEvent]) -> list[tuple[str, str]]:
    return [(event.code, event.about) for event in seen if isinstance(event, Problem)]


@pytest.mark.parametrize(
    ("security", "mode"),
    [("Basic256Sha256", "SignAndEncrypt"), ("Basic256Sha256", "Sign"), ("Aes256Sha256RsaPss", "SignAndEncrypt")],
)
async def test_secured_connections_with_user_and_password(tmp_path: Path, security: str, mode: str) -> None:
    server_files, ours = tmp_path / "server", tmp_path / "ours"
    server_files.mkdir()
    (tmp_path / "password").write_text("s3cret\n", encoding="utf-8")
    async with SimulatedMachine(free_port(), user="copeau", password="s3cret", certificates=server_files) as machine:
        await machine.write("execution", 2)
        seen = await read(
            source(
                machine.endpoint,
                security=security,
                mode=mode,
                user="copeau",
                password_file=str(tmp_path / "password"),
                certificate=str(ours / "client.der"),
                private_key=str(ours / "client.pem"),
            ),
            lambda seen: "ACTIVE" in values(seen, "execution"),
        )
    assert codes(seen) == []
    assert stat.S_IMODE((ours / "client.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("who", "said"),
    [({"user": "copeau", "password": "wrong"}, "Utilisateur « copeau » refusé"), ({}, "connexions anonymes")],
    ids=["wrong password", "anonymous"],
)
async def test_a_person_that_the_server_refuses_is_told_what_to_do(who: dict[str, object], said: str) -> None:
    async with SimulatedMachine(free_port(), user="copeau", password="right") as machine:
        seen = await read(source(machine.endpoint, **who), lambda seen: bool(codes(seen)))
        with pytest.raises(DriverFaultError) as fault:
            await source(machine.endpoint, **who).create_driver().probe()
    assert codes(seen) == [("bad_credentials", machine.endpoint)]
    assert fault.value.code == "bad_credentials"
    assert said in fault.value.message_fr
    assert "wrong" not in fault.value.message
    assert fault.value.retry_after_s, "hammering a password locks the account"


async def test_a_security_that_is_not_offered_is_told(tmp_path: Path) -> None:
    files = {"certificate": str(tmp_path / "c.der"), "private_key": str(tmp_path / "c.pem")}
    async with SimulatedMachine(free_port()) as machine:
        seen = await read(source(machine.endpoint, security="Basic256Sha256", **files), lambda seen: bool(codes(seen)))
    assert codes(seen) == [("no_such_security", machine.endpoint)]


async def test_a_certificate_that_the_server_does_not_trust_is_told(tmp_path: Path) -> None:
    server_files = tmp_path / "server"
    server_files.mkdir()

    async def trust_nobody(*_: object) -> None:
        raise ua.uaerrors.BadCertificateUntrusted

    files = {"certificate": str(tmp_path / "c.der"), "private_key": str(tmp_path / "c.pem")}
    async with SimulatedMachine(free_port(), certificates=server_files) as machine:
        machine.server.set_certificate_validator(trust_nobody)
        seen = await read(source(machine.endpoint, security="Basic256Sha256", **files), lambda seen: bool(codes(seen)))
    (problem,) = [event for event in seen if isinstance(event, Problem)]
    assert problem.code == "certificate_refused"
    assert "urn:copeau:agent" in problem.message_fr


async def test_a_password_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    async with SimulatedMachine(free_port(), user="copeau", password="right") as machine:
        broken = source(machine.endpoint, user="copeau", password_file=str(tmp_path / "none"))
        with pytest.raises(DriverFaultError) as fault:
            await broken.create_driver().probe()
    assert fault.value.code == "no_password"


async def test_a_node_that_goes_is_told_and_taken_up_again_when_it_is_back() -> None:
    async with SimulatedMachine(free_port(), Plan(omit=frozenset({"tool"}))) as machine:
        index = await machine.server.get_namespace_index("urn:copeau:simulated-machine:nodes")
        parent = machine.server.nodes.objects
        driver = source(machine.endpoint).create_driver()
        seen: list[DriverEvent] = []
        stage = 0
        async with asyncio.timeout(60), driver.open() as stream:
            async for batch in stream:
                seen += batch
                if stage == 0 and ("missing_node", "tool") in codes(seen) and values(seen, "spindle_load"):
                    stage = 1
                    tool = await parent.add_variable(ua.NodeId("Machine.Tool", index), "Tool", 12)
                elif stage == 1 and "12" in values(seen, "tool"):
                    stage = 2
                    await machine.server.delete_nodes([tool])
                elif stage == 2 and values(seen, "tool")[-1] is None:
                    break
        solved = [(event.code, event.about) for event in seen if isinstance(event, Solved)]
    assert ("missing_node", "tool") in solved
    assert codes(seen).count(("missing_node", "tool")) == 2
    assert [event.up for event in seen if isinstance(event, Link)] == [True], "the other nodes went on"


async def test_values_that_no_signal_can_have_are_reported_and_never_stop_the_driver() -> None:
    """A server of plain variables, whose types are not what the configuration expects."""
    server = Server()
    await server.init()
    endpoint = f"opc.tcp://127.0.0.1:{free_port()}"
    server.set_endpoint(endpoint)
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    index = await server.register_namespace("urn:test")
    odd = {
        "spindle_load": float("nan"),
        "programme": "x" * 1_000_000,
        "feed": "fast",
        "tool": [1, 2, 3],
        "execution": 99,
        "part_count": -4,
        "spindle_speed": True,
    }
    for name, value in odd.items():
        await server.nodes.objects.add_variable(ua.NodeId(name, index), name, value)
    good = await server.nodes.objects.add_variable(ua.NodeId("good", index), "good", 1.5)
    at = datetime(2026, 3, 2, 8, tzinfo=UTC)
    await server.start()
    signals: dict[str, object] = {name: f"ns={index};s={name}" for name in [*odd, "good"]}
    signals["execution"] = {"node": f"ns={index};s=execution", "words": WORDS}
    try:
        driver = source(endpoint, signals).create_driver()
        seen: list[DriverEvent] = []
        async with asyncio.timeout(60), driver.open() as stream:
            async for batch in stream:
                seen += batch
                if {about for _, about in codes(seen)} >= set(odd) and 1.5 in values(seen, "good"):
                    await good.write_value(ua.DataValue(ua.Variant(2.5), SourceTimestamp=at))
                if 2.5 in values(seen, "good"):
                    break
    finally:
        await server.stop()
    assert set(codes(seen)) == {
        ("not_finite", "spindle_load"),
        ("too_long", "programme"),
        ("not_a_number", "feed"),
        ("wrong_type", "tool"),
        ("unknown_word", "execution"),
        ("not_a_count", "part_count"),
        ("wrong_type", "spindle_speed"),
    }
    assert [event.up for event in seen if isinstance(event, Link)] == [True]
    last = [event for event in seen if isinstance(event, Reading) and event.signal == "good"][-1]
    assert last.source_time == at, "the controller's own time is kept"


async def test_bad_quality_is_not_a_value() -> None:
    async with SimulatedMachine(free_port()) as machine:
        node = machine._nodes["spindle_load"]
        driver = source(machine.endpoint).create_driver()
        seen: list[DriverEvent] = []
        async with asyncio.timeout(60), driver.open() as stream:
            async for batch in stream:
                seen += batch
                if values(seen, "spindle_load") == [0.0]:
                    bad = ua.DataValue(ua.Variant(55.0), ua.StatusCode(ua.UInt32(ua.StatusCodes.BadSensorFailure)))
                    await node.write_value(bad)
                if None in values(seen, "spindle_load"):
                    break
    assert 55.0 not in values(seen, "spindle_load")


async def test_a_subscription_that_dies_silently_is_healed() -> None:
    """The server forgets its subscriptions while the connection stays up: the values must not stand still."""
    async with SimulatedMachine(free_port()) as machine:
        driver = source(machine.endpoint).create_driver()
        seen: list[DriverEvent] = []
        stage = 0
        async with asyncio.timeout(60), driver.open() as stream:
            async for batch in stream:
                seen += batch
                if stage == 0 and values(seen, "spindle_load") == [0.0]:
                    stage = 1
                    service = machine.server.iserver.subscription_service
                    await service.delete_subscriptions(list(service.subscriptions))
                    await machine.write("spindle_load", 77.0)
                elif stage == 1 and 77.0 in values(seen, "spindle_load"):
                    stage = 2
                    await machine.write("spindle_load", 88.0)
                elif stage == 2 and 88.0 in values(seen, "spindle_load"):
                    break
    assert stage == 2
