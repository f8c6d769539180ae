"""What every driver that asks has in common, on a fake controller."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Literal

import pytest
from annotated_types import Le

from cnc_bridge import catalogue
from cnc_bridge.polling import PollingDriver, PollSettings, cannot_connect
from cnc_bridge.port import DriverEvent, DriverFaultError, Finding, Heard, Link, Problem, Reading, Solved
from cnc_bridge.registers import RefusedError
from cnc_bridge.settings import Source

PLAIN = Source()


class FakeSettings(PollSettings):
    kind: Literal["fake"] = "fake"
    period_s: float = 0.02

    @property
    def address(self) -> str:
        return "fake:1"


class FakePolled(PollingDriver):
    """Answers from a list, one entry a reading; a RefusedError refuses the tool; then it hangs up."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        super().__init__(FakeSettings(reconnect_max_s=60))
        self._answers = list(answers)

    async def _session(self) -> None:
        await self._poll_forever("fake", self._ask, self._hand_on)

    async def _ask(self) -> dict[str, Any]:
        if not self._answers:
            raise DriverFaultError("closed", "gone", "partie")
        return self._answers.pop(0)

    def _hand_on(self, answer: dict[str, Any]) -> None:
        for name, raw in answer.items():
            if isinstance(raw, RefusedError):
                self._refused(name, PLAIN, "place 5", raw)
            else:
                self._granted(name)
                self._take(name, PLAIN, raw, self.clock.now())

    async def probe(self) -> list[Finding]:
        return []


async def run(answers: list[dict[str, Any]]) -> list[DriverEvent]:
    """All events until the link is lost."""
    seen: list[DriverEvent] = []
    async with asyncio.timeout(30), FakePolled(answers).open() as stream:
        async for batch in stream:
            seen += batch
            if any(isinstance(event, Problem) and event.code == "closed" for event in seen):
                return seen
    raise AssertionError("the stream ended by itself")


def values(seen: list[DriverEvent], signal: str) -> list[object]:
    return [event.value for event in seen if isinstance(event, Reading) and event.signal == signal]


async def test_samples_come_at_each_reading_and_the_rest_when_it_changes() -> None:
    answers = [{"tool": 1, "spindle_load": 5.0}, {"tool": 1, "spindle_load": 5.0}, {"tool": 2, "spindle_load": 5.0}]
    seen = await run(answers)
    assert values(seen, "tool") == ["1", "2"]
    assert values(seen, "spindle_load") == [5.0, 5.0, 5.0]
    assert len([event for event in seen if isinstance(event, Heard)]) == 3, "each answer is a sign of life"


async def test_the_link_is_up_with_the_first_answer_and_before_its_values() -> None:
    seen = await run([{"tool": 1}])
    assert isinstance(seen[0], Link)
    assert [event.up for event in seen if isinstance(event, Link)] == [True, False]


async def test_no_answer_no_link() -> None:
    assert not [event for event in await run([]) if isinstance(event, Link)]


async def test_a_refused_signal_is_unknown_said_once_and_solved_when_it_is_back() -> None:
    no = RefusedError("illegal_address", "no such place", "cette place n'existe pas")
    seen = await run([{"tool": 1}, {"tool": no}, {"tool": no}, {"tool": 1}])
    assert values(seen, "tool") == ["1", None, "1"]
    problems = [event for event in seen if isinstance(event, Problem) and event.about == "tool"]
    assert [problem.code for problem in problems] == ["illegal_address"]
    assert "signals.tool" in problems[0].message_fr
    assert [event.about for event in seen if isinstance(event, Solved)] == ["tool"]


@pytest.mark.parametrize("kind", ["modbus", "s7", "focas", "lsv2"])
def test_no_period_that_is_allowed_makes_a_machine_look_silent(kind: str) -> None:
    fields = catalogue.settings_type(kind).model_fields
    limits = [
        limit.le for name in ("period_s", "timeout_s") for limit in fields[name].metadata if isinstance(limit, Le)
    ]
    longest = sum(float(str(limit)) for limit in limits)
    assert 0 < longest < catalogue.manifest(kind).stale_after_s


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(-2, "Name or service not known"), "unknown_host"),
        (ConnectionRefusedError(), "refused"),
        (TimeoutError(), "no_answer"),
        (ConnectionResetError(), "closed"),
        (OSError(113, "No route to host"), "unreachable"),
    ],
)
def test_each_way_of_not_connecting_has_its_sentence(error: OSError, code: str) -> None:
    fault = cannot_connect(error, FakeSettings(), "fake", 1, "the server", "le serveur")
    assert fault.code == code
    assert "fake:1" in fault.message
    assert fault.message_fr.endswith(".")


async def test_many_refused_registers_that_are_read_again_leave_no_problem_open() -> None:
    refused = {
        f"register_{n}": RefusedError("illegal_address", "no such register", "adresse inconnue") for n in range(40)
    }
    seen = await run([refused, dict.fromkeys(refused, 1.0)])
    told = [event.about for event in seen if isinstance(event, Problem) and event.code == "illegal_address"]
    solved = [event.about for event in seen if isinstance(event, Solved) and event.code == "illegal_address"]
    assert len(told) == 11
    assert sorted(solved) == sorted(told)
