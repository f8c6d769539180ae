from collections.abc import Sequence

import pytest

from cnc_bridge.registers import BatchReader, Piece, RefusedError, Span, spans


class FakeDevice:
    """Answers each address by its own number; what is in `holes` it refuses, and counts what it is asked."""

    def __init__(self, holes: Sequence[int] = (), longest: int = 1000) -> None:
        self.holes = set(holes)
        self.longest = longest
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, span: Span) -> list[int]:
        self.asked.append((span.start, span.length))
        wanted = range(span.start, span.start + span.length)
        if self.holes.intersection(wanted) or span.length > self.longest:
            raise RefusedError("illegal_address", "no such register", "ce registre n'existe pas")
        return list(wanted)


def pieces(*starts: int, length: int = 1) -> list[Piece]:
    return [Piece(f"s{start}", "holding", start, length) for start in starts]


def test_neighbours_are_read_together_and_far_ones_apart() -> None:
    found = spans([*pieces(0, 2, 40), Piece("x", "input", 1, 2)], max_gap=8, max_length=100)
    assert [(span.area, span.start, span.length) for span in found] == [
        ("holding", 0, 3), ("holding", 40, 1), ("input", 1, 2),
    ]  # fmt: skip


def test_a_span_never_grows_past_what_one_request_may_carry() -> None:
    found = spans(pieces(*range(0, 300, 2), length=2), max_gap=0, max_length=100)
    assert [span.length for span in found] == [100, 100, 100]


def test_overlapping_signals_share_their_registers() -> None:
    whole = [Piece("word", "holding", 4, 2), Piece("bit", "holding", 4, 1)]
    (span,) = spans(whole, max_gap=0, max_length=10)
    assert (span.start, span.length) == (4, 2)


async def test_everything_is_cut_out_of_the_one_answer() -> None:
    device, reader = FakeDevice(), BatchReader(pieces(3, 5, 9, length=2), max_gap=8, max_length=100)
    given, refused = await reader.read(device, 0.0)
    assert given == {"s3": [3, 4], "s5": [5, 6], "s9": [9, 10]}
    assert refused == {}
    assert device.asked == [(3, 8)]


async def test_a_register_that_is_not_there_is_found_and_left_alone_for_a_while() -> None:
    device, reader = FakeDevice(holes=[5]), BatchReader(pieces(4, 5, 6), max_gap=8, max_length=100, retry_s=30)
    given, refused = await reader.read(device, 0.0)
    assert (set(given), set(refused)) == ({"s4", "s6"}, {"s5"})
    device.asked.clear()
    given, refused = await reader.read(device, 1.0)
    assert (set(given), set(refused)) == ({"s4", "s6"}, set())
    assert device.asked == [(4, 1), (6, 1)], "5 is not crossed any more"
    device.holes.clear()
    given, refused = await reader.read(device, 31.0)
    assert (set(given), set(refused)) == ({"s4", "s5", "s6"}, set())


async def test_a_hole_between_two_good_registers_accuses_nobody() -> None:
    device, reader = FakeDevice(holes=[5]), BatchReader(pieces(4, 6), max_gap=8, max_length=100)
    for _ in range(2):
        given, refused = await reader.read(device, 0.0)
        assert (set(given), set(refused)) == ({"s4", "s6"}, set())
    assert device.asked[-2:] == [(4, 1), (6, 1)]


async def test_a_device_that_takes_one_register_at_a_time_is_read_one_at_a_time() -> None:
    device, reader = FakeDevice(longest=1), BatchReader(pieces(4, 5), max_gap=0, max_length=100)
    await reader.read(device, 0.0)
    device.asked.clear()
    given, refused = await reader.read(device, 1.0)
    assert (set(given), set(refused)) == ({"s4", "s5"}, set())
    assert device.asked == [(4, 1), (5, 1)]


async def test_an_answer_that_is_too_short_is_a_refusal() -> None:
    async def short(_: Span) -> list[int]:
        return [1]

    given, refused = await BatchReader(pieces(4, length=2), max_gap=0, max_length=9).read(short, 0.0)
    assert given == {}
    assert refused["s4"].code == "short_answer"


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1]])
def test_the_plan_does_not_depend_on_the_order_in_the_file(order: list[int]) -> None:
    all_pieces = pieces(10, 12, 90)
    assert spans([all_pieces[index] for index in order], max_gap=4, max_length=50) == spans(
        all_pieces, max_gap=4, max_length=50
    )
