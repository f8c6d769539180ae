"""What may be said: sums, silences and transfers, whatever happens in whatever order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.racks import SlotKind
from vision.watching.rules import Entry, Occasion, Outcome, Place, View, say_count, settle

PLACES = {
    "A": Place("A", "cnmg", "insert"),
    "B": Place("B", "cnmg", "insert"),
    "C": Place("C", "dnmg", "insert"),
    "D": Place("D", "foret-8", "drill"),
    "E": Place("E", "coffret", "any", SlotKind.PRESENCE, capacity=1),
    "H": Place("H", "rondelle", "any", SlotKind.HIDDEN),
}
SEEN = [slot for slot, place in PLACES.items() if place.kind is not SlotKind.HIDDEN]


def taught(**counts: int | None) -> dict[str, Entry]:
    full = {slot: Entry(None if slot == "H" else 3, "hidden" if slot == "H" else "seen") for slot in PLACES}
    return full | {slot: Entry(count) for slot, count in counts.items()}


def look(views: list[View], occasion: Occasion = Occasion.SESSION, **counts: int | None) -> Outcome:
    return settle(taught(**counts), PLACES, views, occasion)


def test_a_take_is_a_change_as_certain_as_the_judge() -> None:
    (change,) = look([View("A", 2, "auto", confidence=0.99)]).changes
    assert (change.slot, change.delta, change.mode, change.transfer) == ("A", -1, "auto", None)
    (change,) = look([View("A", 2, "review", confidence=0.5)]).changes
    assert change.mode == "review"


def test_taken_and_put_back_is_nothing() -> None:
    outcome = look([View("A", 3), View("B", 3, "none")])
    assert (outcome.changes, outcome.asks, outcome.lost, outcome.freed) == ((), (), (), ())


def test_a_move_between_places_of_one_item_is_one_transfer() -> None:
    first, second = look([View("A", 2, at=1.0), View("B", 4, at=2.0)]).changes
    assert (first.delta, first.transfer, first.mode) == (-1, "B", "auto")
    assert (second.delta, second.transfer, second.mode) == (1, "A", "auto")


def test_a_transfer_is_as_doubtful_as_its_more_doubtful_end() -> None:
    assert {c.mode for c in look([View("A", 2), View("B", 4, "review")]).changes} == {"review"}


def test_what_was_taken_beyond_a_transfer_is_a_take_of_its_own() -> None:
    said = look([View("A", 0), View("B", 4)]).changes
    assert [(c.slot, c.before, c.after, c.transfer) for c in said] == [
        ("A", 3, 2, "B"),
        ("A", 2, 0, None),
        ("B", 3, 4, "A"),
    ]


def test_put_into_the_place_of_another_item_is_for_a_person_at_both_ends() -> None:
    said = look([View("A", 2), View("C", 4)]).changes
    assert [(c.slot, c.transfer, c.mode) for c in said] == [("A", "C", "review"), ("C", "A", "review")]


def test_a_take_and_a_return_of_other_classes_are_two_movements() -> None:
    said = look([View("A", 2), View("D", 4)]).changes
    assert [(c.slot, c.transfer, c.mode) for c in said] == [("A", None, "auto"), ("D", None, "auto")]


def test_a_take_beside_a_foreign_thing_is_for_a_person() -> None:
    outcome = look([View("A", 2), View("D", None, "ask", "foreign", "foreign")])
    assert [(c.slot, c.mode) for c in outcome.changes] == [("A", "review")]
    assert [(a.slot, a.reason) for a in outcome.asks] == [("D", "foreign")]


def test_a_hidden_place_that_was_touched_asks_whatever_the_judge_says() -> None:
    for view in (View("H", 7, "auto"), View("H", None, "ask", "hidden", "hidden"), View("H", None, "auto", "masked")):
        outcome = look([view])
        assert [(a.slot, a.reason, a.guess) for a in outcome.asks] == [("H", "hidden", None)]
        assert outcome.changes == ()
        assert outcome.book["H"].count is None


def test_masked_then_free_is_compared_with_the_count_before() -> None:
    masked = look([View("A", None, "none", "masked", at=5.0)])
    assert (masked.changes, masked.asks, masked.lost) == ((), (), ("A",))
    assert masked.book["A"] == Entry(3, "masked", 5.0)
    again = settle(masked.book, PLACES, [View("A", None, "review", "masked", at=9.0)], Occasion.SESSION)
    assert (again.lost, again.book["A"].since) == ((), 5.0)
    free = settle(again.book, PLACES, [View("A", 2, "auto")], Occasion.SESSION)
    assert [(c.delta, c.mode) for c in free.changes] == [(-1, "review")]
    assert free.freed == ("A",)
    same = settle(again.book, PLACES, [View("A", 3, "none")], Occasion.SESSION)
    assert (same.changes, same.freed) == ((), ("A",))


def test_after_a_question_what_is_seen_is_read_and_not_said_again() -> None:
    asked = look([View("A", None, "ask", "stacked", "stacked", guess=2)])
    assert [(a.reason, a.before, a.guess) for a in asked.asks] == [("stacked", 3, -1)]
    assert asked.book["A"].count is None
    seen = settle(asked.book, PLACES, [View("A", 1, "auto")], Occasion.SESSION)
    assert (seen.changes, seen.asks, seen.book["A"]) == ((), (), Entry(1))


def test_an_answered_question_goes_on_from_the_answer() -> None:
    asked = look([View("A", None, "ask", "stacked", "stacked")])
    answered = say_count(asked.book, "A", 2)
    seen = settle(answered, PLACES, [View("A", 1, "auto")], Occasion.SESSION)
    assert [(c.before, c.after) for c in seen.changes] == [(2, 1)]


def test_a_stack_that_nobody_touches_is_asked_about_once() -> None:
    state = look([View("A", None, "ask", "stacked", "stacked")], Occasion.CHECK)
    assert len(state.asks) == 1
    again = settle(state.book, PLACES, [View("A", None, "ask", "stacked", "stacked")], Occasion.CHECK)
    assert again.asks == ()


def test_restocking_says_nothing_and_the_book_follows() -> None:
    views = [View("A", 9), View("B", None, "ask", "stacked", "stacked"), View("H", None, "ask", "hidden", "hidden")]
    outcome = look(views, Occasion.RESTOCKING)
    assert (outcome.changes, outcome.asks) == ((), ())
    assert outcome.book["A"].count == 9


def test_more_than_a_place_holds_is_for_a_person() -> None:
    assert [c.mode for c in look([View("E", 2)], E=1).changes] == ["review"]


def test_an_assumed_count_gives_way_to_what_the_judge_knows() -> None:
    (change,) = look([View("A", 1, "auto", assumed=0)], A=1).changes
    assert (change.before, change.after) == (0, 1)


@pytest.mark.parametrize("occasion", [Occasion.CHECK, Occasion.HELD, Occasion.ABSENCE])
def test_what_nobody_was_seen_to_do_is_for_a_person(occasion: Occasion) -> None:
    (change,) = look([View("A", 2, "auto")], occasion).changes
    assert change.mode == "review"
    assert change.during_absence == (occasion is Occasion.ABSENCE)


VIEWS = st.lists(
    st.builds(
        View,
        slot=st.sampled_from(sorted(PLACES)),
        count=st.none() | st.integers(0, 6),
        mode=st.sampled_from(["auto", "review", "ask", "none"]),
        state=st.sampled_from(["seen", "seen", "seen", "masked", "foreign", "stacked", "unlike", "unreadable"]),
        at=st.floats(0, 9),
        guess=st.none() | st.integers(0, 6),
    ),
    max_size=6,
    unique_by=lambda view: view.slot,
)
LOOKS = st.lists(st.tuples(VIEWS, st.sampled_from(list(Occasion))), max_size=8)


@given(LOOKS)
def test_whatever_is_seen_the_sums_hold(looks: list[tuple[list[View], Occasion]]) -> None:
    now: dict[str, Entry] = taught()
    for views, occasion in looks:
        before, outcome = now, settle(now, PLACES, views, occasion)
        now = outcome.book
        said = Counter[str]()
        for change in outcome.changes:
            said[change.slot] += change.delta
        moved, asked = {c.slot for c in outcome.changes}, {a.slot for a in outcome.asks}
        assert not moved & asked
        by_slot = {view.slot: view for view in views}
        for slot, place in PLACES.items():
            ahead, after = before[slot].count, now[slot].count
            if slot in moved:
                assert ahead is not None
                assert after == ahead + said[slot]
                assert by_slot[slot].state == "seen"
                assert place.kind is not SlotKind.HIDDEN
            elif ahead is not None and after is not None and occasion is not Occasion.RESTOCKING:
                assert after == ahead
            if slot in asked:
                assert after is None
            if slot not in by_slot:
                assert now[slot] == before[slot]
        if occasion is Occasion.RESTOCKING:
            assert not moved | asked
        check_transfers(outcome)


def check_transfers(outcome: Outcome) -> None:
    pairs = Counter[tuple[str, str]]()
    for change in outcome.changes:
        assert change.delta
        if change.transfer is not None:
            pairs[change.slot, change.transfer] += change.delta
    for (here, there), delta in pairs.items():
        assert pairs[there, here] == -delta
    for slot in {c.slot for c in outcome.changes}:
        parts = [c for c in outcome.changes if c.slot == slot]
        assert all(one.after == two.before for one, two in pairwise(parts))


@dataclass
class Shop:
    """A rack, a centre that believes what it is told, and a watcher that may be killed between any two steps."""

    truth: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SEEN, 3))
    covered: set[str] = field(default_factory=set)
    blind: bool = False
    owed: bool = False
    restocking: bool = False
    touched: set[str] = field(default_factory=set)
    book: dict[str, Entry] = field(default_factory=taught)
    saved: dict[str, Entry] = field(default_factory=taught)
    ledger: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SEEN, 3))
    commit: bool = True

    def view(self, slot: str) -> View:
        if slot in self.covered:
            return View(slot, None, "none", "masked")
        return View(slot, self.truth[slot], "auto")

    def look(self, slots: set[str], occasion: Occasion) -> None:
        outcome = settle(self.book, PLACES, [self.view(slot) for slot in sorted(slots)], occasion)
        self.book = outcome.book
        if self.commit:
            self.saved = dict(self.book)
            for change in outcome.changes:
                assert self.ledger[change.slot] == change.before, "said twice, or lost"
                self.ledger[change.slot] = change.after
            if occasion is Occasion.RESTOCKING:
                self.ledger |= {s: self.truth[s] for s in slots if s not in self.covered}
        else:
            self.restart()

    def everything(self) -> None:
        self.owed = False
        self.touched.clear()
        self.look(set(SEEN), Occasion.RESTOCKING if self.restocking else Occasion.ABSENCE)

    def end_of_session(self) -> None:
        if self.blind:
            return
        if self.owed:
            self.everything()
        elif not self.restocking:
            touched, self.touched = self.touched, set()
            self.look(touched, Occasion.SESSION)

    def restart(self) -> None:
        self.book, self.commit, self.owed = dict(self.saved), True, True


STEPS: dict[str, Callable[[Shop, str], None]] = {}


def step(act: Callable[[Shop, str], None]) -> Callable[[Shop, str], None]:
    STEPS[act.__name__] = act
    return act


@step
def takes(shop: Shop, slot: str) -> None:
    if shop.truth[slot]:
        shop.truth[slot] -= 1
        shop.touched.add(slot)


@step
def puts(shop: Shop, slot: str) -> None:
    shop.truth[slot] += 1
    shop.touched.add(slot)


@step
def leaves(shop: Shop, _: str) -> None:
    shop.end_of_session()


@step
def lays_a_rag(shop: Shop, slot: str) -> None:
    shop.covered.add(slot)
    shop.touched.add(slot)


@step
def lifts_the_rag(shop: Shop, slot: str) -> None:
    shop.covered.discard(slot)
    shop.touched.add(slot)


@step
def goes_blind(shop: Shop, _: str) -> None:
    shop.blind = shop.owed = True


@step
def sees_again(shop: Shop, _: str) -> None:
    shop.blind = False


@step
def begins_restocking(shop: Shop, _: str) -> None:
    shop.restocking = True


@step
def ends_restocking(shop: Shop, _: str) -> None:
    """Its reading is owed until everything can be looked at."""
    if shop.restocking and not shop.blind:
        shop.everything()
        shop.restocking = False


@step
def is_killed(shop: Shop, _: str) -> None:
    shop.restart()


@step
def is_killed_before_it_saved(shop: Shop, _: str) -> None:
    shop.commit = False
    shop.end_of_session()
    shop.restart()


STORY = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.sampled_from(SEEN)), max_size=30)


@settings(max_examples=300)
@given(STORY)
def test_a_ledger_that_believes_it_is_right_in_the_end(story: list[tuple[str, str]]) -> None:
    """Cut sessions, blindness, rags and kills in any order: nothing lost, nothing said twice."""
    shop = Shop()
    for name, slot in story:
        STEPS[name](shop, slot)
    shop.blind, shop.covered, shop.commit = False, set(), True
    ends_restocking(shop, "")
    shop.owed = True
    shop.end_of_session()
    assert shop.ledger == shop.truth
    assert {slot: shop.book[slot].count for slot in SEEN} == shop.truth


def test_the_order_of_parts_of_a_change_is_told_by_their_counts() -> None:
    outcome = look([View("A", 1, at=1.0), View("B", 4, at=2.0), View("C", 4, at=3.0)])
    assert sum(c.delta for c in outcome.changes) == 0
    assert [(c.before, c.after) for c in outcome.changes if c.slot == "A"] == [(3, 2), (2, 1)]
