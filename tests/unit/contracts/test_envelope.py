from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import envelope
from contracts.envelope import MAX_FACT_BYTES, MAX_MESSAGE_BYTES, MAX_PACK_FACTS, Envelope, decode, encode, encode_pack

T0 = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def make(seq: int = 1, body: bytes = b"{}", **changes: object) -> Envelope:
    values: dict[str, object] = {
        "site": "atelier",
        "agent": "pi-1",
        "boot": "b00tb00t",
        "stream": "facts",
        "seq": seq,
        "ts": T0,
        "run": "run-1",
        "mono": 10,
        "kind": "stock.observed",
        "body": msgspec.Raw(body),
    }
    return Envelope(**(values | changes))


def test_what_is_written_is_read_back_byte_for_byte() -> None:
    fact = make(body=b'{"source":"camera",  "qty":-1000}', off=-7_200_000)
    (back,) = decode(encode(fact)).envelopes
    assert back.identity == fact.identity
    assert bytes(back.body) == bytes(fact.body)
    assert back.body_hash() == fact.body_hash()
    assert back.corrected_time() == T0 - timedelta(hours=2)


def test_a_run_that_never_measured_its_offset_has_no_corrected_time() -> None:
    assert make().corrected_time() is None


@pytest.mark.parametrize(
    "change",
    [{"kind": "stock.counted"}, {"ts": T0 + timedelta(microseconds=1)}, {"mono": 11}, {"run": "run-2"}],
)
def test_another_content_under_one_identity_has_another_hash(change: dict[str, object]) -> None:
    assert make(**change).body_hash() != make().body_hash()


def test_the_measured_offset_is_not_content() -> None:
    """A row sent again after the clock was compared is the same fact."""
    assert make(off=5).body_hash() == make(off=None).body_hash()


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xff\xfe", b"null", b"[", b'{"v":2}', b'"text"', b"[" * 100_000, b"x" * (MAX_MESSAGE_BYTES + 1)],
)
def test_what_cannot_be_read_is_said_not_raised(payload: bytes) -> None:
    pack = decode(payload)
    assert pack.envelopes == []
    assert len(pack.illegible) == 1
    assert pack.illegible[0].reason
    assert pack.illegible[0].identity is None


def test_one_bad_piece_does_not_take_its_pack_along() -> None:
    good, other = encode(make(1)), encode(make(3))
    bad = encode(make(2)).replace(b'"mono":10', b'"mono":"ten"')
    pack = decode(b"[" + good + b"," + bad + b"," + other + b",17]")
    assert [e.seq for e in pack.envelopes] == [1, 3]
    assert [(i.identity.seq if i.identity else None) for i in pack.illegible] == [2, None]
    assert "mono" in pack.illegible[0].reason


def test_a_fact_above_the_limit_is_refused_with_its_identity_also_inside_a_pack() -> None:
    big = make(2, body=json.dumps({"comment": "x" * MAX_FACT_BYTES}).encode())
    for payload in (encode(big), encode_pack([make(1), big])):
        pack = decode(payload)
        assert [i.identity for i in pack.illegible] == [big.identity]
    assert [e.seq for e in decode(encode_pack([make(1), big])).envelopes] == [1]


def test_a_pack_above_its_count_is_refused() -> None:
    assert len(decode(encode_pack([make(n) for n in range(1, MAX_PACK_FACTS + 1)])).envelopes) == MAX_PACK_FACTS
    assert decode(encode_pack([make(n) for n in range(1, MAX_PACK_FACTS + 2)])).envelopes == []


@given(st.binary(max_size=300))
def test_any_bytes_are_answered(payload: bytes) -> None:
    pack = decode(payload)
    assert pack.envelopes or pack.illegible or payload.strip().startswith(b"[")


@pytest.mark.parametrize("name", ["Pi", "", "a/b", "+", "#", "@centre", "-a", "a" * 64, "é"])
def test_names_that_would_break_a_topic_are_refused(name: str) -> None:
    assert not envelope.is_name(name)
    assert decode(encode(make(agent=name))).envelopes == []
