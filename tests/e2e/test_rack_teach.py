"""Teaching a rack on its page: forty places in a few actions, one changed without the others, sizes refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from contracts.racks import SlotKind
from tests.e2e.harness import Centre, wait_until
from tests.e2e.rack_agent import COLUMNS, ITEM_PX, ROWS, SIZE, TRAY, FakeRackAgent
from tests.e2e.seed import DRILL, INSERT


def middle(place: str) -> tuple[float, float]:
    """Of a place of the grid, px: ``C4`` is the third row's fourth."""
    row, column = ord(place[0]) - 65, int(place[1:]) - 1
    unit = np.array([(0, 0), (COLUMNS, 0), (COLUMNS, ROWS), (0, ROWS)], np.float32)
    turned = cv2.getPerspectiveTransform(unit, np.array(TRAY, np.float32))
    x, y = cv2.perspectiveTransform(np.array([[[column + 0.5, row + 0.5]]], np.float32), turned)[0][0]
    return float(x), float(y)


_KEYS = """(keys) => { for (const key of keys) {
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
} }"""


class Hand:
    """A person on the teach page. Every tap, drag, typed entry and scan is one action, and is counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.actions = 0

    def open(self) -> Hand:
        self.page.goto("/rack/rack-a/apprendre")
        self.page.wait_for_selector("#teach[data-ready]")
        return self

    def _at(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator("#plan").bounding_box()
        assert box is not None
        return box["x"] + x * box["width"] / SIZE[0], box["y"] + y * box["height"] / SIZE[1]

    def tap(self, x: float, y: float) -> None:
        self.actions += 1
        self.page.locator("#plan").scroll_into_view_if_needed()
        self.page.mouse.click(*self._at(x, y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.actions += 1
        self.page.mouse.move(*self._at(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self._at((start[0] + end[0]) / 2, (start[1] + end[1]) / 2))
        self.page.mouse.move(*self._at(*end))
        self.page.mouse.up()

    def press(self, name: str) -> None:
        self.actions += 1
        self.page.get_by_role("button", name=name).first.click()

    def type(self, field: str, text: str) -> None:
        self.actions += 1
        self.page.locator(field).fill(text)

    def scan(self, code: str) -> None:
        """As a USB reader types: all keys in one breath, however slow this machine is."""
        self.actions += 1
        self.page.evaluate(_KEYS, [*code, "Enter"])

    def said(self, text: str) -> None:
        expect(self.page.locator("#said")).to_contain_text(text)

    def grid(self, rows: int = ROWS, columns: int = COLUMNS) -> None:
        """A rectangle, its corners drawn onto the tray's, rows and columns, and one item measured."""
        (left, top), right_top, right_bottom, left_bottom = TRAY
        first = (right_top[0], right_bottom[1])
        self.drag((left, top), first)
        self.drag((first[0], top), right_top)
        self.drag(first, right_bottom)
        self.drag((left, first[1]), left_bottom)
        self.type("#grid-rows", str(rows))
        self.type("#grid-columns", str(columns))
        self.press(f"Poser {rows * columns} cases")
        self.said(f"{rows * columns} cases posées")

    def measure(self, px: float = ITEM_PX) -> None:
        self.drag((400, 180), (400 + px, 180))

    def save(self) -> None:
        self.press("Enregistrer et donner à la caméra")


@pytest.fixture
def hand(page: Page, rack_agent: FakeRackAgent) -> Hand:
    hand = Hand(page).open()
    hand.press("Prendre une image")
    hand.said("Image fixe")
    return hand


def taught(agent: FakeRackAgent, slots: int) -> None:
    wait_until(lambda: agent.taught is not None and len(agent.taught.slots) == slots)


def test_forty_places_by_scans_take_less_than_three_actions_each(hand: Hand, rack_agent: FakeRackAgent) -> None:
    hand.grid()
    hand.measure()
    hand.said("la caméra peut compter")
    for index in range(ROWS * COLUMNS):
        hand.scan(INSERT if index % 2 else DRILL)
    hand.said("C’était la dernière case")
    hand.save()
    hand.said("Version 1 enregistrée")
    assert hand.actions <= 3 * ROWS * COLUMNS
    assert hand.actions == ROWS * COLUMNS + 10
    taught(rack_agent, 40)
    described = rack_agent.taught
    assert described is not None
    assert described.picture == SIZE
    assert [slot.id for slot in described.slots[:3]] == ["A1", "A2", "A3"]
    assert {slot.item for slot in described.slots} == {INSERT, DRILL}
    assert {slot.klass for slot in described.slots} == {"insert", "drill"}
    sizes = [slot.px_per_item or 0 for slot in described.slots]
    assert sizes[0] == pytest.approx(ITEM_PX, abs=1)
    assert sizes[-1] > sizes[0]
    expect(hand.page.locator("#versions")).to_contain_text("40 cases apprises")


