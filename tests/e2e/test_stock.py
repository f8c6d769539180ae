"""A pick on the page, one movement for a pick and its scan, the review list."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from contracts import topics
from contracts.envelope import encode
from contracts.facts import StockCounted
from copeau.servers.broker import Broker
from tests.e2e.conftest import Watch
from tests.e2e.harness import SITE, Centre, Terminal, publish
from tests.e2e.operator_post import Post
from tests.e2e.seed import INSERT, INSERT_EAN, pick

NewContext = Callable[..., BrowserContext]
LABEL = "Plaquette CNMG 120408"


@pytest.fixture
def rack(centre: Centre) -> Terminal:
    """Counted five hours ago: six inserts lie there."""
    terminal = Terminal(centre, "poste-rack")
    counted = StockCounted(source="manual", item=INSERT, place="rack-a/A1", qty=6000)
    terminal.send(counted, ago=timedelta(hours=5))
    return terminal


def level(page: Page) -> Locator:
    return page.locator("#levels tr", has_text=LABEL).locator("td.right")


def taken(page: Page) -> Locator:
    return page.locator("#movements li[id^=mouvement]", has_text="Pris").filter(has_text=LABEL)


def test_a_pick_appears_without_reload(page: Page, rack: Terminal) -> None:
    page.goto("/stock")
    expect(level(page)).to_have_text("6")
    page.evaluate("window.sameDocument = true")
    rack.send(pick(6, 5))
    expect(level(page)).to_have_text("5")
    expect(taken(page)).to_have_count(1)
    taken(page).locator("summary").click()
    expect(taken(page).locator("details ul")).to_contain_text("Caméra : −1")
    assert page.evaluate("window.sameDocument") is True


def test_a_pick_through_the_broker_appears_too(page: Page, rack: Terminal, broker: Broker) -> None:
    page.goto("/stock")
    expect(level(page)).to_have_text("6")
    fact = Terminal(rack.centre, "rack-1").envelope(pick(6, 5))
    publish(broker.port, topics.facts(SITE, "rack-1"), encode(fact))
    expect(level(page)).to_have_text("5")


def test_a_search_survives_the_next_movement(page: Page, rack: Terminal) -> None:
    page.goto("/stock")
    page.get_by_placeholder("Article, code…").fill("cnmg")
    expect(page.locator("#levels tbody tr")).to_have_count(1)
    rack.send(pick(6, 5))
    expect(level(page)).to_have_text("5")
    expect(page.locator("#levels tbody tr")).to_have_count(1)


@pytest.mark.parametrize("first", ["camera", "scan"])
def test_a_pick_and_its_scan_are_one_movement(page: Page, rack: Terminal, new_context: NewContext, first: str) -> None:
    post = Post(new_context(820, 1180)).open()
    post.badge()
    page.goto("/stock")
    if first == "camera":
        rack.send(pick(6, 5))
        expect(level(page)).to_have_text("5")
    post.press("Prendre")
    post.scan(INSERT_EAN)
    post.said("Enregistré : pris")
    post.synced()
    if first == "scan":
        expect(level(page)).to_have_text("5")
        rack.send(pick(6, 5))
    expect(taken(page)).to_have_count(1)
    expect(taken(page).locator(".sources .badge")).to_have_count(2)
    expect(taken(page)).to_contain_text("Opérateur 1")
    expect(level(page)).to_have_text("5")


def test_a_scan_that_arrives_an_hour_late_joins_its_pick(
    page: Page, rack: Terminal, new_context: NewContext, watch: Watch
) -> None:
    context = new_context(390, 844)
    post = Post(context, lives_in_the_past=timedelta(hours=1)).open()
    post.badge()
    watch.offline = True
    context.set_offline(True)
    post.press("Prendre")
    post.scan(INSERT_EAN)
    post.pending(1)
    rack.send(pick(6, 5), ago=timedelta(hours=1))
    rack.send(pick(5, 4), ago=timedelta(minutes=5))
    page.goto("/stock")
    expect(level(page)).to_have_text("4")
    context.set_offline(False)
    post.synced()
    expect(taken(page)).to_have_count(2)
    expect(taken(page).first.locator(".sources .badge")).to_have_count(1)
    expect(taken(page).last.locator(".sources .badge")).to_have_count(2)
    expect(level(page)).to_have_text("4")


def test_a_doubt_stands_beside_the_level_until_it_is_answered(page: Page, rack: Terminal) -> None:
    page.goto("/stock")
    rack.send(pick(6, 5, confidence=0.6, review=True))
    expect(level(page)).to_contain_text("(−1 à confirmer)")
    page.locator("#to-check").get_by_role("link", name=LABEL).click()
    expect(page).to_have_url(re.compile(r"/a-verifier#proposition-\d+$"))
    page.get_by_role("button", name="Confirmer").click()
    expect(page.locator("#review")).to_contain_text("Rien à vérifier")
    page.goto("/stock")
    expect(level(page)).to_have_text("5")
