"""How many requests an address may make, over time that the test gives."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message

from central.core.pace import BURST, PER_S, Pace


class Floor:
    """The middleware before an application that says yes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._pace = Pace(PlainTextResponse("oui"), clock=lambda: self.now)

    async def ask(self, host: str | None) -> int:
        said: list[Message] = []

        async def receive() -> Message:
            raise AssertionError("nothing is read")

        async def send(message: Message) -> None:
            said.append(message)

        scope: dict[str, Any] = {"type": "http", "client": None if host is None else (host, 5000)}
        await self._pace(scope, receive, send)
        if said[0]["status"] == 429:
            assert (b"retry-after", b"1") in said[0]["headers"]
        return int(said[0]["status"])

    async def burst(self, host: str, times: int) -> list[int]:
        return [await self.ask(host) for _ in range(times)]


@pytest.fixture
def floor() -> Floor:
    return Floor()


async def test_who_floods_is_slowed_down_and_nobody_else(floor: Floor) -> None:
    answers = await floor.burst("192.0.2.7", int(BURST) + 50)
    assert answers.count(200) == BURST
    assert answers[-50:] == [429] * 50
    assert await floor.ask("192.0.2.8") == 200


async def test_the_bucket_fills_again(floor: Floor) -> None:
    await floor.burst("192.0.2.7", int(BURST) + 1)
    floor.now = 0.1
    answers = await floor.burst("192.0.2.7", int(PER_S))
    assert answers.count(200) == PER_S / 10
    floor.now = 3600.0
    assert (await floor.burst("192.0.2.7", int(BURST) + 1)).count(200) == BURST


async def test_another_address_of_the_same_ipv6_network_is_the_same_source(floor: Floor) -> None:
    await floor.burst("fe80::1%eth0", int(BURST))
    assert await floor.ask("fe80::2") == 429
    assert await floor.ask("fd00:1::2") == 200


async def test_an_ipv4_address_told_as_ipv6_is_itself(floor: Floor) -> None:
    await floor.burst("::ffff:192.0.2.7", int(BURST))
    assert await floor.ask("192.0.2.7") == 429
    assert await floor.ask("::ffff:192.0.2.8") == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1", None])
async def test_this_machine_is_not_counted(floor: Floor, host: str | None) -> None:
    for _ in range(int(BURST) * 2):
        assert await floor.ask(host) == 200


async def test_many_addresses_take_no_endless_memory(floor: Floor) -> None:
    await floor.burst("192.0.2.7", int(BURST) + 1)
    for number in range(5000):
        await floor.ask(f"10.{number // 65536}.{number // 256 % 256}.{number % 256}")
    assert await floor.ask("192.0.2.7") == 200, "asked longest ago: forgotten"
    assert await floor.ask("10.0.19.135") == 200
