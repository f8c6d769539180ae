"""`copeau cnc probe ADDRESS` on OPC UA servers: what it offers can be used as it stands."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest

from cnc_bridge.config import parse
from cnc_bridge.drivers.opcua.discovery import discover
from cnc_bridge.port import DriverFaultError
from cnc_bridge.probing import parse_address
from cnc_bridge.testing import node_opcua
from tests.integration.cnc_bridge.opcua_far_side import codes, free_port, node_server, read, values

pytestmark = pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing())


async def test_the_offer_is_a_configuration_that_reads_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # our certificate is made where the agent runs
    async with node_server(tmp_path, "--cycle", "1", "--between", "0.2") as server:
        offer = await discover(parse_address(f"127.0.0.1:{server.port}"))
        assert offer is not None
        driver = tomllib.loads(offer.driver)
        source = parse({"machine": {"id": "m"}, "driver": driver})
        seen = await read(source, lambda seen: bool(values(seen, "execution")))
    assert driver == {
        "kind": "opcua",
        "endpoint": server.endpoint,
        "security": "Aes256Sha256RsaPss",
        "mode": "SignAndEncrypt",
    }
    assert codes(seen) == []
    assert offer.title == "OPC UA, MachineToolType (OPC 40501-1) Lathe"
    assert "Production/ActiveProgram/Name" in offer.driver
    assert {finding.name for finding in offer.findings if finding.kind == "signal"} >= {"execution", "programme"}


async def test_a_server_that_wants_a_user_is_offered_with_one(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("copeau:s3cret\n", encoding="utf-8")
    async with node_server(tmp_path, "--only-secure", "--users", str(tmp_path / "users")) as server:
        offer = await discover(parse_address(server.endpoint))
    assert offer is not None
    driver = tomllib.loads(offer.driver)
    assert (driver["user"], driver["password_file"]) == ("copeau", "opcua-password")
    parse({"machine": {"id": "m"}, "driver": driver})


async def test_several_machines_are_offered_by_name(tmp_path: Path) -> None:
    async with node_server(tmp_path, "--second") as server:
        offer = await discover(parse_address(server.endpoint))
    assert offer is not None
    assert tomllib.loads(offer.driver)["machine"] == "Lathe"
    assert "or Mill" in offer.driver


async def test_another_protocol_is_left_alone() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 not OPC UA\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        assert await discover(parse_address(f"127.0.0.1:{port}")) is None
        assert await discover(parse_address("http://127.0.0.1:1/")) is None
        assert await discover(parse_address("/dev/ttyUSB0")) is None
    finally:
        server.close()


async def test_an_opc_ua_address_that_does_not_answer_is_explained() -> None:
    with pytest.raises(DriverFaultError) as fault:
        await discover(parse_address(f"opc.tcp://127.0.0.1:{free_port()}"))
    assert fault.value.code == "refused"
