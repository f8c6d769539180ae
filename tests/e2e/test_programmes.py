"""A CN programme from the upload to the machine and back: browser, centre, broker, agent; the controller is a labelled
fake at the driver port (real ones: tests/integration/cnc_bridge/test_programmes_round_trip.py).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from contracts.codes import format_code
from contracts.programmes import same
from copeau.servers.broker import Broker
from tests.e2e.conftest import Watch
from tests.e2e.harness import ROOT, SITE, Centre, wait_until
from tests.e2e.operator_post import Post
from tests.support.fake_cnc import Bench
from vision.codes import CodeReader
from vision.codes.files import load

NewContext = Callable[..., BrowserContext]
TEXT = b"%\nO1234(BRIDE PALIER)\n(T1 EBAUCHE)\nN10 T0101\nN20 G1 X10. Z-5. F0.2\nN30 G0 X100.\nM30\n%\n"
CODE = format_code("PROG", "1")


@pytest.fixture
def machine(tmp_path: Path, centre: Centre, broker: Broker) -> Iterator[Bench]:
    """The fake machine, standing still, and its agent as a process."""
    bench = Bench(tmp_path / "machine")
    config = tmp_path / "pi-tour.toml"
    head = f'[agent]\nname = "pi-tour"\nsite = "{SITE}"\n[centre]\nport = {broker.port}\nhttp = "{centre.url}"\n'
    config.write_text(f"{head}heartbeat_s = 0.5\nprogrammes_s = 0.5\n{bench.toml('tour-1')}", encoding="utf-8")
    command = [sys.executable, "-m", "tests.support.fake_cnc", "-v", "agent", "run", str(config)]
    with (tmp_path / "pi-tour.log").open("wb") as log:
        agent = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    wait_until(lambda: state(centre) == "ready")
    yield bench
    agent.terminate()
    agent.wait(20)


def state(centre: Centre) -> str:
    found: dict[str, Any] = centre.get("/api/machines/tour-1").json()
    return str(found["state"])


def file(tmp_path: Path, name: str, content: bytes) -> Path:
    made = tmp_path / name
    made.write_bytes(content)
    return made


def upload(page: Page, path: Path, machine: str = "Tour 1") -> None:
    page.goto("/programmes")
    page.get_by_label("Fichier").set_input_files(path)
    page.locator("form[hx-post='/programmes']").get_by_label("Machine").select_option(label=machine)
    page.get_by_role("button", name="Déposer").click()


def valid(page: Page, tmp_path: Path) -> None:
    upload(page, file(tmp_path, "bride.nc", TEXT))
    expect(page.get_by_role("heading", name="O1234")).to_be_visible()
    page.get_by_role("button", name="Soumettre à validation").click()
    page.get_by_role("button", name="Valider", exact=True).click()
    expect(page.locator("#version-1 .badge", has_text="Validé")).to_be_visible()


def at_the_post(new_context: NewContext) -> Post:
    post = Post(new_context(390, 844)).open()
    post.badge()
    return post


def test_from_the_upload_to_the_machine_and_back_as_a_draft(
    page: Page, new_context: NewContext, centre: Centre, machine: Bench, tmp_path: Path
) -> None:
    valid(page, tmp_path)
    post = at_the_post(new_context)
    post.scan(CODE)
    expect(post.page.get_by_role("heading", name="O1234")).to_be_visible()
    expect(post.page.locator(".programme .state")).to_contain_text("version 1 validée")
    expect(post.page.get_by_role("button", name="Charger sur Tour 1")).to_be_visible()
    post.scan(CODE)
    expect(post.page.locator(".verdict")).to_contain_text("relu identique")
    loaded = machine.text("O1234")
    assert loaded is not None
    assert same(loaded, TEXT, "O1234")
    expect(page.locator("#sendings li").first).to_contain_text("Envoyé et relu identique")
    expect(page.locator("#sendings li").first).to_contain_text("Opérateur 1")

    machine.edit("O1234", loaded.replace(b"F0.2", b"F0.15"))
    draft = page.locator("#version-2")
    expect(draft).to_contain_text("Changé à la machine Tour 1. 1 ligne changée.")
    expect(draft.locator(".badge")).to_contain_text("Brouillon")
    draft.get_by_role("link", name="Comparer à la validée").click()
    row = page.locator("tr.changed")
    expect(row).to_have_count(1)
    expect(row.locator(".old")).to_contain_text("N20 G1 X10. Z-5. F0.2")
    expect(row.locator(".new")).to_contain_text("N20 G1 X10. Z-5. F0.15")
    assert centre.get("/programmes/1/versions/1/fichier").content == TEXT

    page.goto("/programmes/1/etiquette")
    page.locator(".label").screenshot(path=tmp_path / "label.png")
    assert [code.text for code in CodeReader().read(load(tmp_path / "label.png"))] == [CODE]


def test_a_machine_that_runs_and_a_programme_not_valid_are_refused_in_big_letters(
    page: Page, new_context: NewContext, centre: Centre, machine: Bench, tmp_path: Path
) -> None:
    upload(page, file(tmp_path, "bride.nc", TEXT))
    expect(page.get_by_role("heading", name="O1234")).to_be_visible()
    post = at_the_post(new_context)
    post.scan(CODE)
    verdict = post.page.locator(".verdict")
    expect(verdict).to_contain_text("Pas validé.")
    expect(post.page.get_by_role("button", name="Charger sur Tour 1")).to_have_count(0)

    page.get_by_role("button", name="Soumettre à validation").click()
    page.get_by_role("button", name="Valider", exact=True).click()
    expect(post.page.get_by_role("button", name="Charger sur Tour 1")).to_be_visible()
    machine.is_(execution="ACTIVE")
    expect(verdict).to_contain_text("La machine tourne.")
    machine.is_(execution="FEED_HOLD")  # the centre's word for it is "Attente": its agent knows better
    post.page.get_by_role("button", name="Charger sur Tour 1").click()
    expect(verdict).to_contain_text("Un programme est en cours sur la machine (suspendu).")
    expect(page.locator("#sendings li").first).to_contain_text("Refusé")
    assert machine.text("O1234") is None
    machine.is_(execution="READY")
    wait_until(lambda: state(centre) == "ready")
    post.page.get_by_role("button", name="Recommencer").click()
    post.page.get_by_role("button", name="Charger sur Tour 1").focus()
    post.page.keyboard.press("Enter")
    expect(verdict).to_contain_text("relu identique")


def test_without_the_centre_the_post_says_so_and_clocking_goes_on(
    page: Page, new_context: NewContext, centre: Centre, machine: Bench, tmp_path: Path, watch: Watch
) -> None:
    valid(page, tmp_path)
    post = at_the_post(new_context)
    post.page.wait_for_function("navigator.serviceWorker.controller || navigator.serviceWorker.ready")
    watch.offline = True
    centre.stop()
    post.scan(CODE)
    expect(post.page.locator(".verdict")).to_contain_text("Charger demande le centre.")
    post.scan(format_code("OP", "OF118-20"))
    post.said("démarré OF118-20")
    post.scan(CODE)
    centre.start()
    expect(post.page.get_by_role("button", name="Charger sur Tour 1")).to_be_visible()
    watch.offline = False


def test_a_file_that_is_no_programme_is_refused_where_it_was_chosen(page: Page, centre: Centre, tmp_path: Path) -> None:
    for name, content, said in (
        ("vide.nc", b"", "vide"),
        ("bride.zip", b"PK\x03\x04" + b"x" * 500, "archive zip"),
        ("bride.nc", TEXT.decode().encode("utf-16"), "UTF-16"),
        ("image.nc", bytes(range(256)) * 20, "pas un texte"),
        ("gros.nc", b"G1 X1.\n" * (70 * 2**20 // 7), "70 Mo"),
    ):
        upload(page, file(tmp_path, name, content))
        expect(page.locator("form[hx-post='/programmes'] .refused")).to_contain_text(said)
    assert centre.get("/api/programmes").json() == []


def test_the_pages_fit_a_phone_a_tablet_and_a_desk(page: Page, centre: Centre, tmp_path: Path) -> None:
    upload(page, file(tmp_path, "bride.nc", TEXT + b"(" + b"X" * 300 + b")\n"))
    expect(page.get_by_role("heading", name="O1234")).to_be_visible()
    page.locator("form[hx-post='/programmes/1/versions'] input[type=file]").set_input_files(
        file(tmp_path, "v2.nc", TEXT.replace(b"F0.2", b"F0.1"))
    )
    page.locator("form[hx-post='/programmes/1/versions'] button").click()
    expect(page.locator("#version-2")).to_be_visible()
    for path in ("", "/1", "/1/versions/1", "/1/comparer?a=1&b=2", "/1/etiquette"):
        for width in (390, 820, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(f"/programmes{path}")
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (path, width)
