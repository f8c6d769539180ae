"""Machines on the front page, silence shown, the stream lost and found, pages on a phone, bad input shown."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from contracts.facts import MachineAlarm, MachineStateChanged, SourceStatus
from copeau.servers.broker import Broker
from tests.e2e import seed
from tests.e2e.conftest import Watch
from tests.e2e.harness import Centre, Terminal

PAGES = ["/", "/stock", "/stock/CNMG120408-PM", "/machines/tour-1", "/quarantaine", "/agents", "/poste"]


def test_a_machine_whose_source_is_lost_is_shown_silent(page: Page, centre: Centre) -> None:
    agent = Terminal(centre, "machine-1")
    page.goto("/")
    tile = page.locator(".tile", has_text="Tour 1")
    agent.send(MachineStateChanged(machine="tour-1", state="running", programme="O1184"))
    expect(tile.locator(".state")).to_have_text("En production")
    lost = SourceStatus(source="tour-1", status="lost", machine="tour-1", message="Le tour ne répond plus.")
    agent.send(lost)
    expect(tile.locator(".state")).to_have_text("Sans nouvelles")
    expect(tile).to_contain_text("Le tour ne répond plus.")


def test_a_machine_that_is_not_heard_is_shown_silent(page: Page, centre: Centre) -> None:
    """Nothing says so: time alone passes (four seconds here)."""
    Terminal(centre, "machine-1").send(MachineStateChanged(machine="fraiseuse-1", state="running"))
    page.goto("/")
    tile = page.locator(".tile", has_text="Fraiseuse 1")
    expect(tile.locator(".state")).to_have_text("Sans nouvelles")
    expect(tile).to_contain_text("Était : en production")


def test_an_alarm_is_raised_seen_and_stays_until_it_is_cleared(page: Page, centre: Centre) -> None:
    page.goto("/")
    agent = Terminal(centre, "machine-1")
    agent.send(
        MachineStateChanged(machine="tour-1", state="alarm"),
        MachineAlarm(machine="tour-1", code="2041", text="Lubrification", active=True),
    )
    row = page.locator("#alerts li", has_text="2041")
    row.get_by_role("button", name="Vu").click()
    expect(row).to_contain_text("vue")
    agent.send(MachineAlarm(machine="tour-1", code="2041", active=False))
    expect(row).to_have_count(0)


def test_the_page_says_that_the_centre_is_away_and_resumes(page: Page, centre: Centre, watch: Watch) -> None:
    page.goto("/")
    chip = page.locator("#live")
    expect(chip).to_have_text("En direct")
    watch.offline = True
    centre.kill()
    expect(chip).to_contain_text("Hors ligne, dernière mise à jour")
    centre.start()
    expect(chip).to_have_text("En direct")
    Terminal(centre, "machine-1").send(MachineStateChanged(machine="tour-1", state="running"))
    expect(page.locator(".tile", has_text="Tour 1").locator(".state")).to_have_text("En production")


@pytest.mark.parametrize("width", [390, 820])
def test_no_page_scrolls_sideways(new_context: Callable[..., BrowserContext], centre: Centre, width: int) -> None:
    seed.morning(Terminal(centre))
    page = new_context(width, 844).new_page()
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("load")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path


def test_agents_show_themselves_and_their_backlog(page: Page, centre: Centre, broker: Broker) -> None:
    page.goto("/agents")
    expect(page.locator("#agents")).to_contain_text("Aucun agent n’a encore parlé")
    seed.agents(broker.port)
    row = page.locator("tr", has_text="atelier-1")
    expect(row).to_contain_text("Connecté")
    expect(row).to_contain_text("37\u00a0faits")
    expect(row.locator(".badge.fault")).to_have_text("scie-1")
    expect(row).to_contain_text("Sans nouvelles")  # never heard again: four seconds here


def test_what_is_refused_is_shown_and_put_away(page: Page, centre: Centre) -> None:
    page.goto("/quarantaine")
    expect(page.locator("#quarantine")).to_contain_text("Rien en quarantaine")
    httpx.post(f"{centre.url}/api/facts", content=b'{"v":1,"oops":', timeout=20)
    expect(page.locator("#quarantine")).to_contain_text("Illisible")
    page.get_by_role("button", name="J’ai vu, ranger").click()
    expect(page.locator("#quarantine")).to_contain_text("Rien en quarantaine")


def test_an_unknown_code_is_assigned_later(page: Page, centre: Centre) -> None:
    terminal = Terminal(centre)
    seed.morning(terminal)
    page.goto("/quarantaine")
    row = page.locator("li", has_text="4012345678901")
    row.get_by_role("combobox").select_option("GANTS-T9")
    row.get_by_role("button", name="Affecter").click()
    expect(page.locator("#quarantine")).to_contain_text("1\u00a0scan repris")
    page.goto("/stock/GANTS-T9")
    expect(page.locator("#article .figures")).to_contain_text("23")


def test_every_answer_forbids_other_hosts(centre: Centre) -> None:
    for path in [*PAGES, "/rien", "/static/pages.css", "/sw.js", "/manifest.webmanifest"]:
        policy = centre.get(path).headers["content-security-policy"]
        assert policy.startswith("default-src 'self'"), path
        assert "unsafe" not in policy, path


def test_an_unknown_address_is_said_in_french(centre: Centre) -> None:
    reply = centre.get("/rien")
    assert reply.status_code == 404
    assert "Page introuvable" in reply.text


def test_another_site_cannot_act(centre: Centre) -> None:
    reply = httpx.post(f"{centre.url}/revue/1/confirmer", headers={"Origin": "http://elsewhere.test"}, timeout=20)
    assert reply.status_code == 403
