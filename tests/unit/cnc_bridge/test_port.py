import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from cnc_bridge.port import Driver, DriverEvent, DriverFaultError, EventStream, Finding, Link, Problem, Reading, Solved
from cnc_bridge.settings import DriverSettings, Source


class FakeSettings(DriverSettings):
    kind: str = "fake"
    reconnect_max_s: float = 0.1

    @property
    def address(self) -> str:
        return "fake:1"


class FakeDriver(Driver):
    """A controller whose connections go as the test says."""

    def __init__(self, *sessions: Callable[["FakeDriver"], Coroutine[Any, Any, None]]) -> None:
        super().__init__(FakeSettings())
        self.sessions = list(sessions)

    async def _session(self) -> None:
        if self.sessions:
            await self.sessions.pop(0)(self)
        else:
            await asyncio.Event().wait()

    async def probe(self) -> list[Finding]:
        return []

    def says(self, signal: str, raw: object, source: Source | None = None) -> None:
        self._value(signal, source or Source(), raw, None, self.clock.now())


async def refused(_: FakeDriver) -> None:
    raise DriverFaultError("refused", "nothing listens", "Rien n'écoute.")


async def works_then_lost(driver: FakeDriver) -> None:
    driver._link_up("fake")
    driver.says("execution", "ACTIVE")
    raise DriverFaultError("closed", "gone", "Partie.")


async def has_a_bug(_: FakeDriver) -> None:
    raise ZeroDivisionError("a bug in a protocol library")


async def says_odd_things(driver: FakeDriver) -> None:
    driver._link_up("fake")
    load = Source(scale=2.0)
    for raw in (float("nan"), "abc", object(), "9" * 10_000, 21):
        driver.says("spindle_load", raw, load)
    driver.says("part_count", "many")
    driver.says("execution", 7, Source(words={"3": "ACTIVE"}))
    driver.says("execution", 3, Source(words={"3": "ACTIVE"}))
    await asyncio.Event().wait()


async def gather(driver: Driver, enough: Callable[[list[DriverEvent]], bool]) -> list[DriverEvent]:
    events: list[DriverEvent] = []
    async with asyncio.timeout(20), driver.open() as stream:
        async for batch in stream:
            events += batch
            if enough(events):
                break
    return events


async def test_it_connects_again_and_tells_each_loss_once() -> None:
    driver = FakeDriver(refused, refused, refused, works_then_lost, has_a_bug, works_then_lost)
    events = await gather(driver, lambda seen: sum(isinstance(event, Link) for event in seen) == 4)
    assert [event.up for event in events if isinstance(event, Link)] == [True, False, True, False]
    problems = [event.code for event in events if isinstance(event, Problem)]
    assert problems[:3] == ["refused", "closed", "unexpected"]
    assert {"refused", "closed", "unexpected"} <= {event.code for event in events if isinstance(event, Solved)}


async def test_unusable_values_are_reported_and_become_unknown_and_a_good_one_solves_it() -> None:
    driver = FakeDriver(says_odd_things)
    events = await gather(
        driver, lambda seen: any(isinstance(event, Reading) and event.value == "ACTIVE" for event in seen)
    )
    loads = [event.value for event in events if isinstance(event, Reading) and event.signal == "spindle_load"]
    assert loads == [None, None, None, None, 42.0]
    assert not any(isinstance(event, Reading) and event.signal == "part_count" for event in events)
    problems = [(event.about, event.code) for event in events if isinstance(event, Problem)]
    assert set(problems) == {
        ("spindle_load", "not_finite"),
        ("spindle_load", "not_a_number"),
        ("spindle_load", "wrong_type"),
        ("spindle_load", "too_long"),
        ("part_count", "not_a_number"),
        ("execution", "unknown_word"),
    }
    solved = {(event.about, event.code) for event in events if isinstance(event, Solved)}
    assert {("spindle_load", "not_finite"), ("execution", "unknown_word")} <= solved


async def test_thousands_of_subjects_of_one_problem_are_eleven_problems_and_each_ends() -> None:
    names = [f"node_{number}_load" for number in range(3000)]

    async def lacks_them(driver: FakeDriver) -> None:
        driver._link_up("fake")
        for _ in range(2):
            for name in names:
                driver._problem("missing_node", name, f"{name} is not there", f"« {name} » n'existe pas.")
        for name in names[:-1]:
            driver._solved("missing_node", name)
        driver.says("execution", "READY")
        driver._solved("missing_node", names[-1])
        driver.says("execution", "ACTIVE")
        await asyncio.Event().wait()

    events = await gather(
        FakeDriver(lacks_them),
        lambda seen: any(isinstance(event, Reading) and event.value == "ACTIVE" for event in seen),
    )
    told = [event.about for event in events if isinstance(event, Problem)]
    assert told == [*names[:10], "autres"]
    ready = next(at for at, event in enumerate(events) if isinstance(event, Reading))
    assert [event.about for event in events[:ready] if isinstance(event, Solved)] == names[:10]
    assert [event.about for event in events[ready:] if isinstance(event, Solved)] == ["autres"]


async def test_a_reader_that_is_too_slow_loses_samples_and_nothing_else() -> None:
    stream = EventStream(limit=10)
    now = FakeDriver().clock.now()
    for number in range(50):
        stream.put(Reading("spindle_load", float(number), None, now), is_sample=True)
        stream.put(Reading("part_count", number, None, now))
    batch = await anext(stream)
    assert [event.value for event in batch if isinstance(event, Reading) and event.signal == "part_count"] == list(
        range(50)
    )
    assert stream.thinned == 45


async def test_closing_ends_the_connection_at_once() -> None:
    released: list[bool] = []

    async def holds(driver: FakeDriver) -> None:
        try:
            driver._link_up("fake")
            await asyncio.Event().wait()
        finally:
            released.append(True)

    driver = FakeDriver(holds)
    async with driver.open() as stream:
        await anext(stream)
    assert released == [True]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_closing_ends_also_when_the_library_fails_on_its_way_out() -> None:
    """An OPC UA client raised BadSubscriptionIdInvalid while cancelled, which hid the cancellation: it never closed."""

    async def fails_on_the_way_out(driver: FakeDriver) -> None:
        driver._link_up("fake")
        try:
            await asyncio.Event().wait()
        finally:
            raise DriverFaultError("protocol", "no such subscription", "Réponse inattendue.")

    driver = FakeDriver(fails_on_the_way_out)
    async with asyncio.timeout(20), driver.open() as stream:
        await anext(stream)
    assert driver.sessions == []
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
