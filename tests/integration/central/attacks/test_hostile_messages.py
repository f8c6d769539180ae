"""Hostile payloads from the broker: kept aside, acknowledged or not, and the stream goes on."""

from __future__ import annotations

import json

import pytest

from contracts.facts import MachineStateChanged
from tests.integration.central.inbox.test_inbox import quarantined, stored
from tests.support.centre import bench
from tests.support.facts import Source

GOOD = MachineStateChanged(machine="tour-1", state="running")
PAYLOADS = {
    "empty": b"",
    "null": b"null",
    "deep list": b"[" * 200_000,
    "deep object": b'{"a":' * 100_000,
    "no utf-8": b"\xff\xfe\x00{}",
    "ten megabytes": b"[" + b'"x",' * 2_500_000 + b'"x"]',
    "huge numbers": b'[{"v":1,"seq":' + b"9" * 500 + b"}]",
    "infinite": b'[{"v":1,"mono":1e999,"seq":NaN}]',
    "zip": b"PK\x03\x04" + b"\0" * 1000,
    "gzip": b"\x1f\x8b\x08" + b"\0" * 1000,
    "script": json.dumps([{"agent": "<script>alert(1)</script>", "kind": "' OR 1=1 --"}]).encode(),
}


@pytest.mark.parametrize("which", PAYLOADS)
async def test_a_hostile_payload_stops_nothing(sqlite_url: str, which: str) -> None:
    source = Source()
    async with bench(sqlite_url) as centre:
        await centre.inbox.deliver("rack-1", PAYLOADS[which])
        await centre.send(source.fact(GOOD))
        assert centre.link.upto() == 1
        assert await stored(centre) == 1
        for row in await quarantined(centre):
            assert len(row.excerpt) <= 400


async def test_a_body_that_is_deep_or_too_large_is_quarantined_and_the_next_fact_is_taken(sqlite_url: str) -> None:
    """A pack that cannot be read is kept whole: only an agent that does not check what it sends makes one."""
    source = Source()
    deep = source.fact(GOOD, raw=b"[" * 20_000 + b"]" * 20_000)
    large = source.fact(GOOD, raw=json.dumps({"machine": "t", "state": "running", "detail": "x" * 70_000}).encode())
    async with bench(sqlite_url) as centre:
        for hostile in (deep, large):
            await centre.send(hostile)
        await centre.send(source.fact(GOOD))
        assert await stored(centre) == 1
        assert len(await quarantined(centre)) >= 1
