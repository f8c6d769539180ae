"""A hundred moves: what to do, what was typed, what comes out."""

from __future__ import annotations

import json

import pytest

from vision.evaluation.outcomes import Claim
from vision.evaluation.recette import AnswerError, Move, Recette, begin, lines, read_answer
from vision.slots import Rack, parse_rack

SQUARE = [[0, 0], [50, 0], [50, 50], [0, 50]]


def rack() -> Rack:
    def slot(name: str, item: str, count: int, **more: object) -> dict[str, object]:
        return {"id": name, "polygon": SQUARE, "item": item, "count": count, **more}

    return parse_rack(
        {
            "slots": [
                slot("A1", "CNMG", 4, capacity=6, **{"class": "insert"}),
                slot("A2", "CNMG", 2, capacity=6, **{"class": "insert"}),
                slot("B1", "FORET-8", 1, **{"class": "drill"}),
                slot("C1", "VIS", 9, kind="hidden"),
                slot("7", "BARRE 8 MM", 1, kind="presence"),
                slot("3B", "JAUGE", 1, kind="presence"),
            ]
        }
    )


def twice() -> Rack:
    return parse_rack({"slots": [{"id": n, "polygon": SQUARE, "item": "CNMG"} for n in ("A1", "A2")]})


MOVE = Move(0, "take", "Prendre 1 en A1", {"A1": -1}, ("A1",))


@pytest.mark.parametrize(
    ("typed", "deltas"),
    [
        ("", {"A1": -1}),
        ("0", {}),
        ("a1 -2", {"A1": -2}),
        ("A1 -2 B1 +1", {"A1": -2, "B1": 1}),
        ("A1-2", None),
        ("B1", {"B1": -1}),
        ("A1 A1", {"A1": -2}),
        ("rack-a/A2 −3", {"A2": -3}),
        ("FORET-8", {"B1": -1}),
        ("A1 -1 A1 +1", {}),
        ("7", {"7": -1}),
        ("7 +1 3b -1", {"7": 1, "3B": -1}),
        ("barre 8 mm", {"7": -1}),
    ],
)
def test_what_was_typed_or_scanned(typed: str, deltas: dict[str, int] | None) -> None:
    if deltas is None:
        with pytest.raises(AnswerError):
            read_answer(typed, rack(), MOVE)
    else:
        assert read_answer(typed, rack(), MOVE) == deltas


def test_an_item_that_lies_in_two_places_needs_the_place() -> None:
    with pytest.raises(AnswerError, match="A1, A2"):
        read_answer("CNMG", twice(), MOVE)


@pytest.mark.parametrize("typed", ["Z9 -1", "-3", "A1 ?", "+2 A1", "A1 2"])
def test_what_cannot_be_read_is_said(typed: str) -> None:
    with pytest.raises(AnswerError, match="«"):
        read_answer(typed, rack(), MOVE)


def test_a_dash_skips() -> None:
    assert read_answer("-", rack(), MOVE) is None


def test_a_hundred_moves_are_possible_as_printed() -> None:
    recette = begin(rack(), seed=3)
    kinds = set()
    for _ in range(100):
        move = recette.next_move(rack())
        kinds.add(move.kind)
        for slot, delta in move.deltas.items():
            assert recette.counts[slot] + delta >= 0, move
        recette.done(rack(), move, move.deltas, [Claim(s, d, "auto") for s, d in move.deltas.items()])
    assert {"take", "put_back", "nothing", "move"} <= kinds
    figures = recette.figures()
    assert figures["moves"] == 100
    assert figures["all"]["automatic_wrong"]["k"] == 0
    assert 0 < figures["all"]["automatic_wrong"]["upper95"] < 0.1


def test_a_wrong_number_and_a_missed_one_are_counted_with_their_class() -> None:
    recette = begin(rack(), seed=3)
    recette.done(rack(), MOVE, {"A1": -1}, [Claim("A1", -2, "auto")])
    recette.done(rack(), MOVE, {"B1": -1}, [])
    figures = recette.figures()
    assert figures["classes"]["insert"]["automatic_wrong"]["k"] == 1
    assert figures["classes"]["drill"]["missed"]["k"] == 1
    assert [f["move"] for f in figures["findings"]] == [1, 2]
    assert any("faux 1" in line for line in lines(recette))


def test_a_hidden_place_must_be_asked() -> None:
    recette = begin(rack(), seed=3)
    nothing = Move(0, "nothing", "", {}, ("C1",))
    recette.done(rack(), nothing, {}, [])
    recette.done(rack(), nothing, {}, [Claim("C1", None, "ask")])
    assert recette.figures()["all"]["beyond"] == {"places": 2, "asked": 1, "booked": 0, "silent": 1}


def test_it_goes_on_where_it_stood() -> None:
    recette = begin(rack(), seed=3)
    for _ in range(5):
        move = recette.next_move(rack())
        recette.done(rack(), move, move.deltas, [])
    recette.skip()
    back = Recette.from_json(json.loads(json.dumps(recette.as_json())))
    assert back.next_move(rack()) == recette.next_move(rack())
    assert back.figures() == recette.figures()
