"""The machine page: the guard's verdict with its curve, rearming by a person, limits that alert, what a person sets."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import BrowserContext, Page, expect

from contracts import topics
from contracts.control import RearmGuard
from contracts.envelope import encode_pack
from contracts.facts import (
    AgentAnswered,
    CycleEnded,
    GuardRearmed,
    GuardTripped,
    MachineSamples,
    MachineStateChanged,
    PartsCounted,
)
from copeau.servers.broker import Broker
from tests.e2e import seed
from tests.e2e.harness import SITE, Centre, Terminal, publish

AGENT = "machine-1"


class MqttAgent(Terminal):
    """Sends its facts through the broker instead of over HTTP."""

    def __init__(self, centre: Centre, port: int) -> None:
        super().__init__(centre, AGENT)
        self._port = port

    def say(self, *bodies: msgspec.Struct) -> None:
        publish(self._port, topics.facts(SITE, AGENT), encode_pack([self.envelope(body) for body in bodies]))


@contextmanager
def commands_of(port: int, name: str) -> Iterator[queue.Queue[bytes]]:
    """What the agent would be asked to do."""
    heard: queue.Queue[bytes] = queue.Queue()
    ready: queue.Queue[bool] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _client, _data, message: heard.put(bytes(message.payload))
    client.on_subscribe = lambda *_: ready.put(True)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topics.command(SITE, AGENT, name), qos=1)
    ready.get(timeout=20)
    try:
        yield heard
    finally:
        client.loop_stop()
        client.disconnect()


def tripped() -> GuardTripped:
    now = datetime.now(UTC)
    dt = list(range(0, 4000, 20))
    return GuardTripped(
        machine="tour-1",
        level="hold",
        signal="spindle_load",
        unit="%",
        value=191.0,
        limit=118.0,
        why="Au-dessus de l'enveloppe apprise.",
        outcome="held",
        programme="O1184",
        tool="T4",
        sample_age_ms=22.0,
        latency_ms=1.4,
        stop_ms=92.0,
        feed=600.0,
        travel_mm=1.15,
        t0=now - timedelta(seconds=3),
        dt=dt,
        v=[191.0 if 2980 < d < 3080 else 55.0 for d in dt],
        high=[None if d < 500 else 118.0 for d in dt],
    )


def test_a_trip_comes_with_its_curve_and_a_person_rearms(page: Page, centre: Centre, broker: Broker) -> None:
    agent = MqttAgent(centre, broker.port)
    page.goto("/")
    agent.say(MachineStateChanged(machine="tour-1", state="stopped", programme="O1184"), tripped())
    row = page.locator("#alerts li", has_text="risque de collision")
    expect(row).to_contain_text("Critique")
    row.get_by_role("link").click()
    panel = page.locator("#guard")
    expect(panel).to_contain_text("À réarmer")
    panel.get_by_role("link", name="1\u00a0déclenchement").click()
    page.locator("#trips").get_by_role("link").click()
    expect(page.locator("#guard-chart canvas")).to_be_visible()
    expect(page.locator("#guard-chart")).to_have_attribute("data-points", "200")
    figures = page.locator("main .figures").first
    for said in ("191", "118", "22", "1,4", "92", "600", "1,15"):
        expect(figures).to_contain_text(said)
    page.on("dialog", lambda dialog: dialog.accept())
    with commands_of(broker.port, "guard-rearm") as asked:
        page.locator("#guard").get_by_role("button", name="Réarmer").click()
        command = msgspec.json.decode(asked.get(timeout=30), type=RearmGuard)
    assert (command.machine, command.person) == ("tour-1", "page")
    expect(page.locator("#guard")).to_contain_text("À réarmer")
    agent.say(AgentAnswered(command="guard-rearm", id=command.id, done=True, detail="Garde réarmée."))
    agent.say(GuardRearmed(machine="tour-1", person="page", command=command.id))
    expect(page.locator("#guard")).to_contain_text("Garde réarmée.")
    expect(page.locator("#guard").get_by_role("button", name="Réarmer")).to_have_count(0)
    page.goto("/")
    expect(page.locator("#alerts li", has_text="risque de collision")).to_have_count(0)


def samples(value: float) -> MachineSamples:
    return MachineSamples(
        machine="tour-1", signal="temperature", unit="celsius", t0=datetime.now(UTC), dt=[0], v=[value]
    )


def test_a_limit_set_on_the_page_alerts_when_it_is_passed(page: Page, centre: Centre) -> None:
    agent = Terminal(centre, AGENT)
    agent.send(MachineStateChanged(machine="tour-1", state="running"))
    stream = Terminal(centre, "machine-2")
    stream.send(samples(61.0), stream="samples")
    page.goto("/machines/tour-1")
    limits = page.locator("#limits")
    limits.get_by_text("Ajouter une limite").click()
    limits.get_by_label("Limite", exact=True).fill("80")
    limits.get_by_label("Avertissement").fill("90")
    form = limits.locator("#limite-nouvelle")
    form.get_by_role("button", name="Enregistrer").click()
    expect(limits.get_by_role("alert")).to_contain_text("sous la limite haute")
    expect(limits.get_by_label("Limite", exact=True)).to_have_value("80")
    limits.get_by_label("Avertissement").fill("70,5")
    form.get_by_role("button", name="Enregistrer").click()
    expect(limits).to_contain_text("Température au-dessus de 80 °C")
    stream.send(samples(84.0), stream="samples")
    expect(page.locator("#machine .figures")).to_contain_text("limite")
    page.goto("/")
    expect(page.locator("#alerts li", has_text="température au-dessus de la limite")).to_be_visible()
    stream.send(samples(64.0), stream="samples")
    expect(page.locator("#alerts li", has_text="température")).to_have_count(0)


def test_what_a_programme_makes_is_said_and_the_day_is_counted_again(page: Page, centre: Centre) -> None:
    agent = Terminal(centre, AGENT)
    now = datetime.now(UTC)
    for n in range(2):
        agent.send(
            CycleEnded(machine="tour-1", programme="PALP-1", began=now - timedelta(minutes=1)),
            PartsCounted(machine="tour-1", first=n, last=n + 1, delta=1, programme="PALP-1"),
        )
    page.goto("/machines/tour-1")
    parts = page.locator("#machine .figures div", has_text="Pièces aujourd’hui").locator("dd")
    expect(parts).to_contain_text("2")
    expect(page.locator("#cycles tbody tr")).to_have_count(2)
    programmes = page.locator("#programmes")
    programmes.get_by_text("Régler un programme").click()
    programmes.get_by_label("Programme ou motif").fill("palp*")
    programmes.get_by_label("Produit des pièces").uncheck()
    programmes.get_by_role("button", name="Enregistrer").click()
    expect(programmes).to_contain_text("ne produit pas")
    page.reload()
    expect(parts).to_have_text("0")


def test_a_machine_is_described_on_its_page(page: Page, centre: Centre) -> None:
    Terminal(centre, AGENT).send(MachineStateChanged(machine="robot-1", state="running", programme="CHARGE"))
    page.goto("/machines/robot-1")
    panel = page.locator("#parameters")
    expect(panel).to_contain_text("à décrire")
    panel.get_by_text("Modifier").click()
    panel.get_by_label("Nom").fill("Robot de chargement")
    panel.get_by_label("Type", exact=True).fill("Robot 6 axes")
    panel.get_by_label("Puissance").fill("beaucoup")
    panel.get_by_role("button", name="Enregistrer").click()
    expect(panel.get_by_role("alert")).to_contain_text("n’est pas un nombre")
    panel.get_by_label("Puissance").fill("7,5")
    panel.get_by_role("button", name="Enregistrer").click()
    expect(panel).to_contain_text("7,5 kW")
    page.goto("/")
    robots = page.locator("#tiles")
    expect(robots.get_by_role("heading", name="Robots")).to_be_visible()
    expect(robots.locator(".tile", has_text="Robot de chargement")).to_contain_text("CHARGE")


@pytest.mark.parametrize("width", [390, 820])
def test_no_machine_page_scrolls_sideways(
    new_context: Callable[..., BrowserContext], centre: Centre, width: int
) -> None:
    agent = Terminal(centre, AGENT)
    seed.morning(agent)
    agent.send(tripped())
    page = new_context(width, 844).new_page()
    page.goto("/machines/tour-1/garde")
    curve = page.locator("#trips").get_by_role("link").get_attribute("href")
    assert curve is not None
    for path in ("/machines/tour-1", "/machines/tour-1/garde", curve):
        page.goto(path)
        page.wait_for_load_state("load")
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path


@pytest.mark.parametrize(
    "path", ["/machines/inconnue/garde", "/machines/tour-1/garde/99", "/parts/garde?code=inconnue"]
)
def test_what_is_not_there_is_said_in_french(centre: Centre, path: str) -> None:
    reply = centre.get(path)
    assert reply.status_code == 404
    assert "Page introuvable" in reply.text
