"""Right, shown or silent; and how much of a week a rack counts."""

from __future__ import annotations

from types import SimpleNamespace

from vision.evaluation.books import Books, Standing, summary
from vision.evaluation.faults import FaultResult, Rate, availability, measured_back, run, table
from vision.evaluation.outcomes import Claim
from vision.evaluation.playing import NotLearntError


def test_right_shown_and_silent() -> None:
    books = Books({"A1": 4, "A2": 4, "A3": 4, "A4": 4, "A5": 4})
    books.book([Claim("A1", -1, "auto"), Claim("A2", -1, "review")])
    books.book([], {"A3": 3, "A4": 4})
    standing = books.standing({"A1": 3, "A2": 3, "A3": 3, "A4": 3, "A5": None})
    assert standing == {
        "A1": Standing.RIGHT,
        "A2": Standing.SHOWN,
        "A3": Standing.SHOWN,
        "A4": Standing.SILENT,  # read as it was believed: nobody would know
    }
    assert summary(standing) == {"right": 1, "shown": 2, "silent": 1}


def test_a_place_that_cannot_be_read_is_shown() -> None:
    books = Books({"A1": 4})
    books.book([], {"A1": None})
    assert books.standing({"A1": 2}) == {"A1": Standing.SHOWN}


def test_a_persons_word_closes_what_was_open() -> None:
    books = Books({"A1": 4})
    books.book([Claim("A1", None, "ask")], {"A1": 9})
    books.answer("A1", 2)
    assert books.standing({"A1": 2}) == {"A1": Standing.RIGHT}
    assert books.standing({"A1": 1}) == {"A1": Standing.SILENT}


def test_places_that_nobody_taught_are_left_out() -> None:
    books = Books({"A1": 4})
    books.book([Claim("Z9", -1, "auto")], {"Z9": 3})
    assert books.standing({"A1": 4, "Z9": 3}) == {"A1": Standing.RIGHT}
    assert books.differing == set()


def result(kind: str, seconds: float | None, silent: int = 0, codes: tuple[str, ...] = ("covered",)) -> FaultResult:
    right = ["automatic_right"]
    standing = {"right": 10, "shown": 1, "silent": silent}
    return FaultResult(kind, 1.0, 7, right, ["nothing"], right, list(codes), seconds, 1.0, standing, [])


def test_a_table_of_faults_keeps_the_worst() -> None:
    (row,) = table([result("covered", 2.0), result("covered", 6.0, silent=2)])
    assert (row["racks"], row["back_s_max"], row["places_silent"], row["right_after"]) == (2, 6.0, 2, "2/2")


class FakeDarkStage:
    """A stage whose rack is never learnt."""

    def __init__(self) -> None:
        self.show = SimpleNamespace(truth={"A1": 4, "C1": None})

    def begin(self) -> None:
        raise NotLearntError("dark")


def test_a_rack_that_is_not_learnt_is_a_result_and_its_places_are_silent() -> None:
    results = list(run(lambda _: FakeDarkStage(), [1, 2], [("dark", 0.05)]))
    (row,) = table(results)
    assert (row["racks"], row["said"], row["never_back"], row["places_silent"]) == (2, 0, 2, 2)
    assert row["right_before"] == "0/2"
    assert measured_back(results) == {"dark": 3600.0}


def test_a_week_is_what_its_faults_leave() -> None:
    none = availability({}, weeks=5, rates=())
    assert none == {"mean": 1.0, "worst_of_20": 1.0}
    unseen = availability({}, weeks=20, rates=(Rate("dirt", 10_000, 3600.0),))
    assert unseen["mean"] == 1.0, "what does not make it blind costs nothing"
    always = availability({"covered": 0.0}, weeks=20, rates=(Rate("covered", 10_000, 3600.0),))
    assert always["mean"] == 0.0
    usual = availability({"covered": 5.0}, weeks=200)
    assert 0.9 < usual["worst_of_20"] <= usual["mean"] < 1.0


def test_what_never_came_back_weighs() -> None:
    back = measured_back(
        [
            result("covered", None),
            result("moved", 3.0),
            result("dirt", 0.0, codes=()),
            result("moved", 9.0, codes=("moved",)),
        ]
    )
    assert back == {"covered": 3600.0, "moved": 3.0, "moved far": 9.0}
