"""One knock at the broker's door: is this certificate let in? Whoever holds a session under its name loses it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Final

_PATIENCE_S: Final = 8.0
_CONNACK: Final = 0x20
_DISCONNECT: Final = b"\xe0\x00"


async def knock(host: str, port: int, context: ssl.SSLContext, name: str) -> bool:
    """True when the broker takes the connection as `name`, False when it refuses the certificate as revoked.

    Raises OSError, TimeoutError when the broker does not answer, or says something else.
    """
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # 1.3 tells a refused client later, if the line still stands
    async with asyncio.timeout(_PATIENCE_S):
        try:
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
        except ssl.SSLError as error:
            return _refused(error)
        try:
            writer.write(_connect(name))
            await writer.drain()
            answer = await reader.readexactly(4)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError(f"{host}:{port} closed the connection without a word") from error
        finally:
            with contextlib.suppress(OSError):
                writer.write(_DISCONNECT)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    if answer[0] != _CONNACK or answer[3] != 0:
        raise ConnectionRefusedError(f"{host}:{port} answered {answer.hex()}")
    return True


def _refused(error: ssl.SSLError) -> bool:
    if "REVOKED" in (error.reason or "").upper():
        return False
    raise error


def _connect(name: str) -> bytes:
    """MQTT 3.1.1 CONNECT, clean session (OASIS MQTT 3.1.1, 3.1)."""
    client = name.encode()
    body = b"\x00\x04MQTT\x04\x02\x00\x0a" + len(client).to_bytes(2, "big") + client
    return bytes([0x10, len(body)]) + body
