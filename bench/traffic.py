"""The mix of facts that the design names: 95 % machine states and sample batches, 5 % stock observations that go
through matching.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from contracts import envelope
from contracts.envelope import Envelope, Stream
from contracts.facts import KIND_OF, MachineMode, MachineSamples, MachineStateChanged, StockObserved

SITE = "banc"
MACHINES = 20
ITEMS = 40
STATES: tuple[MachineMode, ...] = ("running", "ready", "stopped", "alarm")


class Planned(NamedTuple):
    stream: Stream
    kind: str
    body: msgspec.Struct


def agent_name(number: int) -> str:
    return f"pi-{number:02d}"


def machine_name(number: int) -> str:
    return f"m-{number:02d}"


def item_code(number: int) -> str:
    return f"ART-{number:03d}"


def mix(agent: int, seed: int) -> Iterator[Planned]:
    """Endless facts of one agent: of 20, 9 states, 10 sample batches of 50 values, 1 observation (a camera's or a
    scan's).
    """
    rng = random.Random(seed)
    machine = machine_name(agent % MACHINES)
    while True:
        for turn in range(20):
            now = datetime.now(UTC)
            if turn == 19:
                body: msgspec.Struct = StockObserved(
                    source=rng.choice(("camera", "scan")),
                    qty=rng.choice((-1000, -1000, 1000)),
                    item=item_code(rng.randrange(ITEMS)),
                    place=f"rack-{agent:02d}/A{rng.randrange(12)}",
                )
                yield Planned("facts", KIND_OF[StockObserved], body)
            elif turn % 2:
                values = [round(rng.uniform(0, 80), 1) for _ in range(50)]
                start = now - timedelta(seconds=5)
                body = MachineSamples(
                    machine=machine, signal="spindle_load", unit="%", t0=start, dt=list(range(0, 5000, 100)), v=values
                )
                yield Planned("samples", KIND_OF[MachineSamples], body)
            else:
                body = MachineStateChanged(
                    machine=machine, state=rng.choice(STATES), execution="ACTIVE", programme="O1234"
                )
                yield Planned("facts", KIND_OF[MachineStateChanged], body)


def wrap(agent: int, boot: str, seq: int, planned: Planned, mono: int) -> Envelope:
    return Envelope(
        site=SITE,
        agent=agent_name(agent),
        boot=boot,
        stream=planned.stream,
        seq=seq,
        ts=datetime.now(UTC),
        run="banc-0001",
        mono=mono,
        off=0,
        kind=planned.kind,
        body=msgspec.Raw(envelope.encoder.encode(planned.body)),
    )
