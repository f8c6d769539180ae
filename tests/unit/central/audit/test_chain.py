"""The chain of the journal: whatever is done to it behind Copeau's back is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.audit import rules
from central.audit.rules import Chain, Entry, Mark, Note

START = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


def chained(count: int, who: str = "p-7k3f") -> list[Entry]:
    rows: list[Entry] = []
    before = rules.GENESIS
    for number in range(1, count + 1):
        entry = Entry(number, START + timedelta(seconds=number), who, "stock.receive", "item:A", '{"qty":1}', "")
        before = rules.entry_hash(before, entry)
        rows.append(entry._replace(hash=before))
    return rows


def found(entries: list[Entry], *marks: Mark) -> list[tuple[str, int]]:
    chain = Chain(marks)
    for entry in entries:
        chain.take(entry)
    chain.end()
    return [(finding.kind, finding.id) for finding in chain.findings]


def test_an_untouched_chain_is_whole() -> None:
    rows = chained(20)
    assert found(rows, Mark(20, rows[-1].hash, "l'ancre"), Mark(7, rows[6].hash, "l'ancre")) == []
    assert found([]) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", START),
        ("who", "p-other"),
        ("what", "stock.refuse"),
        ("subject", "item:B"),
        ("detail", '{"qty":2}'),
        ("hash", "f" * 64),
    ],
)
def test_any_change_of_an_entry_is_found_at_its_line(column: str, value: object) -> None:
    rows = chained(9)
    rows[4] = rows[4]._replace(**{column: value})
    assert ("changed", 5) in found(rows)


def test_a_removal_a_reordering_and_an_insertion_are_found() -> None:
    rows = chained(9)
    assert found([row for row in rows if row.id not in {4, 5}]) == [("removed", 4)]
    swapped = [*rows[:3], rows[4]._replace(id=4), rows[3]._replace(id=5), *rows[5:]]
    assert ("changed", 4) in found(swapped)
    assert found(rows[1:]) == [("removed", 1)]
    added = [*rows, Entry(10, START, "p-x", "people.grant", "person:p-x", "{}", "0" * 64)]
    assert found(added) == [("changed", 10)]


def test_renumbering_after_a_removal_is_found() -> None:
    rows = chained(9)
    closed = [*rows[:3], *(row._replace(id=row.id - 1) for row in rows[4:])]
    assert found(closed)[0] == ("changed", 4)


def test_the_end_cut_off_is_found_by_what_is_known_outside() -> None:
    rows = chained(9)
    assert found(rows[:6]) == []
    assert found(rows[:6], Mark(9, rows[8].hash, "l'ancre")) == [("truncated", 9)]
    assert found([], Mark(9, rows[8].hash, "l'ancre")) == [("truncated", 9)]


def test_a_chain_computed_again_does_not_agree_with_its_anchor() -> None:
    rows = chained(9)
    again = chained(9, who="p-other")
    assert found(again) == []
    assert found(again, Mark(8, rows[7].hash, "l'ancre")) == [("rewritten", 8)]


@given(
    st.integers(1, 12),
    st.data(),
)
def test_no_single_row_can_go_move_or_change_unseen(count: int, data: st.DataObject) -> None:
    rows = chained(count)
    end = Mark(count, rows[-1].hash, "l'ancre")
    at = data.draw(st.integers(0, count - 1))
    other = data.draw(st.integers(0, count - 1).filter(lambda i: i != at)) if count > 1 else at
    acts: list[Callable[[], list[Entry]]] = [
        lambda: rows[:at] + rows[at + 1 :],
        lambda: [*rows[:at], rows[at]._replace(who=data.draw(st.text(min_size=6))), *rows[at + 1 :]],
    ]
    if other != at:
        low, high = sorted((at, other))
        acts.append(
            lambda: [
                *rows[:low], rows[high]._replace(id=low + 1), *rows[low + 1 : high], rows[low]._replace(id=high + 1),
                *rows[high + 1 :],
            ]
        )  # fmt: skip
    assert found(data.draw(st.sampled_from(acts))(), end)


def sealed_entry(text: str, salt: str = "00") -> Entry:
    detail = rules.canonical({"comment": {"sealed": rules.note_hash(salt, text)}})
    return Entry(1, START, "p-7k3f", "programmes.validate", "programme:1", detail, "")


def notes(*found: Note) -> dict[tuple[int, str], Note]:
    return {(note.entry_id, note.name): note for note in found}


def test_a_text_beside_the_chain_is_whole_or_erased_by_an_act() -> None:
    entry = sealed_entry("bon pour série")
    kept = Note(1, "comment", "00", "bon pour série", None)
    gone = Note(1, "comment", None, None, 2)
    assert list(rules.check_notes([entry], notes(kept), {})) == []
    assert list(rules.check_notes([entry], notes(gone), {2: frozenset({1})})) == []
    for wrong in (notes(), notes(kept._replace(text="mauvais")), notes(gone), notes(gone._replace(erased_by=None))):
        (finding,) = rules.check_notes([entry], wrong, {2: frozenset({9})})
        assert finding.kind == "note"


def test_what_is_hashed_does_not_depend_on_the_order_of_keys() -> None:
    assert rules.canonical({"b": 1, "a": "é\n"}) == '{"a":"é\\n","b":1}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        rules.canonical({"a": float("nan")})
