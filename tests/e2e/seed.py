"""A small realistic shop: people, articles, machines, orders; and a morning of facts to look at."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta

import cv2
import msgspec
import numpy as np

from central import schema
from central.core.database import Database
from central.core.settings import Settings
from central.core.uow import UnitOfWork, Units
from central.items import service as items
from central.machines import service as machines
from central.people import service as people
from central.work import service as work
from central.work.service import Debit
from contracts import topics
from contracts.control import AgentState, PartState, StreamState
from contracts.facts import (
    CodeScanned,
    CycleEnded,
    MachineAlarm,
    MachineSamples,
    MachineStateChanged,
    PartsCounted,
    SourceStatus,
    StockCounted,
    StockObserved,
    WorkClocked,
)
from tests.e2e.harness import SITE, Terminal, publish

INSERT, DRILL, BAR = "CNMG120408-PM", "FORET-8.5", "BARRE-42CRMO4-40"
INSERT_EAN = "7323220123456"


async def books(database_url: str) -> None:
    """What a shop enters once, by the services that the pages use. Safe beside a running centre."""
    database = Database(database_url)
    units = Units(database, Settings(_env_file=None, database_url=database_url))
    async with database.engine.begin() as connection:
        await connection.run_sync(schema.metadata().create_all)
    async with units.begin() as uow:
        await _people(uow)
        await _items(uow)
        await _machines(uow)
        await _orders(uow)
    await database.close()


async def _people(uow: UnitOfWork) -> None:
    await people.add_person(uow, "Opérateur 1", badge="A1B2C3", person_id="p-7k3f")
    await people.add_person(uow, "Opérateur 2", badge="D4E5F6", person_id="p-9m2x")


async def _items(uow: UnitOfWork) -> None:
    for code, label in (
        ("rack-a/A1", "Rayonnage A, case 1"),
        ("rack-a/A2", "Rayonnage A, case 2"),
        ("rack-a/A3", "Rayonnage A, case 3"),
        ("armoire-1/T4", "Armoire 1, tiroir 4"),
        ("rack-barres", "Rack à barres"),
    ):
        await items.add_place(uow, code, label)
    add = items.add_item
    await add(uow, INSERT, "Plaquette CNMG 120408", "insert", minimum=3000, place="rack-a/A1", codes=[INSERT_EAN])
    await add(uow, "DCMT11T304", "Plaquette DCMT 11T304", "insert", minimum=5000, place="rack-a/A2")
    await add(uow, DRILL, "Foret carbure Ø 8,5", "drill", minimum=2000, place="rack-a/A3")
    await add(uow, "FRAISE-12Z4", "Fraise carbure Ø 12 Z4", "endmill", minimum=1000, place="armoire-1/T4")
    await add(uow, "MICRO-25-50", "Micromètre 25–50 mm", "instrument", place="armoire-1/T4")
    await add(uow, "GANTS-T9", "Gants anticoupure taille 9", "ppe", minimum=10_000, place="armoire-1/T4")
    await add(uow, BAR, "Barre 42CrMo4 Ø 40", "material", unit="mm", minimum=3_000_000, place="rack-barres")


async def _machines(uow: UnitOfWork) -> None:
    day = [["06:00", "14:00"], ["14:00", "22:00"]]
    week = [day, day, day, day, day, [["06:00", "12:00"]], []]
    add = machines.add_machine
    await add(uow, "tour-1", "Tour 1", kind="Tour CN 2 axes", controller="OSP-P300", weekly=week)
    await add(uow, "fraiseuse-1", "Fraiseuse 1", kind="Centre d’usinage 3 axes", controller="OPC UA", weekly=week)
    await add(uow, "fraiseuse-2", "Fraiseuse 2", kind="Centre d’usinage 5 axes", controller="OPC UA", weekly=week)
    await add(uow, "scie-1", "Scie 1", kind="Scie à ruban", weekly=week)


async def _orders(uow: UnitOfWork) -> None:
    today = uow.now.astimezone(uow.settings.zone).date()
    await work.add_order(uow, "OF118", quantity=20, article="AX-204", label="Axe de renvoi")
    await work.add_order(uow, "OF121", quantity=60, article="BR-077", label="Bride tournée")
    await work.add_order(uow, "OF124", quantity=6, article="CA-310", label="Carter")
    add = work.add_operation
    debit = Debit(BAR, length_mm=162, count=20, kerf_mm=2, allowance_mm=1)
    await add(uow, "OF118", 10, "Débit barre", machine="scie-1", kind="debit", run_min=2, debit=debit, planned_on=today)
    await add(uow, "OF118", 20, "Tournage", machine="tour-1", setup_min=40, run_min=9.5, planned_on=today)
    await add(uow, "OF118", 30, "Fraisage méplats", machine="fraiseuse-1", setup_min=30, run_min=14, planned_on=today)
    await add(uow, "OF121", 10, "Tournage bride", machine="tour-1", setup_min=45, run_min=11, planned_on=today)
    await add(
        uow, "OF124", 10, "Carter, première face", machine="fraiseuse-2", setup_min=90, run_min=75, planned_on=today
    )
    await add(uow, "OF124", 20, "Traitement thermique", kind="external")


def crop(count: int, seed: int = 1) -> bytes:
    """A compartment with `count` inserts, as a camera's crop: JPEG, under 24 KiB."""
    rng = np.random.default_rng(seed)
    image = np.full((180, 240, 3), (92, 98, 102), np.uint8)
    cv2.rectangle(image, (8, 8), (231, 171), (58, 62, 66), -1)
    for index in range(count):
        x, y = 55 + (index % 3) * 65, 55 + (index // 3) * 70
        turn = rng.uniform(-0.3, 0.3)
        corners = [(0, -26), (26, 0), (0, 26), (-26, 0)]
        points = [
            (x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn))
            for a, b in corners
        ]
        cv2.fillPoly(image, [np.array(points, np.int32)], (70, 165, 205))
        cv2.circle(image, (x, y), 8, (45, 60, 70), -1)
    noisy = np.clip(image + rng.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def pick(
    before: int,
    after: int,
    *,
    item: str = INSERT,
    place: str = "rack-a/A1",
    confidence: float = 0.97,
    review: bool = False,
) -> StockObserved:
    """What the rack camera says when a hand has left."""
    return StockObserved(
        source="camera",
        item=item,
        place=place,
        qty=(after - before) * 1000,
        confidence=confidence,
        mode="review" if review else "auto",
        count_before=before,
        count_after=after,
        model="rack-1",
    )


def morning(terminal: Terminal) -> None:
    """Facts of the last hours: counts, picks and scans, states, samples, an alarm, a doubt, an unknown code."""
    now = datetime.now(UTC)

    def ago(minutes: float) -> datetime:
        return now - timedelta(minutes=minutes)

    counts = [
        (INSERT, "rack-a/A1", 6), ("DCMT11T304", "rack-a/A2", 4), (DRILL, "rack-a/A3", 5),
        ("FRAISE-12Z4", "armoire-1/T4", 3), ("MICRO-25-50", "armoire-1/T4", 1), ("GANTS-T9", "armoire-1/T4", 24),
    ]  # fmt: skip
    terminal.send_timed(
        [(ago(300), StockCounted(source="manual", item=i, place=p, qty=n * 1000)) for i, p, n in counts]
        + [(ago(300), StockCounted(source="manual", item=BAR, place="rack-barres", qty=9_000_000))]
    )
    terminal.send_timed(
        [
            (ago(52), pick(6, 5)),
            (ago(51), CodeScanned(code=INSERT_EAN, format="lecteur", post="poste-1", action="take", person="p-7k3f")),
            (ago(31), pick(5, 4, item=DRILL, place="rack-a/A3", confidence=0.91)),
            (ago(12), pick(4, 2, item="DCMT11T304", place="rack-a/A2")),
            (ago(4), pick(5, 4, confidence=0.62, review=True)),
            (
                ago(3),
                CodeScanned(code="4012345678901", format="lecteur", post="poste-1", action="take", person="p-9m2x"),
            ),
        ]
    )
    terminal.send_timed(
        [
            (ago(280), clocked("start", "OF118-20", phase="setup")),
            (ago(236), clocked("first_good", "OF118-20")),
            (ago(200), clocked("start", "OF124-10", "p-9m2x", phase="setup")),
            (ago(47), clocked("pause", "OF124-10", "p-9m2x", reason="Panne machine")),
        ]
    )
    _machines_live(terminal, ago)


def _machines_live(terminal: Terminal, ago: object) -> None:
    assert callable(ago)
    rng = random.Random(7)
    facts: list[tuple[datetime, object]] = []

    def state(minutes: float, machine: str, name: str, programme: str | None = None, detail: str = "") -> None:
        facts.append(
            (ago(minutes), MachineStateChanged(machine=machine, state=name, programme=programme, detail=detail))
        )

    for minutes, name in (
        (295, "ready"),
        (280, "setup"),
        (236, "running"),
        (150, "stopped"),
        (141, "running"),
        (64, "alarm"),
        (58, "running"),
    ):
        state(minutes, "tour-1", name, "O1184 BRIDE")
    for minutes, name in ((290, "ready"), (262, "running"), (96, "ready"), (80, "running"), (12, "stopped")):
        state(minutes, "fraiseuse-1", name, "AX204_OP30.NC")
    for minutes, name in ((290, "off"), (200, "setup"), (47, "alarm")):
        state(minutes, "fraiseuse-2", name, "CARTER-OP10")
    facts.append(
        (ago(47), MachineAlarm(machine="fraiseuse-2", code="2041", text="Pression de lubrification basse", active=True))
    )
    for index in range(18):
        end = ago(225 - index * 11.5)
        facts.append((end, CycleEnded(machine="tour-1", programme="O1184 BRIDE", began=end - timedelta(minutes=9.5))))
        facts.append(
            (end, PartsCounted(machine="tour-1", first=index, last=index + 1, delta=1, programme="O1184 BRIDE"))
        )
    state(130, "scie-1", "running", "COUPE 165")
    facts.append(
        (
            ago(20),
            SourceStatus(
                source="scie-1",
                status="lost",
                code="timeout",
                machine="scie-1",
                message="La scie ne répond plus : vérifiez son armoire et son câble réseau.",
            ),
        )
    )
    facts.sort(key=lambda pair: pair[0])
    terminal.send_timed(facts)  # type: ignore[arg-type]  # bodies of several kinds
    samples = []
    for minute in range(70, 0, -1):
        t0 = ago(minute)
        values = [max(0.0, 42 + 22 * math.sin((70 - minute + k / 30) / 3.1) + rng.gauss(0, 4)) for k in range(60)]
        if 58 < minute < 64:
            values = [0.0] * 60
        samples.append(
            (
                t0,
                MachineSamples(
                    machine="tour-1", signal="spindle_load", unit="%", t0=t0, dt=[k * 1000 for k in range(60)], v=values
                ),
            )
        )
        samples.append(
            (t0, MachineSamples(machine="tour-1", signal="feed", unit="mm/min", t0=t0, dt=[0, 30000], v=[180.0, 220.0]))
        )
    terminal_samples = Terminal(terminal.centre, terminal.agent)
    terminal_samples.send_timed(samples, "samples")


def agents(port: int) -> None:
    """Two agents that state themselves through the broker; one has a backlog and a part that failed."""
    now = datetime.now(UTC)
    for name, pending, parts in (
        ("rack-1", 0, [("rack-a", "rack", "running", "")]),
        (
            "atelier-1",
            37,
            [("tour-1", "machine", "running", ""), ("scie-1", "machine", "failed", "la scie ne répond plus")],
        ),
    ):
        state = AgentState(
            online=True,
            agent=name,
            boot=f"boot{name.replace('-', '')}",
            run="run00001",
            ts=now,
            off=12,
            version="0.1.0",
            facts=StreamState(last=412 + pending, acked=412, pending=pending),
            samples=StreamState(last=9000, acked=9000, pending=0),
            parts=[PartState(name=n, kind=k, status=s, detail=d, since=now) for n, k, s, d in parts],  # type: ignore[arg-type]  # a word of PartStatus
            disk_used=0.04,
        )
        publish(port, topics.state(SITE, name), msgspec.json.encode(state))


def clocked(action: str, operation: str, person: str = "p-7k3f", **more: object) -> WorkClocked:
    return WorkClocked(action=action, operation=operation, person=person, post="poste-1", **more)  # type: ignore[arg-type]  # literals come as text
