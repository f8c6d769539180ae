"""Programmes on a line: framing, refusals, the sender under XON/XOFF, the receiver. No port, no clock."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnc_bridge.port import DriverFaultError
from cnc_bridge.serial_line.line import MarkDecoder
from cnc_bridge.serial_line.sender import LAST_S, Sender
from cnc_bridge.serial_line.settings import LineSettings, TapeSettings
from cnc_bridge.serial_line.tape import Receiver, canonical, framed, normalised, programme_number, to_send

LINE = LineSettings()
EIGHT = LineSettings(data_bits=8, parity="none")
CABLE = LineSettings(data_bits=8, parity="none", flow="rtscts")
TAPE = TapeSettings()
AT_ONCE = TapeSettings(start="at_once")
XON, XOFF = b"\x11", b"\x13"

bodies = st.lists(
    st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="%"), max_size=30), max_size=30
).map(lambda lines: "\n".join(lines).encode("ascii"))
ends = st.sampled_from([b"\n", b"\r\n", b"\n\r\r", b"\r"])


# -- the sender


@given(
    data=st.binary(min_size=1, max_size=400),
    chunk=st.integers(1, 64),
    words=st.lists(st.sampled_from("xot"), max_size=80),
)
def test_whatever_the_machine_says_the_bytes_keep_their_order_and_none_goes_while_it_holds(
    data: bytes, chunk: int, words: list[str]
) -> None:
    sender = Sender(data, LINE, TapeSettings(chunk=chunk), 0.0)
    out, may_go = b"", False
    for word in words:
        if word == "t":
            taken = sender.take(0.0)
            assert len(taken) <= chunk
            assert may_go or not taken
            out += taken
        else:
            may_go = word == "o"
            sender.hear(XON if may_go else XOFF, 0.0)
        assert data.startswith(out)
    sender.hear(XON, 0.0)
    while not sender.done:
        out += sender.take(0.0)
    assert out == data
    assert sender.progress.sent == len(data)


def test_only_as_many_bytes_as_a_chunk_are_handed_out_before_the_machine_is_heard_again() -> None:
    sender = Sender(b"x" * 100, LINE, AT_ONCE, 0.0)
    assert len(sender.take(0.0)) == 16
    sender.hear(XOFF, 0.0)
    assert sender.take(0.0) == b""
    assert sender.progress.state == "held"


def test_a_hold_with_its_parity_bit_on_top_is_still_a_hold() -> None:
    """DC3 with even parity is 0x93 for a line that is set to 8 bits."""
    sender = Sender(b"x" * 100, EIGHT, AT_ONCE, 0.0)
    sender.hear(b"\x93", 0.0)
    assert sender.progress.state == "held"


def test_other_bytes_from_the_machine_do_nothing_and_are_counted() -> None:
    sender = Sender(b"x" * 100, LINE, AT_ONCE, 0.0)
    sender.hear(b"O1234\r\n", 0.0)
    assert (sender.progress.state, sender.unexpected) == ("sending", 7)


def test_where_the_cable_does_the_holding_the_codes_mean_nothing() -> None:
    sender = Sender(b"x" * 100, CABLE, AT_ONCE, 0.0)
    sender.hear(XOFF, 0.0)
    assert sender.take(0.0) != b""


def test_patience_ends_with_a_sentence() -> None:
    waiting = Sender(b"x", LINE, TapeSettings(start_timeout_s=5), 100.0)
    waiting.check(105.0)
    with pytest.raises(DriverFaultError, match="did not ask"):
        waiting.check(105.1)
    held = Sender(b"x" * 100, LINE, TapeSettings(start="at_once", hold_timeout_s=5), 0.0)
    held.take(0.0)
    held.hear(XOFF, 50.0)
    held.check(55.0)
    with pytest.raises(DriverFaultError, match="16 of 100") as fault:
        held.check(55.1)
    assert "alarme" in fault.value.message_fr


def test_each_hold_has_its_own_patience() -> None:
    held = Sender(b"x" * 100, LINE, TapeSettings(start="at_once", hold_timeout_s=5), 0.0)
    for begin in (0.0, 4.0, 8.0):
        held.hear(XOFF, begin)
        held.check(begin + 3)
        held.hear(XON, begin + 3)
    assert held.holds == 3


def test_a_reader_that_stops_at_the_last_percent_has_the_whole_programme() -> None:
    """It sends DC3 at the % and never asks for the trailer: that is an end, not a hold."""
    data = to_send(b"%\nO1\nM30\n%\n", LINE, TapeSettings(trailer=40))
    sender = Sender(data, LINE, TapeSettings(chunk=1, start="at_once"), 0.0)
    while not sender.progress.sent >= len(data.rstrip(b"\x00\r\n")):
        sender.take(0.0)
    sender.hear(XOFF, 1.0)
    sender.check(1.0 + LAST_S)
    assert not sender.done
    sender.check(1.1 + LAST_S)
    assert sender.done


def test_without_a_percent_the_last_line_end_is_part_of_the_programme() -> None:
    """A block is executed at its line end: M30 without it would never be."""
    data = to_send(b"O1\nM30\n", LINE, TapeSettings(framing="none"))
    sender = Sender(data, LINE, TapeSettings(chunk=1, start="at_once"), 0.0)
    while sender.progress.sent < len(data) - 1:
        sender.take(0.0)
    sender.hear(XOFF, 1.0)
    sender.check(10.0 + LAST_S)
    assert sender.progress.state == "held"


# -- what goes on the line


@given(body=bodies, end=ends)
def test_framing_is_put_once_and_line_ends_become_one_kind(body: bytes, end: bytes) -> None:
    text = framed(body.replace(b"\n", end))
    assert text.startswith(b"%\n")
    assert text.endswith(b"\n%\n")
    assert text.count(b"%") == 2
    assert b"\r" not in text
    assert framed(text) == text


@given(text=st.binary(max_size=200))
def test_normalising_twice_changes_nothing(text: bytes) -> None:
    assert normalised(normalised(text)) == normalised(text)


def test_a_name_after_the_first_percent_is_kept() -> None:
    assert framed(b"%MPF1234\r\nG0\r\n") == b"%MPF1234\nG0\n%\n"


def test_leader_trailer_and_line_ends_are_as_the_machine_wants_them() -> None:
    assert to_send(b"O1\nM30", LINE, TapeSettings(leader=3, trailer=2)) == b"\0\0\0%\r\nO1\r\nM30\r\n%\r\n\0\0"
    assert to_send(b"O1\r\nM30\r\n", LINE, TapeSettings(eol="lf", framing="none")) == b"O1\nM30\n"


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("%\nO1\n(ébauche)\nM30\n%\n".encode(), LINE, "ligne 3 : « é »"),
        ("%\nO1\n(ébauche)\nM30\n%\n".encode("latin-1"), LINE, "« é »"),
        (b"%\nO1\nG0 X1\x13\nM30\n%\n", EIGHT, "0x13"),
        (b"%\nO1\n(100% DE CHARGE)\nM30\n%\n", EIGHT, "ligne 3 : le caractère « % »"),
    ],
    ids=["utf8", "latin1", "code", "percent"],
)
def test_what_the_line_cannot_carry_is_refused_with_its_line(content: bytes, line: LineSettings, said: str) -> None:
    with pytest.raises(DriverFaultError) as fault:
        to_send(content, line, TAPE)
    assert fault.value.code == "unsendable"
    assert said in fault.value.message_fr


def test_an_accent_passes_on_eight_bits_and_a_code_where_the_cable_holds() -> None:
    accent = "%\n(é)\n%\n".encode()
    assert to_send(accent, EIGHT, TapeSettings(eol="lf")) == accent
    raw = TapeSettings(start="at_once", framing="none", eol="as_is")
    assert to_send(bytes(range(256)), CABLE, raw) == bytes(range(256))


def test_numbers_of_programmes_are_found() -> None:
    assert programme_number(b"%\r\nO1234 (X)\r\n") == 1234
    assert programme_number(b"%\n:0042\n") == 42
    assert programme_number(b"%O0007\n") == 7
    assert programme_number(b"%\nG0 (O12)\n") is None
    assert programme_number(b"O1234.nc") == 1234


# -- the receiver


def received(pieces: list[bytes], line: LineSettings = LINE, tape: TapeSettings = TAPE) -> Receiver:
    receiver = Receiver(line, tape, 0.0)
    for at, piece in enumerate(pieces):
        receiver.feed(piece, float(at) / 100)
    return receiver


@given(body=bodies, end=ends, cuts=st.lists(st.integers(0, 2000), max_size=8), leader=st.integers(0, 5))
def test_what_is_framed_is_received_however_it_is_cut(body: bytes, end: bytes, cuts: list[int], leader: int) -> None:
    wire = b"\x12" + bytes(leader) + framed(body).replace(b"\n", end) + bytes(leader) + b"\x14"
    places = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    receiver = received([wire[a:b] for a, b in itertools.pairwise(places)])
    assert receiver.state == "done"
    assert receiver.content == framed(body)
    assert receiver.punch_off


@given(body=bodies)
def test_what_was_sent_reads_back_the_same(body: bytes) -> None:
    tape = TapeSettings(leader=3, trailer=3)
    assert received([to_send(body, LINE, tape)]).content == canonical(body, tape)


def test_a_label_before_the_first_percent_is_dropped_and_a_percent_in_a_comment_ends_nothing() -> None:
    receiver = received([b"PROGRAMME DE TEST\r\n%\r\nO1\r\n(100% DE CHARGE)\r\nM30\r\n%\r\n"])
    assert receiver.content == b"%\nO1\n(100% DE CHARGE)\nM30\n%\n"


def test_a_comment_left_open_does_not_hide_the_end() -> None:
    assert received([b"%\nO1 (OUVERT\nM30\n%\n"]).state == "done"


def test_an_end_before_the_percent_is_no_programme() -> None:
    with pytest.raises(DriverFaultError, match="ended the punch") as fault:
        received([b"\x12%\nO1\nM30\n\x14"])
    assert fault.value.code == "cut_short"


def test_silence_ends_an_unframed_reception_and_breaks_a_framed_one() -> None:
    free = received([b"O1\r\nM30\r\n"], tape=TapeSettings(framing="none", idle_timeout_s=5))
    free.check(4.9)
    assert free.state == "receiving"
    free.check(5.1)
    assert (free.state, free.content) == ("done", b"O1\nM30\n")
    framed_one = received([b"%\r\nO1\r\n"])
    with pytest.raises(DriverFaultError, match="silence"):
        framed_one.check(5.1)


def test_a_reception_without_end_is_bounded() -> None:
    with pytest.raises(DriverFaultError, match="1 kB"):
        received([b"%\n" + b"G1 X1.\n" * 200], tape=TapeSettings(max_kb=1))


# -- damaged characters


@given(cuts=st.lists(st.integers(0, 30), max_size=5))
def test_damaged_characters_are_left_out_and_counted_wherever_the_bytes_are_cut(cuts: list[int]) -> None:
    marked = b"G0\xff\x00A X1\xff\xff Y\xff\x00\x002"
    places = [0, *sorted(min(cut, len(marked)) for cut in cuts), len(marked)]
    decoder = MarkDecoder()
    good = b"".join(decoder.feed(marked[a:b]) for a, b in itertools.pairwise(places))
    assert good == b"G0 X1\xff Y2"
    assert (decoder.errors.damaged, decoder.errors.breaks) == (1, 1)


def test_the_time_of_a_character_counts_all_its_bits() -> None:
    assert LineSettings(baud=9600).seconds_per_byte == pytest.approx(11 / 9600)
    assert LineSettings(baud=9600, data_bits=8, parity="none", stop_bits=1).seconds_per_byte == pytest.approx(10 / 9600)
    assert LINE.summary == "9600 7E2"
