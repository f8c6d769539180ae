"""A living centre (SQLite, real Mosquitto) and a real Chromium that fails a test on any console error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from copeau.servers import broker as brokers
from copeau.servers.broker import Broker
from tests.e2e import seed
from tests.e2e.harness import Centre
from tests.e2e.rack_agent import FakeRackAgent

expect.set_options(timeout=30_000)

CHROMIUM = Path("/usr/bin/chromium")
VENDOR = Path(__file__).resolve().parents[2] / "central" / "ui" / "static" / "vendor"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Per module: Playwright keeps an event loop running in this thread, which async tests elsewhere must not meet."""
    if not CHROMIUM.exists():
        pytest.skip("no /usr/bin/chromium (apt package chromium)")
    if not (VENDOR / "htmx.min.js").exists():
        pytest.skip("page files are missing: npm ci && npm run vendor in central/ui")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    if brokers.MISSING:
        pytest.skip(brokers.MISSING)
    with Broker(tmp_path / "broker") as running:
        yield running


@pytest.fixture
def racks_begin() -> str:
    """What a camera may do before anybody judged it; a test of trust says "blank"."""
    return "automatic"


@pytest.fixture
def centre(tmp_path: Path, broker: Broker, racks_begin: str) -> Iterator[Centre]:
    """Running, with the people, articles, machines and operations of `seed.books`."""
    running = Centre(tmp_path, broker.port, stale_after_s=4, racks_begin=racks_begin)
    running.start()
    with ThreadPoolExecutor(1) as other_thread:
        other_thread.submit(asyncio.run, seed.books(running.database_url)).result()
    yield running
    running.stop()


_LOST = ("INTERNET_DISCONNECTED", "CONNECTION", "INCOMPLETE", "CONTENT_LENGTH_MISMATCH")
"""How Chromium calls an answer that never came, or whose sender was killed in the middle of it."""


class Watch:
    """What a page must not do: complain on its console, or ask another host."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.offline = False
        """While the centre is away on purpose, failed loads are expected."""

    def over(self, context: BrowserContext, url: str) -> None:
        context.on("console", lambda message: self._said(message.type, message.text))
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        context.on("request", lambda request: self._asked(request.url, url))

    def _said(self, kind: str, text: str) -> None:
        lost = any(f"net::ERR_{how}" in text for how in _LOST)
        if kind == "error" and not (self.offline and lost):
            self.complaints.append(f"console: {text}")

    def _asked(self, address: str, url: str) -> None:
        if not address.startswith((url, "data:", "blob:")):
            self.complaints.append(f"another host: {address}")


@pytest.fixture
def rack_agent(centre: Centre, broker: Broker) -> Iterator[FakeRackAgent]:
    agent = FakeRackAgent(centre, broker.port)
    yield agent
    agent.stop()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def new_context(browser: Browser, centre: Centre, watch: Watch) -> Iterator[Callable[..., BrowserContext]]:
    """A fresh browser profile each time it is called."""
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, height: int = 900) -> BrowserContext:
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="fr-FR", timezone_id="Europe/Paris", base_url=centre.url
        )
        context.set_default_timeout(30_000)
        watch.over(context, centre.url)
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert watch.complaints == []


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    return new_context().new_page()
