import asyncio
import threading

import pytest

from cnc_bridge.blocking import Worker


async def test_calls_run_one_after_the_other_in_one_thread() -> None:
    worker = Worker("test", lambda: None)
    names = [await worker.call(lambda: threading.current_thread().name, 10) for _ in range(2)]
    assert names == ["test", "test"]
    worker.close()


async def test_what_the_library_raises_reaches_the_caller_and_the_thread_goes_on() -> None:
    worker = Worker("test", lambda: None)

    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await worker.call(fail, 10)
    assert await worker.call(lambda: 3, 10) == 3
    worker.close()


async def test_a_call_that_hangs_is_given_up_while_the_loop_goes_on() -> None:
    woken = threading.Event()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.01)

    counting = asyncio.create_task(count())
    worker = Worker("test", woken.set)
    with pytest.raises(TimeoutError):
        await worker.call(woken.wait, 0.3)
    counting.cancel()
    assert turns > 3
    assert woken.is_set(), "the thread was woken"
    worker.close()


async def test_a_library_that_cannot_be_woken_does_not_hold_its_closing_up() -> None:
    never = threading.Event()
    worker = Worker("test", lambda: None)
    with pytest.raises(TimeoutError):
        await worker.call(never.wait, 0.05)
    worker.close()
    never.set()