def test_a_pasted_list_fills_forty_places_at_once(hand: Hand, rack_agent: FakeRackAgent) -> None:
    hand.grid()
    hand.measure()
    hand.type("#list", "article;pièces\n" + "\n".join(f"{INSERT};{n % 5}" for n in range(39)) + "\nNOUVEAU-77")
    hand.press("Affecter dans l’ordre")
    hand.said("Inconnus du stock : NOUVEAU-77")
    hand.save()
    hand.said("Version 1 enregistrée")
    assert hand.actions == 12
    taught(rack_agent, 40)
    assert rack_agent.taught is not None
    assert [slot.count for slot in rack_agent.taught.slots[:6]] == [0, 1, 2, 3, 4, 0]


def test_one_place_is_changed_in_four_actions_and_the_others_stay_as_they_were(
    hand: Hand, rack_agent: FakeRackAgent
) -> None:
    hand.grid()
    hand.measure()
    hand.save()
    hand.said("Version 1 enregistrée")
    taught(rack_agent, 40)
    before = {slot.id: slot for slot in rack_agent.taught.slots}  # type: ignore[union-attr]  # taught() waited for it
    hand.open()
    hand.actions = 0
    hand.tap(*middle("C4"))
    expect(hand.page.locator("#panel h2")).to_have_text("Case C4")
    hand.type("#slot-item", INSERT)
    expect(hand.page.locator("#summary")).to_contain_text("0")
    hand.save()
    hand.said("Version 2 enregistrée")
    assert hand.actions <= 4
    wait_until(lambda: any(slot.item for slot in rack_agent.taught.slots))  # type: ignore[union-attr]  # as above
    after = {slot.id: slot for slot in rack_agent.taught.slots}  # type: ignore[union-attr]  # as above
    assert after.pop("C4").item == INSERT
    before.pop("C4")
    assert after == before


def test_places_are_merged_removed_and_taken_back(hand: Hand, rack_agent: FakeRackAgent) -> None:
    hand.grid()
    hand.measure()
    hand.tap(*middle("C4"))
    hand.press("Fusionner avec…")
    hand.tap(*middle("C5"))
    hand.said("C5 est maintenant dans C4")
    hand.page.locator("#places button", has_text="E8").click()
    hand.press("Supprimer")
    expect(hand.page.locator("#places li")).to_have_count(38)
    hand.page.locator("#undo").click()
    expect(hand.page.locator("#places li")).to_have_count(39)
    hand.save()
    hand.said("Version 1 enregistrée")
    taught(rack_agent, 39)
    widths = {s.id: max(x for x, _ in s.polygon) - min(x for x, _ in s.polygon) for s in rack_agent.taught.slots}  # type: ignore[union-attr]  # taught() waited for it
    assert widths["C4"] > 1.8 * widths["C3"]


def test_a_place_drawn_by_hand_is_named_and_becomes_presence_only(hand: Hand, rack_agent: FakeRackAgent) -> None:
    hand.press("Case à la main")
    corners = [(400, 300), (700, 300), (700, 500), (380, 520)]
    for corner in [*corners, corners[0]]:
        hand.tap(*corner)
    hand.press("Présence seule")
    hand.type("#slot-name", "BARRE-1")
    hand.save()
    hand.said("Version 1 enregistrée")
    taught(rack_agent, 1)
    slot = rack_agent.taught.slots[0]  # type: ignore[union-attr]  # taught() waited for it
    assert (slot.id, slot.kind) == ("BARRE-1", SlotKind.PRESENCE)
    assert np.allclose(slot.polygon, corners, atol=3)


def test_items_too_small_to_count_are_refused_with_what_to_do(hand: Hand, rack_agent: FakeRackAgent) -> None:
    hand.grid()
    hand.measure(12)
    hand.said("trop petit pour compter")
    hand.save()
    hand.said("« présence seule »")
    assert rack_agent.taught is None
    hand.press("Les passer en présence seule")
    hand.save()
    hand.said("Version 1 enregistrée")
    taught(rack_agent, 40)
    assert rack_agent.taught is not None
    assert {slot.kind for slot in rack_agent.taught.slots} == {SlotKind.PRESENCE}


def test_somebody_elses_newer_version_is_not_overwritten(
    hand: Hand, new_context: Callable[..., BrowserContext]
) -> None:
    hand.grid()
    hand.measure()
    other = Hand(new_context().new_page()).open()
    other.grid(2, 2)
    other.measure()
    other.save()
    other.said("Version 1 enregistrée")
    hand.save()
    hand.said("Quelqu’un a enregistré la version 1")


def test_the_centre_checks_what_a_page_sends(centre: Centre, rack_agent: FakeRackAgent) -> None:
    def sent(**slot: Any) -> httpx.Response:
        body = {"id": "A1", "polygon": [[0, 0], [90, 0], [90, 90]], "kind": "countable", "px_per_item": 40.0} | slot
        return httpx.post(
            f"{centre.url}/rack/rack-a/apprendre",
            json={"description": {"slots": [body], "picture": [100, 100]}, "base": None},
            headers={"HX-Request": "true"},
            timeout=20,
        )

    assert "trop petit" in sent(px_per_item=10.0).text
    assert "Mesurez" in sent(px_per_item=None).text
    assert "hors de l’image" in sent(polygon=[[0, 0], [900, 0], [90, 90]]).text
    assert "id" in sent(id="../../etc").text
    assert "item" in sent(item="x" * 500).text
    assert rack_agent.taught is None
    assert sent().json()["version"] == 1
