"""A rack on its pages: seen, covered, restocked, moved, its écarts and trust; its own screen; what is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from contracts.codes import format_code
from contracts.control import SetRackMode, SettleMove, ShowRack
from contracts.facts import CodeScanned, RackModeChanged, RackRead, SlotSeen, StockCounted
from tests.e2e.harness import Centre, Terminal, wait_until
from tests.e2e.operator_post import Post
from tests.e2e.rack_agent import FakeRackAgent
from tests.e2e.seed import DRILL, INSERT

NewContext = Callable[..., BrowserContext]
LABEL = "Plaquette CNMG 120408"


@pytest.fixture
def terminal(centre: Centre) -> Terminal:
    return Terminal(centre, "poste-magasin")


@pytest.fixture
def rack(terminal: Terminal, rack_agent: FakeRackAgent) -> FakeRackAgent:
    terminal.send(
        StockCounted(source="manual", item=INSERT, place="rack-a/A1", qty=6000),
        StockCounted(source="manual", item=DRILL, place="rack-a/A3", qty=5000),
        ago=timedelta(hours=5),
    )
    rack_agent.describe({"A1": INSERT, "A3": DRILL})
    return rack_agent


def heard(rack: FakeRackAgent, kind: type) -> int:
    return sum(isinstance(command, kind) for command in rack.heard)


def level(centre: Centre, item: str = INSERT) -> int:
    return int(centre.get(f"/api/stock/levels/{item}").json()["qty"])


def test_the_live_view_shows_the_places_and_what_is_wrong_with_them(page: Page, rack: FakeRackAgent) -> None:
    page.goto("/racks")
    page.locator("a.tile", has_text="rack-a").click()
    expect(page.locator("#watch-picture")).to_be_visible()
    expect(page.locator("#watch-age")).to_contain_text(re.compile("instant|Il y a"))
    assert heard(rack, ShowRack) >= 1
    expect(page.locator("#rack-places .slot")).to_have_count(40)
    rack.sees("A1", 6, 5, review=True, confidence=0.6)
    expect(page.locator("#rack-places .slot.pending")).to_contain_text("−1 ?")
    expect(page.locator("#rack-side")).to_contain_text("À confirmer")
    masked = SlotSeen(place="rack-a/B2", state="masked")
    rack.say(RackRead(rack="rack-a", why="masked", slots=[masked, SlotSeen(place="rack-a/A3", count=3)]))
    expect(page.locator("#rack-places .slot.masked title")).to_contain_text("Case B2")
    expect(page.locator("#rack-places .slot.ecart title")).to_contain_text("Case A3")
    rack.say(RackModeChanged(rack="rack-a", mode="blind", code="covered", message="Dégagez la caméra."))
    expect(page.locator("#rack-state .hero.is-blind")).to_contain_text("Caméra masquée")
    expect(page.locator("#rack-places .veiled")).to_contain_text("Caméra masquée")


def test_restocking_ends_with_one_list_and_one_tap(page: Page, rack: FakeRackAgent, centre: Centre) -> None:
    page.goto("/rack/rack-a")
    page.get_by_role("button", name="Mode rangement").click()
    expect(page.locator("#rack-state .hero.is-restocking")).to_contain_text("rien n’est débité")
    page.get_by_role("button", name="Fin du rangement").click()
    expect(page.locator("#rack-state .hero.is-counting")).to_be_visible()
    assert heard(rack, SetRackMode) == 2
    rack.reads("restocked", A1=9, A3=4)
    page.get_by_role("button", name="Tout accepter (2)").click()
    expect(page.locator("#rack-below")).to_contain_text("2 différences acceptées")
    assert (level(centre), level(centre, DRILL)) == (9000, 4000)


def test_a_camera_that_moved_is_looked_at_once(page: Page, rack: FakeRackAgent) -> None:
    rack.bring("a" * 32, rack.picture, rack.picture)
    rack.say(RackModeChanged(rack="rack-a", mode="blind", code="moved", crops="a" * 32))
    page.goto("/rack/rack-a")
    expect(page.get_by_role("img", name="Image apprise")).to_be_visible()
    page.get_by_role("button", name="Oui, continuer ainsi").click()
    expect(page.locator("#rack-state .hero.is-counting")).to_be_visible()
    assert heard(rack, SettleMove) == 1


@pytest.fixture
def screen(rack: FakeRackAgent, terminal: Terminal, new_context: NewContext) -> Page:
    """The rack's own screen, with Opérateur 1 badged."""
    terminal.send(CodeScanned(code=format_code("PE", "A1B2C3"), format="lecteur", post="rack-a"))
    page = new_context(800, 480).new_page()
    page.goto("/rack/rack-a/ecran")
    page.wait_for_selector("html[data-ready]")
    return page


