"""The post: clocking online and offline, nothing lost, nothing twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from contracts.codes import format_code
from contracts.facts import StockCounted
from tests.e2e.conftest import Watch
from tests.e2e.harness import Centre, Terminal, wait_until
from tests.e2e.operator_post import SYNCED, Post
from tests.e2e.seed import BAR

NewContext = Callable[..., BrowserContext]
TURNING = format_code("OP", "OF118-20")
SAWING = format_code("OP", "OF118-10")


def clockings(centre: Centre, operation: str) -> list[tuple[str, int, int]]:
    """What the centre holds, in event order: action, good, scrap."""
    with sqlite3.connect(centre.directory / "copeau.db") as database:
        query = "SELECT action, good, scrap FROM clocking_event WHERE operation = ? ORDER BY at, id"
        return database.execute(query, (operation,)).fetchall()


def test_an_operation_from_start_to_end(new_context: NewContext, centre: Centre, page: Page) -> None:
    page.goto("/")
    post = Post(new_context(390, 844)).open()
    post.badge()
    post.scan(TURNING)
    post.said("démarré OF118-20")
    expect(page.locator("#running")).to_contain_text("OF118-20")
    expect(page.locator("#running")).to_contain_text("Réglage")
    post.press("Première bonne")
    expect(page.locator("#running")).to_contain_text("Série")
    post.press("Suspendre")
    post.press("Attente matière")
    expect(page.locator("#running")).to_contain_text("Attente matière")
    post.press("Reprendre")
    post.scan(TURNING)
    post.page.get_by_label("Bonnes", exact=True).fill("18")
    post.press("Rebuts plus une")
    post.page.get_by_role("dialog").get_by_role("button", name="Terminer", exact=True).click()
    post.said("terminé OF118-20")
    expect(page.locator("#running")).to_contain_text("Personne ne pointe")
    post.synced()
    assert clockings(centre, "OF118-20") == [
        ("start", 0, 0),
        ("first_good", 0, 0),
        ("pause", 0, 0),
        ("resume", 0, 0),
        ("end", 18, 1),
    ]


def test_a_sawing_operation_that_ends_debits_the_bar(new_context: NewContext, centre: Centre, page: Page) -> None:
    Terminal(centre).send(StockCounted(source="manual", item=BAR, place="rack-barres", qty=9_000_000))
    page.goto(f"/stock/{BAR}")
    expect(page.locator("#article .figures")).to_contain_text("9\u202f000\u00a0mm")
    post = Post(new_context(820, 1180)).open()
    post.badge()
    post.scan(SAWING)
    post.said("démarré")
    post.scan(SAWING)
    expect(post.page.get_by_label("Bonnes", exact=True)).to_have_value("20")
    post.page.get_by_role("dialog").get_by_role("button", name="Terminer", exact=True).click()
    # (162 mm + kerf 2 + allowance 1) × 20
    expect(page.locator("#article .figures")).to_contain_text("5\u202f700\u00a0mm")
    expect(page.locator("#movements")).to_contain_text("OF118-10")


def test_offline_closed_reopened_sent_once(new_context: NewContext, centre: Centre, watch: Watch) -> None:
    context = new_context(390, 844)
    post = Post(context).open()
    post.badge()
    post.synced()
    post.page.wait_for_function("navigator.serviceWorker.controller !== null")
    watch.offline = True
    centre.kill()
    post.scan(TURNING)
    post.pending(1)
    post.press("Première bonne")
    post.pending(2)
    post.page.close()
    post.page = context.new_page()
    post.open()
    post.pending(2)
    expect(post.page.locator(".card")).to_contain_text("Série")
    post.press("Suspendre")
    post.press("Pause")
    post.pending(3)
    centre.start()
    post.synced()
    expect(post.page.locator(".card")).to_contain_text("Suspendue")
    assert clockings(centre, "OF118-20") == [("start", 0, 0), ("first_good", 0, 0), ("pause", 0, 0)]


def test_a_misread_code_is_refused_before_it_is_a_fact(new_context: NewContext, centre: Centre) -> None:
    post = Post(new_context(390, 844)).open()
    post.badge()
    post.scan(TURNING[:-1] + ("0" if TURNING[-1] != "0" else "1"))
    post.said("Code mal lu")
    post.scan("OF118-20")
    post.said("démarré OF118-20")
    post.synced()
    assert [action for action, *_ in clockings(centre, "OF118-20")] == ["start"]


def test_two_tabs_send_once(new_context: NewContext, centre: Centre) -> None:
    context = new_context(820, 1180)
    one, other = Post(context).open(), Post(context).open()
    one.badge()
    expect(other.page.locator(".who")).to_contain_text("Opérateur 1")
    other.scan(TURNING)
    one.synced()
    other.press("Première bonne")
    other.said("première bonne")
    expect(one.page.locator(".card")).to_contain_text("Série")
    one.synced()
    assert [action for action, *_ in clockings(centre, "OF118-20")] == ["start", "first_good"]


def test_a_centre_restored_from_a_backup_gets_again_what_it_lost(
    new_context: NewContext, centre: Centre, watch: Watch
) -> None:
    post = Post(new_context(390, 844)).open()
    post.badge()
    post.scan(TURNING)
    post.said("démarré")
    post.synced()
    watch.offline = True
    centre.stop()
    yesterday = centre.backup()
    centre.start()
    post.press("Première bonne")
    post.said("première bonne")
    post.synced()
    assert len(clockings(centre, "OF118-20")) == 2
    centre.stop()
    centre.restore(yesterday)
    assert len(clockings(centre, "OF118-20")) == 1
    centre.start()
    expect(post.page.locator(".sync")).to_have_text(SYNCED)
    wait_until(lambda: clockings(centre, "OF118-20") == [("start", 0, 0), ("first_good", 0, 0)])
