"""The mix of facts that the design names: 95 % machine states and sample batches, 5 % stock observations that go
through matching.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from contracts import envelope
from contracts.envelope import Envelope, Stream
from contracts.facts import KIND_OF, MachineMode, MachineSamples, MachineStateChanged, StockObserved

SITE = "banc"
AGENTS = 20
MACHINE_RATE = 10
"""Facts a second of one machine; a faster run has more machines, not machines that talk faster."""
SIGNALS = 24
"""A machine's signals, each sampled at 10 Hz and sent as batches of 50 values: 4.75 batches a second."""
STATES: tuple[MachineMode, ...] = ("running", "ready", "stopped", "alarm")


_TENTHS = list(range(0, 5000, 100))


class Planned(NamedTuple):
    stream: Stream
    kind: str
    body: msgspec.Struct


class Size(NamedTuple):
    """A site that makes `rate` facts a second."""

    machines: int
    items: int

    @classmethod
    def of(cls, rate: float) -> Size:
        machines = max(AGENTS, round(rate / MACHINE_RATE))
        return cls(machines, 2 * machines)


def agent_name(number: int) -> str:
    return f"pi-{number:02d}"


def machine_name(number: int) -> str:
    return f"m-{number:04d}"


def item_code(number: int) -> str:
    return f"ART-{number:04d}"


def mix(agent: int, size: Size, seed: int) -> Iterator[Planned]:
    """Endless facts of one agent and its share of the machines.

    Of 20 facts 9 are states, 10 sample batches, 1 is an observation by a camera or a scan. Each signal's
    batches follow one
    another in time, as they would from a controller.
    """
    rng = random.Random(seed)  # nosec B311  # made-up traffic, not a secret
    mine = range(agent, size.machines, AGENTS)
    sampled: dict[tuple[int, int], datetime] = {}
    signals = itertools.cycle([(machine, signal) for signal in range(SIGNALS) for machine in mine])
    machines = itertools.cycle(mine)
    while True:
        for turn in range(20):
            now = datetime.now(UTC)
            if turn == 19:
                body: msgspec.Struct = StockObserved(
                    source=rng.choice(("camera", "scan")),
                    qty=rng.choice((-1000, -1000, 1000)),
                    item=item_code(rng.randrange(size.items)),
                    place=f"rack-{agent:02d}/A{rng.randrange(12)}",
                )
                yield Planned("facts", KIND_OF[StockObserved], body)
            elif turn % 2:
                machine, signal = key = next(signals)
                begins = sampled.get(key, now - timedelta(seconds=5))
                sampled[key] = begins + timedelta(seconds=5)
                values = [round(rng.uniform(0, 80), 1) for _ in range(50)]
                body = MachineSamples(
                    machine=machine_name(machine), signal=f"s{signal:02d}", unit="%", t0=begins, dt=_TENTHS, v=values
                )
                yield Planned("samples", KIND_OF[MachineSamples], body)
            else:
                name = machine_name(next(machines))
                state = rng.choice(STATES)
                body = MachineStateChanged(machine=name, state=state, execution="ACTIVE", programme="O1234")
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
