"""*À vérifier* by touch and by keyboard: confirm, correct, refuse, how many, take back; honest when not written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from contracts.facts import StockCounted
from tests.e2e.conftest import Watch
from tests.e2e.harness import Centre, Terminal, wait_until
from tests.e2e.rack_agent import FakeRackAgent
from tests.e2e.seed import DRILL, INSERT

LABEL, DRILL_LABEL = "Plaquette CNMG 120408", "Foret carbure Ø 8,5"


@pytest.fixture
def rack(centre: Centre, rack_agent: FakeRackAgent) -> FakeRackAgent:
    """Taught; six inserts in A1 and five drills in A3, counted by a person."""
    Terminal(centre, "poste-magasin").send(
        StockCounted(source="manual", item=INSERT, place="rack-a/A1", qty=6000),
        StockCounted(source="manual", item=DRILL, place="rack-a/A3", qty=5000),
        ago=timedelta(hours=5),
    )
    rack_agent.describe({"A1": INSERT, "A3": DRILL})
    return rack_agent


@pytest.fixture
def review(page: Page, rack: FakeRackAgent) -> Page:
    page.goto("/a-verifier")
    page.wait_for_selector("html[data-review]")
    return page


def card(page: Page, label: str) -> Locator:
    return page.locator("#review .proposal[id^='proposition-']:not([data-path])", has_text=label)


def level(centre: Centre, item: str = INSERT) -> int:
    return int(centre.get(f"/api/stock/levels/{item}").json()["qty"])


def said(page: Page, text: str) -> None:
    expect(page.locator("#review-said")).to_contain_text(text)


def pause(page: Page) -> None:
    """A question that came by itself takes no key for a moment; a person looks at it first."""
    page.wait_for_timeout(700)


def test_two_questions_are_answered_and_taken_back_without_the_mouse(
    review: Page, rack: FakeRackAgent, centre: Centre
) -> None:
    rack.sees("A3", 5, 4, item=DRILL, review=True, confidence=0.6)
    expect(card(review, DRILL_LABEL)).to_be_visible()
    rack.sees("A1", 6, 5, review=True, confidence=0.6)
    expect(card(review, LABEL)).to_be_visible()
    expect(card(review, DRILL_LABEL)).to_have_class("proposal current")
    pause(review)
    review.keyboard.press("k")
    expect(card(review, LABEL)).to_have_class("proposal current")
    expect(card(review, LABEL).locator("figcaption b")).to_have_text(["6", "5"])
    review.keyboard.press("2")
    review.keyboard.press("Enter")
    said(review, "Enregistré")
    expect(card(review, DRILL_LABEL)).to_have_class("proposal current")
    pause(review)
    review.keyboard.press("r")
    expect(review.locator("#review")).to_contain_text("Rien à vérifier")
    wait_until(lambda: level(centre) == 4000 and level(centre, DRILL) == 5000)
    wait_until(lambda: rack.counts == {"A1": 4, "A3": 5})
    review.keyboard.press("u")
    expect(card(review, DRILL_LABEL)).to_have_class("proposal current")
    pause(review)
    review.keyboard.press("Enter")
    wait_until(lambda: level(centre, DRILL) == 4000)


def test_how_many_is_answered_on_the_keypad_and_nothing_is_an_answer_too(
    review: Page, rack: FakeRackAgent, centre: Centre
) -> None:
    rack.asks("A1", "stacked", before=6)
    asked = card(review, LABEL)
    expect(asked).to_contain_text("Combien ?")
    expect(asked.get_by_role("button", name="Confirmer")).to_have_count(0)
    asked.get_by_role("button", name="3", exact=True).click()
    asked.get_by_role("button", name="Corriger").click()
    wait_until(lambda: level(centre) == 3000)
    rack.asks("A3", "hidden", item=DRILL, before=5)
    # What was answered is to be charged, and is the current card by now.
    card(review, DRILL_LABEL).locator("[data-choose]").click()
    card(review, DRILL_LABEL).get_by_role("button", name="Rien n’a bougé").click()
    expect(review.locator("#review")).to_contain_text("Rien à vérifier")
    assert level(centre, DRILL) == 5000


def test_what_was_charged_promises_no_way_back(review: Page, rack: FakeRackAgent) -> None:
    """« U l’annule » was said of it, and U took back another answer."""
    rack.sees("A1", 6, 5)
    waiting = review.locator("#review .proposal[data-path]", has_text=LABEL)
    waiting.get_by_role("button", name="Aucune opération").click()
    said(review, "Imputation enregistrée")
    expect(waiting).to_have_count(0)


def test_a_reading_that_differs_takes_a_level(review: Page, rack: FakeRackAgent, centre: Centre) -> None:
    rack.reads(A1=4)
    seen = card(review, LABEL)
    expect(seen).to_contain_text("La caméra voit")
    pause(review)
    review.keyboard.press("5")
    review.keyboard.press("Enter")
    wait_until(lambda: level(centre) == 5000)


def test_what_is_typed_survives_what_happens_elsewhere(review: Page, rack: FakeRackAgent, centre: Centre) -> None:
    rack.sees("A1", 6, 5, review=True, confidence=0.6)
    expect(card(review, LABEL)).to_have_class("proposal current")
    review.keyboard.press("3")
    rack.sees("A3", 5, 4, item=DRILL, review=True, confidence=0.6)
    expect(card(review, DRILL_LABEL)).to_be_visible()
    expect(card(review, LABEL)).to_have_class("proposal current")
    expect(card(review, LABEL).locator("[data-number]")).to_have_value("3")


def test_an_answer_that_did_not_reach_the_centre_is_not_shown_as_given(
    review: Page, rack: FakeRackAgent, centre: Centre, watch: Watch
) -> None:
    rack.sees("A1", 6, 5, review=True, confidence=0.6)
    expect(card(review, LABEL)).to_have_class("proposal current")
    watch.offline = True
    review.context.set_offline(True)
    card(review, LABEL).get_by_role("button", name="Confirmer").click()
    said(review, "rien n’a été enregistré")
    review.context.set_offline(False)
    assert level(centre) == 6000
    card(review, LABEL).locator("[data-choose]").click()
    card(review, LABEL).get_by_role("button", name="Confirmer").click()
    wait_until(lambda: level(centre) == 5000)


def test_two_persons_answer_the_same_question(
    review: Page, rack: FakeRackAgent, new_context: Callable[..., BrowserContext], centre: Centre
) -> None:
    rack.sees("A1", 6, 5, review=True, confidence=0.6)
    expect(card(review, LABEL)).to_have_class("proposal current")
    number = card(review, LABEL).get_attribute("data-id")
    other = new_context().new_page()
    other.goto("/a-verifier")
    card(other, LABEL).get_by_role("button", name="Refuser").click()
    expect(other.locator("#review")).to_contain_text("Rien à vérifier")
    asked = f"fetch('/revue/{number}/confirmer', {{ method: 'POST', headers: {{ 'HX-Request': 'true' }} }})"
    refused = review.evaluate(f"{asked}.then((reply) => reply.headers.get('X-Refused') + reply.status)")
    assert refused == "1200"
    assert level(centre) == 6000
