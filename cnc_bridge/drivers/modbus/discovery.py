"""Is it Modbus TCP? One reading of holding register 0, by unit 1: any well-formed answer, also a refusal, says yes."""

from __future__ import annotations

import asyncio

from cnc_bridge.port import Finding
from cnc_bridge.probing import Address, Offer

PORT = 502
_ASK_S = 3.0
_REQUEST = bytes.fromhex("4350 0000 0006 01 03 0000 0001")


async def discover(address: Address) -> Offer | None:
    """An offer without registers: Modbus does not say what they mean."""
    if not address.host or address.scheme not in ("", "modbus"):
        return None
    port = address.port or PORT
    answer = await ask(address.host, port)
    if answer is None:
        return None
    said = "register 40001 can be read" if answer[7] == 3 else f"exception {answer[8]} for register 40001"
    lines = [
        'kind = "modbus"',
        f'host = "{address.host}"',
        *([f"port = {port}"] if port != PORT else []),
        "",
        "[driver.signals]",
        "# from the machine's own register list:",
        'execution = { register = "40001", words = { 0 = "READY", 1 = "ACTIVE" } }',
    ]
    findings = [
        Finding("server", f"{address.host}:{port}", "Modbus TCP"),
        Finding("note", "unit 1", said),
        Finding("note", "registers", "Modbus does not name them: take the list from the machine's manual", ok=False),
    ]
    return Offer("modbus", "Modbus TCP", "\n".join(lines) + "\n", findings)


async def ask(host: str, port: int) -> bytes | None:
    """The answer to our one request, or None when it is not Modbus. Raises OSError where nothing answers."""
    async with asyncio.timeout(_ASK_S):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.writelines([_REQUEST])
            head = await reader.readexactly(7)
            length = int.from_bytes(head[4:6], "big")
            if head[:4] != _REQUEST[:4] or not 3 <= length <= 254:
                return None
            body = await reader.readexactly(length - 1)
        except asyncio.IncompleteReadError:
            return None
        finally:
            writer.close()
    return head + body if body[0] in (0x03, 0x83) and len(body) >= 2 else None
