"""The operator's post as a person uses it: a badge, a reader that types fast, big buttons."""

from __future__ import annotations

import re
from datetime import timedelta

from playwright.sync_api import BrowserContext, Page, expect

from contracts.codes import format_code

BADGE = format_code("PE", "A1B2C3")
SYNCED = re.compile(r"^Synchronisé \d\d:\d\d$")


class Post:
    def __init__(self, context: BrowserContext, lives_in_the_past: timedelta | None = None) -> None:
        self.context = context
        if lives_in_the_past is not None:
            context.add_init_script(_SHIFT % int(lives_in_the_past.total_seconds() * 1000))
        self.page: Page = context.new_page()

    def open(self) -> Post:
        self.page.goto("/poste")
        self.page.wait_for_selector("html[data-ready]")
        return self

    def scan(self, code: str) -> None:
        """As a USB reader does: keys without pause, then Enter, whatever has the focus."""
        self.page.keyboard.type(code)
        self.page.keyboard.press("Enter")

    def badge(self) -> None:
        self.scan(BADGE)
        expect(self.page.locator(".who")).to_contain_text("Opérateur 1")

    def press(self, label: str) -> None:
        self.page.get_by_role("button", name=label, exact=True).click()

    def said(self, text: str) -> None:
        expect(self.page.locator("#toast")).to_contain_text(text)

    def synced(self) -> None:
        expect(self.page.locator(".sync")).to_have_text(SYNCED)

    def pending(self, count: int) -> None:
        expect(self.page.locator(".sync")).to_have_text(f"Enregistré · {count} en attente")


_SHIFT = """
(() => {
  const shift = %d;
  const Real = Date;
  window.Date = class extends Real {
    constructor(...given) { super(...(given.length ? given : [Real.now() - shift])); }
    static now() { return Real.now() - shift; }
  };
  const ask = window.fetch;
  window.fetch = async (address, options) => {
    if (address !== '/api/time') return ask(address, options);
    return new Response(JSON.stringify({ now: new Date().toISOString() }));
  };
})();
"""
"""The whole post lives earlier: what it records then arrives late by so much."""
