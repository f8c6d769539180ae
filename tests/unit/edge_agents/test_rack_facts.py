from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from contracts.envelope import MAX_FACT_BYTES
from contracts.facts import RackModeChanged, decode_body
from edge_agents import rack_messages as messages
from edge_agents.parts.rack import RackState, _state
from edge_agents.parts.rack_facts import RackFacts, french_of, status_of

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FACTS = RackFacts("rack-a", "armoire", "run-1")


def test_a_transfer_names_the_other_place_as_the_centre_knows_it() -> None:
    change = messages.Change(
        "A1", "PLAQ", -1, 4, 3, 0.9, "auto", AT, 7, b"", b"", "judge-1", "moved", during_absence=False, transfer="B2"
    )
    body = FACTS.change(change, "0" * 32)
    assert (body.place, body.transfer, body.qty) == ("armoire/A1", "armoire/B2", -1000)
    assert (body.session, body.crops, body.code) == ("rack-a-run-1-7", "0" * 32, None)


def test_a_question_without_an_idea_has_no_guess() -> None:
    ask = messages.Ask("A1", "", "hidden", AT, None, None, 0.0, 0, b"", b"", "", "lid", during_absence=True)
    body = FACTS.ask(ask, None)
    assert (body.guess, body.item, body.code, body.session) == (None, None, "armoire/A1", None)
    assert decode_body("stock.asked", msgspec.json.encode(body)) == body


@pytest.mark.parametrize("slots", [1, 150, 151, 400])
def test_a_reading_of_many_places_fits_into_facts(slots: int) -> None:
    seen = [messages.Seen(f"{'S' * 28}{n:03d}", "I" * 120, 3, None, "masked", AT, 0.123456) for n in range(slots)]
    bodies = FACTS.read(messages.Read("start", AT, 0, seen, "m" * 200), None)
    assert [slot.place for body in bodies for slot in body.slots] == [FACTS.place(one.slot) for one in seen]
    assert all(len(msgspec.json.encode(body)) < MAX_FACT_BYTES - 1024 for body in bodies)


@pytest.mark.parametrize(
    "code", ["covered", "dark", "frozen", "dirty", "moved", "closed", "lost", "flicker", "something new"]
)
def test_each_blindness_says_what_to_do(code: str) -> None:
    body = FACTS.mode("blind", code, None, None)
    assert "rack-a" in body.message
    assert decode_body("rack.mode", msgspec.json.encode(body)) == body
    assert isinstance(body, RackModeChanged)
    assert status_of(code) in ("ok", "lost", "covered", "moved", "error", "dark", "frozen", "dirty")
    assert "{" not in french_of(code, "rack-a")


def test_a_state_is_read_again_and_a_spoilt_one_learnt_anew() -> None:
    assert _state(b'{"mode":5}') == RackState()
    assert _state(None) == RackState()
    kept = RackState(pending=[messages.HaveCount("c1", "A1", 3)], persons={"c1": "p-1"}, mode="counting")
    assert _state(msgspec.json.encode(kept)) == kept
