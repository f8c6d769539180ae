from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cnc_bridge.tracking import SamplesReady
from contracts.envelope import MAX_FACT_BYTES
from contracts.facts import MachineBlock, MachineSamples
from edge_agents.parts.samples import sample_facts

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

ready = st.builds(
    lambda name, late, steps, values: SamplesReady(
        name,
        "%",
        NOON + timedelta(milliseconds=late),
        [sum(steps[: n + 1]) for n in range(len(values))],
        values,
    ),
    st.text("abcé_", min_size=1, max_size=60),
    st.integers(0, 5000),
    st.lists(st.integers(0, 1000), min_size=200, max_size=200),
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=200),
)


def told(bodies: list[MachineSamples | MachineBlock]) -> list[tuple[str, datetime, float]]:
    found = []
    for body in bodies:
        for one in body.series if isinstance(body, MachineBlock) else [body]:
            found += [
                (one.signal, body.t0 + timedelta(milliseconds=dt), v) for dt, v in zip(one.dt, one.v, strict=True)
            ]
    return found


@given(st.lists(ready, min_size=1, max_size=40))
def test_every_value_keeps_its_time_and_every_fact_has_room(events: list[SamplesReady]) -> None:
    bodies = sample_facts("tour-1", events)
    expected = [
        (e.signal, e.t0 + timedelta(milliseconds=dt), v) for e in events for dt, v in zip(e.dt, e.values, strict=True)
    ]
    assert told(bodies) == expected
    assert all(len(msgspec.json.encode(body)) < MAX_FACT_BYTES for body in bodies)


def test_a_thousand_signals_cost_a_few_facts() -> None:
    events = [SamplesReady(f"signal_{n}", "%", NOON, [0, 40], [1.5, 2.5]) for n in range(1000)]
    assert len(sample_facts("tour-1", events)) <= 4


def test_a_signal_alone_is_an_ordinary_batch() -> None:
    (body,) = sample_facts("tour-1", [SamplesReady("spindle_load", "%", NOON, [0], [12.0])])
    assert isinstance(body, MachineSamples)
