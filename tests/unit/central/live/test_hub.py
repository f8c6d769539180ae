from __future__ import annotations

from central.live.hub import QUEUE_LIMIT, Frame, Hub


async def test_a_listener_gets_what_came_in_order() -> None:
    hub = Hub()
    listener = hub.join()
    for number in range(3):
        hub.send(Frame(number, "{}"))
    assert [frame.id for frame in await listener.take(1)] == [0, 1, 2]
    assert await listener.take(0.01) == []


async def test_a_slow_page_costs_a_bounded_queue_and_is_told_to_read_again() -> None:
    hub = Hub()
    slow, quick = hub.join(), hub.join()
    for number in range(QUEUE_LIMIT):
        hub.send(Frame(number, "{}"))
    assert len(await quick.take(1)) == QUEUE_LIMIT
    hub.send(Frame(QUEUE_LIMIT, "{}"))
    hub.send(Frame(QUEUE_LIMIT + 1, "{}"))
    assert await slow.take(1) == [Frame(QUEUE_LIMIT, None), Frame(QUEUE_LIMIT + 1, "{}")]
    assert [frame.id for frame in await quick.take(1)] == [QUEUE_LIMIT, QUEUE_LIMIT + 1]


async def test_closing_ends_those_who_listen_and_those_who_come() -> None:
    hub = Hub()
    early = hub.join()
    hub.close()
    assert early.closed
    assert hub.join().closed
    hub.leave(early)
    assert len(hub) == 1
