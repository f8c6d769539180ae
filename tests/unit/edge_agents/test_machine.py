"""The machine part's cursor never runs ahead of what was written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cnc_bridge import tracking
from cnc_bridge.config import parse
from cnc_bridge.follow import Step
from contracts.control import PartState, PartStatus
from contracts.facts import SourceStatus
from edge_agents.clock import Clock
from edge_agents.outbox import Fact, OutboxBrokenError
from edge_agents.parts.machine import MachinePart

NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
SOURCE = parse({"machine": {"id": "tour-1"}, "driver": {"kind": "shdr", "host": "127.0.0.1"}})


class FakeDesk:
    """An outbox that fails once, and keeps what it was given afterwards."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.fails = 1
        self.kept: list[tuple[list[Fact], object]] = []
        self.state = PartState(name="tour-1", kind="machine", status="running", since=NOW)

    async def put(self, new: list[Fact], cursor: object = None) -> None:
        if self.fails:
            self.fails -= 1
            raise OutboxBrokenError("I/O error", "Carte mémoire en panne.")
        self.kept.append((new, cursor))

    def says(self, status: PartStatus, detail: str = "") -> None:
        """How the part is goes into the agent's state, which these tests do not look at."""


class FakeFollowing:
    """A driver that still holds some samples when it is closed."""

    def __init__(self, state: tracking.TrackerState) -> None:
        self._state = state

    def rest(self) -> Step:
        return Step([tracking.SamplesReady("spindle_load", "%", NOW, [0], [12.0])], self._state)


def counted(state: tracking.TrackerState) -> Step:
    return Step([tracking.PartsCounted(41, 42, 1, "O1", reset=False, during_absence=False, at=NOW)], state)


async def test_parts_whose_write_failed_are_not_skipped_by_the_samples_written_at_the_end() -> None:
    part, desk, state = MachinePart(SOURCE), FakeDesk(), tracking.TrackerState()
    with pytest.raises(OutboxBrokenError):
        await part._record(counted(state), desk)  # type: ignore[arg-type]  # a fake at the port
    await part._close(FakeFollowing(state), desk)  # type: ignore[arg-type]  # fakes at the ports
    assert desk.kept == []


async def test_samples_that_were_gathering_are_written_at_the_end() -> None:
    part, desk, state = MachinePart(SOURCE), FakeDesk(), tracking.TrackerState()
    desk.fails = 0
    await part._record(counted(state), desk)  # type: ignore[arg-type]  # a fake at the port
    await part._close(FakeFollowing(state), desk)  # type: ignore[arg-type]  # fakes at the ports
    assert [len(new) for new, _ in desk.kept] == [1, 1]


async def test_one_trouble_less_is_no_all_clear_as_long_as_another_stands() -> None:
    part, desk, state = MachinePart(SOURCE), FakeDesk(), tracking.TrackerState()
    desk.fails = 0
    missing = [
        tracking.SourceTrouble("error", "missing_node", name, f"{name} is not there", f"« {name} » n'existe pas.", NOW)
        for name in ("tool", "feed")
    ]
    connected = tracking.SourceTrouble("ok", "connected", "", "", "Liaison avec la machine établie.", NOW)
    lost = tracking.SourceTrouble("lost", "link_lost", "", "", "Liaison perdue.", NOW)
    over = [tracking.TroubleOver("missing_node", name, NOW) for name in ("tool", "feed")]
    events: list[tracking.Event] = [*missing, connected, *over, missing[0], lost, connected]
    for event in events:
        await part._record(Step([event], state), desk)  # type: ignore[arg-type]  # a fake at the port
    said = [fact.body for new, _ in desk.kept for fact in new]
    assert [(body.status, body.message) for body in said if isinstance(body, SourceStatus)] == [
        ("error", "« tool » n'existe pas."),
        ("error", "« feed » n'existe pas."),
        ("error", "« feed » n'existe pas."),  # connected, and a node is missing all the same
        ("error", "« feed » n'existe pas."),
        ("ok", "Résolu : feed"),
        ("error", "« tool » n'existe pas."),
        ("lost", "Liaison perdue."),
        ("ok", "Liaison avec la machine établie."),
    ]
