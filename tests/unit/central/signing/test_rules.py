"""What is signed: one text, one hash; every change of the facts is seen, forgetting who it was in time is none."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.audit.rules import canonical
from central.signing import rules
from central.signing.rules import Line, Signed, Statement

NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)
SAID = Statement("atelier", "OF9-20", "p-1", "conform", NOW, ("password", "code"))
FACTS: dict[str, Any] = {
    "order": {"code": "OF9", "quantity": 4},
    "result": {"status": "done", "good": 3, "scrap": 1, "ended": rules.moment(NOW)},
    "work": [
        {"person": "p-1", "phase": "setup", "begin": "a", "end": "b", "post": "poste-1", "forgotten": False},
        {"person": "p-2", "phase": "run", "begin": "b", "end": "c", "post": "poste-1", "forgotten": False},
    ],
    "declared": [{"person": "p-2", "at": "c", "good": 3, "scrap": 1, "rework": 0, "uncertain": False}],
    "programmes": [{"name": "O1", "version": 2, "sha256": "ab"}],
}
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
_PERSONS = st.sampled_from(["p-1", "p-2", "p-3"])


def _rows(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries({"person": _PERSONS, **fields}), max_size=5).map(
        lambda rows: sorted(rows, key=rules.order_of)
    )


FACTS_OF_ALL_KINDS = st.fixed_dictionaries(
    {
        "order": st.fixed_dictionaries({"code": _TEXTS, "label": _TEXTS, "quantity": st.integers(0, 10**12)}),
        "result": st.fixed_dictionaries({"good": st.integers(), "scrap": st.integers(), "ended": st.none() | _TEXTS}),
        # few values, so that two persons often did the same at the same time
        "work": _rows(begin=st.sampled_from(["a", "b"]), end=st.sampled_from(["c", None]), forgotten=st.booleans()),
        "declared": _rows(at=st.sampled_from(["a", "b"]), good=st.integers(0, 2)),
        "programmes": st.lists(st.fixed_dictionaries({"name": _TEXTS, "version": st.none() | st.integers()})),
    }
)


def test_the_hash_is_the_plain_sha256_of_a_text_that_holds_everything() -> None:
    text = rules.text_of(SAID, FACTS)
    assert json.loads(text) == {
        "form": "copeau signature 1", "site": "atelier", "operation": "OF9-20", "person": "p-1", "meaning": "conform",
        "says": "Contrôlé conforme", "at": "2026-05-04T06:00:00.000000+00:00", "proof": ["password", "code"],
        "facts": FACTS,
    }  # fmt: skip
    assert text == canonical(json.loads(text))
    assert len(rules.hash_of(text)) == 64


def test_another_zone_or_order_of_keys_is_the_same_text() -> None:
    paris = SAID._replace(at=NOW.astimezone(timezone(timedelta(hours=2))))
    assert rules.text_of(paris, dict(reversed(FACTS.items()))) == rules.text_of(SAID, FACTS)


def test_a_meaning_outside_of_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match="inconnu"):
        rules.text_of(SAID._replace(meaning="perhaps"), FACTS)


@given(FACTS_OF_ALL_KINDS)
def test_what_did_not_change_agrees(facts: dict[str, Any]) -> None:
    text = rules.text_of(SAID, facts)
    assert rules.agrees(text, rules.hash_of(text), copy.deepcopy(facts))


@given(FACTS_OF_ALL_KINDS, st.data())
def test_any_single_change_of_the_facts_is_seen(facts: dict[str, Any], data: st.DataObject) -> None:
    text = rules.text_of(SAID, facts)
    changed = copy.deepcopy(facts)
    places = list(_leaves(changed))
    if not places:
        return
    holder, key = data.draw(st.sampled_from(places))
    before = holder[key]
    holder[key] = data.draw((st.integers() | _TEXTS).filter(lambda v: v != before or type(v) is not type(before)))
    for name in ("work", "declared"):
        changed[name] = sorted(changed[name], key=rules.order_of)
    if isinstance(holder[key], str) and holder[key].startswith(rules.UNLINKED):
        return
    assert not rules.agrees(text, rules.hash_of(text), changed)


@given(FACTS_OF_ALL_KINDS, st.sets(_PERSONS))
def test_a_link_that_was_cut_in_time_changes_nothing(facts: dict[str, Any], gone: set[str]) -> None:
    text = rules.text_of(SAID, facts)
    now = copy.deepcopy(facts)
    for name in ("work", "declared"):
        for row in now[name]:
            if row["person"] in gone:
                row["person"] = f"x-{row['person'][::-1]}"
        now[name] = sorted(now[name], key=rules.order_of)
    assert rules.agrees(text, rules.hash_of(text), now)


def test_a_cut_link_hides_no_other_change() -> None:
    text = rules.text_of(SAID, FACTS)
    now = copy.deepcopy(FACTS)
    now["work"][1] |= {"person": "x-1", "end": "d"}
    assert not rules.agrees(text, rules.hash_of(text), now)
    more = copy.deepcopy(FACTS)
    more["work"].append({**FACTS["work"][1], "person": "x-1"})
    assert not rules.agrees(text, rules.hash_of(text), more)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"facts": 3}', "{" * 50])
def test_a_text_that_is_none_agrees_with_nothing(text: str) -> None:
    assert not rules.agrees(text, rules.hash_of(text), FACTS)


def test_standing_asks_for_one_that_agrees() -> None:
    text = rules.text_of(SAID, FACTS)
    other = rules.text_of(SAID, FACTS | {"programmes": []})
    fine, stale = (text, rules.hash_of(text)), (other, rules.hash_of(other))
    assert rules.standing([], FACTS) == "unsigned"
    assert rules.standing([stale], FACTS) == "changed"
    assert rules.standing([fine, stale], FACTS) == "signed"
    assert rules.standing([(text, "0" * 64)], FACTS) == "changed"


def signed(**changes: Any) -> Signed:
    text = rules.text_of(SAID, FACTS)
    one = Signed(1, 7, SAID.operation, SAID.person, SAID.meaning, NOW, text, rules.hash_of(text))
    return one._replace(**changes)


def line(**changes: Any) -> Line:
    said = {"hash": signed().hash, "meaning": "conform", "order": "OF9"}
    return Line(7, SAID.person, "operation:OF9-20", said)._replace(**changes)


def test_what_was_not_touched_has_no_finding() -> None:
    assert list(rules.check([signed()], [line()])) == []
    assert list(rules.check([], [])) == []


FORGED = rules.text_of(SAID._replace(person="p-9"), FACTS)


@pytest.mark.parametrize(
    ("one", "lines", "says"),
    [
        (signed(text=signed().text.replace('"good":3', '"good":4')), [line()], "ne porte plus le texte"),
        (signed(hash="0" * 64), [line()], "ne porte plus le texte"),
        (signed(person="p-9"), [line()], "ne dit pas ce que dit son texte"),
        (signed(operation="OF1-10"), [line()], "ne dit pas ce que dit son texte"),
        (signed(meaning="released"), [line()], "ne dit pas ce que dit son texte"),
        (signed(at=NOW + timedelta(seconds=1)), [line()], "ne dit pas ce que dit son texte"),
        (signed(person="p-9", text=FORGED, hash=rules.hash_of(FORGED)), [line()], "n'est pas celle de la ligne 7"),
        (signed(entry_id=8), [line()], "n'a pas sa ligne 8"),
        (signed(), [line(detail={})], "n'est pas celle de la ligne 7"),
        (signed(), [], "n'a pas sa ligne 7"),
        (None, [line()], "La signature de la ligne 7 du journal a disparu"),
    ],
)
def test_tampering_is_found(one: Signed | None, lines: list[Line], says: str) -> None:
    found = list(rules.check([one] if one is not None else [], lines))
    assert found
    assert all(finding.kind == "signature" and finding.text.endswith(".") for finding in found)
    assert any(says in finding.text for finding in found)


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where each plain value of a JSON value stands."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in pairs:
        if isinstance(held, dict | list):
            yield from _leaves(held)
        else:
            yield value, key