def test_not_that_is_one_touch_at_the_rack(screen: Page, rack: FakeRackAgent, centre: Centre) -> None:
    expect(screen.locator(".strip")).to_contain_text("Opérateur 1")
    rack.sees("A1", 6, 5)
    expect(screen.locator(".did")).to_contain_text("1 pris")
    expect(screen.locator(".belief")).to_contain_text("reste 5")
    screen.get_by_role("button", name="Pas ça").click()
    wait_until(lambda: level(centre) == 6000)
    screen.get_by_role("button", name="2", exact=True).click()
    screen.get_by_role("button", name="Valider").click()
    expect(screen.locator(".message")).to_contain_text("Noté")
    wait_until(lambda: level(centre) == 4000)
    wait_until(lambda: rack.counts.get("A1") == 4)


def test_the_screen_asks_how_many_and_keeps_the_question_for_later(
    screen: Page, rack: FakeRackAgent, centre: Centre
) -> None:
    rack.asks("A3", "hidden", item=DRILL, before=5)
    expect(screen.locator(".question")).to_contain_text("Foret carbure")
    expect(screen.get_by_role("button", name="Plus tard")).to_be_visible()
    shown = "keys => keys.filter(key => key.offsetParent).map(key => key.getBoundingClientRect().height)"
    assert min(screen.locator(".question .key").evaluate_all(shown)) >= 48
    screen.get_by_role("button", name="Plus tard").click()
    screen.get_by_role("button", name=re.compile("combien")).click()
    screen.get_by_role("button", name="1", exact=True).click()
    screen.get_by_role("button", name="Valider").click()
    wait_until(lambda: level(centre, DRILL) == 4000)


def test_names_are_shown_as_text_wherever_they_come_from(
    page: Page, rack: FakeRackAgent, terminal: Terminal, centre: Centre, new_context: NewContext
) -> None:
    strange = "<IMG SRC=X ONERROR=ALERT(1)>"
    screen = new_context(800, 480).new_page()
    screen.goto("/rack/rack-a/ecran")
    terminal.send(StockCounted(source="manual", item=strange, place="rack-a/B1", qty=3000), ago=timedelta(hours=1))
    rack.describe({"A1": strange, "B1": '"><script>alert(1)</script>'})
    rack.sees("A1", 3, 2, item=strange)
    for address in ("/racks", "/rack/rack-a", "/rack/rack-a/apprendre", "/a-verifier", "/vie-privee"):
        page.goto(address)
        page.wait_for_load_state("networkidle") if address == "/vie-privee" else page.wait_for_timeout(300)
        assert page.evaluate("document.querySelectorAll('[onerror]').length") == 0
    page.goto("/rack/rack-a/apprendre")
    page.wait_for_selector("#teach[data-ready]")
    page.locator("#places button").first.click()
    expect(page.locator("#slot-item")).to_have_value(strange)
    assert screen.evaluate("document.querySelectorAll('[onerror]').length") == 0
    assert centre.get("/rack/%3Cscript%3E").status_code == 404
    assert "<script>alert" not in centre.get("/rack/%3Cscript%3Ealert(1)%3C/script%3E").text


