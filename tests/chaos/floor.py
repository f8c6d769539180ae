"""A floor for the kill tests: a process that turns a list of *physical* events into facts through the real
outbox and uplink.

The list is what happened; the process is what may be killed while it writes it down. Its cursor (how far in the
list) is saved in the
transaction of the facts, so after a kill it goes on exactly where the disk says. Run as
``python -m tests.chaos.floor OUTBOX BROKER_PORT AGENT EVENTS.jsonl FACTS_PER_SECOND``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

import msgspec

from contracts.facts import MachineStateChanged, PartsCounted, StockObserved
from edge_agents.clock import Clock
from edge_agents.link import Broker, Link
from edge_agents.outbox import Fact, Outbox
from edge_agents.uplink import Uplink

SITE = "chaos"
CURSOR = "floor"


def body_of(event: dict[str, object]) -> msgspec.Struct:
    """The fact that a real part of an agent would make of this event."""
    match event["kind"]:
        case "parts":
            return msgspec.convert({k: v for k, v in event.items() if k != "kind"}, PartsCounted)
        case "pick":
            return StockObserved(
                source="camera", item=str(event["item"]), place=str(event["place"]), qty=int(str(event["qty"]))
            )
        case "state":
            return msgspec.convert({k: v for k, v in event.items() if k != "kind"}, MachineStateChanged)
        case other:
            raise ValueError(other)


async def live(path: Path, port: int, agent: str, events: list[dict[str, object]], rate: float) -> None:
    async with Outbox.open(path, site=SITE, agent=agent, clock=Clock()) as outbox:
        uplink = Uplink(
            outbox,
            lambda client, topics, will: Link(Broker("127.0.0.1", port), client, topics, will),
            version="chaos",
        )
        sending = asyncio.create_task(uplink.run())
        saved = await outbox.cursor(CURSOR)
        position = json.loads(saved)["position"] if saved else 0
        while position < len(events):
            size = random.randint(1, 80)
            chunk = events[position : position + size]
            position += len(chunk)
            await outbox.put([Fact(body_of(event)) for event in chunk], {CURSOR: {"position": position}})
            await asyncio.sleep(len(chunk) / rate)
        await sending


if __name__ == "__main__":
    outbox_path, broker_port, name, list_path, per_second = sys.argv[1:]
    happened = [json.loads(line) for line in Path(list_path).read_text(encoding="utf-8").splitlines()]
    asyncio.run(live(Path(outbox_path), int(broker_port), name, happened, float(per_second)))