def test_what_is_kept_and_who_looked_is_shown_and_goes_at_a_touch(page: Page, rack: FakeRackAgent) -> None:
    rack.sees("A1", 6, 5, review=True, confidence=0.6)
    page.goto("/a-verifier")
    picture = page.get_by_role("img", name=f"{LABEL}, avant")
    expect(picture).to_have_js_property("naturalWidth", 240)
    page.goto("/vie-privee")
    expect(page.locator("#privacy")).to_contain_text("72 h")
    expect(page.locator("#privacy")).to_contain_text("Avant et après d’un mouvement")
    expect(page.locator(".notice")).to_contain_text("72 heures au plus")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Tout effacer maintenant").click()
    expect(page.locator("#privacy")).to_contain_text("effacées à la demande")
    page.goto("/a-verifier")
    expect(page.locator("#review .proposal")).to_have_count(1)
    expect(page.get_by_role("img", name=f"{LABEL}, avant")).to_have_count(0)


def test_what_a_badge_took_is_on_their_post_and_is_charged_in_one_touch(
    rack: FakeRackAgent, terminal: Terminal, new_context: NewContext, centre: Centre
) -> None:
    post = Post(new_context(820, 1180)).open()
    post.badge()
    for operation in ("OF118-20", "OF121-10"):
        post.scan(format_code("OP", operation))
        expect(post.page.locator(".card", has_text=operation)).to_be_visible()
    post.synced()
    terminal.send(CodeScanned(code=format_code("PE", "A1B2C3"), format="lecteur", post="rack-a"))
    rack.sees("A1", 6, 5)
    expect(post.page.locator(".belief")).to_contain_text("1 pris : débité")
    offer = post.page.locator(".charges")
    expect(offer.get_by_role("button", name="OF118-20")).to_be_visible()
    post.page.locator(".card", has_text="OF121-10").get_by_role("button", name="Terminer").click()
    asked = post.page.get_by_role("dialog")
    asked.get_by_role("button", name="OF121-10").click()
    expect(asked.locator(".charges")).to_contain_text("Imputé à OF121-10")
    wait_until(lambda: centre.get("/api/stock/movements").json()[0]["operation"] == "OF121-10")
    asked.get_by_role("button", name="Terminer").click()
    post.said("Enregistré : terminé OF121-10")


class TestBlank:
    @pytest.fixture
    def racks_begin(self) -> str:
        return "blank"

    def test_a_blank_rack_only_proposes_and_shows_how_far_it_is(
        self, page: Page, rack: FakeRackAgent, centre: Centre
    ) -> None:
        page.goto("/rack/rack-a")
        rack.sees("A1", 6, 5)
        expect(page.locator("#rack-side")).to_contain_text("À confirmer")
        assert level(centre) == 6000
        page.get_by_role("link", name="Vérifier").first.click()
        expect(page.locator("#review")).to_contain_text("encore à blanc")
        page.get_by_role("button", name="Confirmer").click()
        expect(page.locator("#review")).to_contain_text("Rien à vérifier")
        page.goto("/rack/rack-a")
        expect(page.locator("#rack-side .trust li", has_text="Plaquette")).to_contain_text("1 / 30 confirmées")


def test_the_centre_says_no_in_a_sentence(centre: Centre, rack: FakeRackAgent) -> None:
    def asked(path: str) -> httpx.Response:
        return httpx.post(f"{centre.url}{path}", headers={"HX-Request": "true"}, timeout=20)

    assert asked("/rack/nulle-part/regarder").status_code == 404
    assert asked("/revue/999/confirmer").headers["X-Refused"] == "1"
    assert asked("/rack/rack-a/mode/dormir").status_code == 422
    assert httpx.post(f"{centre.url}/rack/rack-a/regarder", timeout=20).status_code == 403
