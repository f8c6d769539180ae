"""What the demo's shop owns: articles, places, persons, machines, orders; written once into a fresh database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from central.core.settings import Settings
from central.core.uow import UnitOfWork
from central.fleet import enrolment
from central.fleet.trust import Trust
from central.items import service as items
from central.machines import service as machines
from central.machines import settings as machine_settings
from central.machines.rules.watch import Limit
from central.offline import prepare
from central.people import service as people
from central.programmes import service as programmes
from central.programmes.service import Actor
from central.racks import service as racks
from central.stock import service as stock
from central.work import service as work
from central.work.service import Debit
from contracts.enrolment import Invitation
from contracts.racks import RackDescription

OPERATORS = {"p-op1": "Opérateur 1", "p-op2": "Opérateur 2"}
RACK_A = {"insert": "PLAQ-{slot}", "drill": "FORET-{slot}", "endmill": "FRAISE-{slot}"}
_LABELS = {"insert": "Plaquette de tournage", "drill": "Foret carbure", "endmill": "Fraise carbure"}
RACK_B = {
    "A": ("HUILE-COUPE", "Huile de coupe, flacon 1 L"),
    "B": ("DEGRIPPANT", "Dégrippant, flacon 1 L"),
    "C": ("ALCOOL-ISO", "Alcool isopropylique, flacon 1 L"),
}
RACKS = {"rack-a": "Tiroir d'outils (image de synthèse)", "rack-b": "Étagère de flacons (vraie vidéo)"}
LABELLED = {
    "3574660239843": ("GANTS-9", "Gants de protection, taille 9", "ppe"),
    "8032754490297": ("LUNETTES", "Lunettes de protection", "ppe"),
    "4006209700068": ("PAPIER-600", "Papier abrasif grain 600", "other"),
    "FANAVF14617104": ("VENTILO-140", "Ventilateur d'armoire 140 mm", "other"),
    "CODE39": ("JEU-CALES", "Jeu de cales étalons", "instrument"),
    "0001285112001000040801": ("MEULE-125", "Meule à tronçonner 125 mm", "other"),
}
"""Codes of the label photos that the shop knows; the other photos stay unknown codes, to be assigned on the page."""
BAR = "BARRE-42CD4-30"
TOURS = (("tour-1", "Tour 1 Okuma", "tournage", "Okuma OSP, SHDR"), ("tour-2", "Tour 2", "tournage", "OPC UA"))
AGENTS = ("pi-magasin", "pi-tours")
MILL = ("fraiseuse-1", "Fraiseuse", "fraisage", "LinuxCNC")
"""A real LinuxCNC, where it is installed."""

PLATE = """(PLAQUE D'ESSAI)
(T1 FRAISE D10)
G21 G90 G17
T1 M6
S3000 M3
G0 X0 Y0 Z5
G1 Z-0.5 F300
G1 X60 F800
G1 Y40
G1 X0
G1 Y0
G0 Z5
M5
M30
"""
OPEN_EVERY_DAY = [[["06:00", "22:00"]]] * 7
"""A demo is also looked at on a Sunday night."""


def operations_of(person: str) -> list[str]:
    return {"p-op1": ["OF118-10", "OF118-20"], "p-op2": ["OF121-10", "OF121-20"]}[person]


async def set_up(settings: Settings, taught: Mapping[str, RackDescription], *, mill: bool = False) -> None:
    """Describe the shop in an empty database. Raises `DatabaseBusy` while a centre runs on it."""
    async with prepare(settings) as units, units.begin() as uow:
        for person, name in OPERATORS.items():
            await people.add_person(uow, name, person_id=person, badge=person.upper())
        await _stock(uow, taught["rack-a"])
        for rack, label in RACKS.items():
            await racks.teach(uow, rack, taught[rack], by="p-methodes", label=label, comment="Mise en service")
        for code, label, kind, controller in (
            *TOURS,
            *([MILL] if mill else []),
            ("scie-1", "Scie à ruban", "débit", ""),
        ):
            await machines.add_machine(uow, code, label, kind=kind, controller=controller, weekly=OPEN_EVERY_DAY)
        await machine_settings.set_limit(uow, Limit("tour-2", "spindle_load", "high", 85.0, 100.0, 10.0), by="page")
        await _orders(uow)
        if mill:
            await _programme(uow)


async def invite(settings: Settings, names: Sequence[str]) -> dict[str, Invitation]:
    """A one-time invitation for each agent, as the page *Agents* makes them."""
    async with prepare(settings) as units, units.begin() as uow:
        trust = Trust(settings, units)
        made = {name: await enrolment.invite(uow, name, "agent", by="system") for name in names}
    fingerprint, port = trust.authority.fingerprint, settings.tls_port or 0
    return {name: Invitation("127.0.0.1", port, one.token, fingerprint) for name, one in made.items()}


async def _programme(uow: UnitOfWork) -> None:
    """A validated programme that `/poste` can load into the mill."""
    who = Actor("p-methodes", "methodes")
    stored = await programmes.store(uow.settings, PLATE.encode(), "PLAQUE.ngc")
    programme = await programmes.add_programme(uow, who, stored, label="Plaque d'essai", machine=MILL[0])
    version = await programmes.version(uow, programme, 1)
    for step in ("submit", "validate"):
        await programmes.act(uow, who, version.id, step)


async def _stock(uow: UnitOfWork, rack: RackDescription) -> None:
    for slot in rack.slots:
        label = f"{_LABELS[slot.klass]} (case {slot.id})"
        await _item(uow, slot.item, label, slot.klass, f"rack-a/{slot.id}", (slot.count or 0) * 1000, minimum=1000)
    for slot_id, (code, label) in RACK_B.items():
        await _item(uow, code, label, "other", f"rack-b/{slot_id}", 1000)
    for text, (code, label, item_class) in LABELLED.items():
        await _item(uow, code, label, item_class, "magasin", 40_000, minimum=5000)
        await items.name_code(uow, text, item=code)
    await _item(uow, BAR, "Barre 42CrMo4 Ø30, 3 m", "material", "rack-barres", 24_000_000, unit="mm", minimum=6_000_000)


async def _item(
    uow: UnitOfWork,
    code: str,
    label: str,
    item_class: Any,
    place: str,
    qty: int,
    *,
    unit: str = "pce",
    minimum: int = 0,
) -> None:
    await items.add_place(uow, place)
    await items.add_item(uow, code, label, item_class, unit=unit, minimum=minimum, place=place)
    if qty:
        await stock.receive(uow, code, qty, place, comment="Stock de départ", key=f"demo:{code}")


async def _orders(uow: UnitOfWork) -> None:
    today = uow.now.astimezone(uow.settings.zone).date()
    plan = (
        ("OF118", "AX-204", "Axe de pompe", 40, "tour-1", 3, 62.0, 35.0, 4.5),
        ("OF121", "BR-077", "Bride de sortie", 25, "tour-2", 5, 28.0, 45.0, 7.0),
        ("OF125", "ET-310", "Entretoise", 120, "tour-2", 9, 18.0, 25.0, 1.8),
    )
    for order, article, label, quantity, machine, days, length, setup, run in plan:
        due = today + timedelta(days=days)
        await work.add_order(uow, order, quantity=quantity, article=article, label=label, due=due)
        debit = Debit(item=BAR, length_mm=length, count=quantity, kerf_mm=2.0, allowance_mm=1.0)
        await work.add_operation(
            uow,
            order,
            10,
            "Débit",
            machine="scie-1",
            kind="debit",
            setup_min=5,
            run_min=0.5,
            planned_on=today,
            debit=debit,
        )
        await work.add_operation(
            uow, order, 20, "Tournage", machine=machine, setup_min=setup, run_min=run, planned_on=today
        )


def agent_configs(
    directory: Path,
    site: str,
    camera: int,
    shdr: int,
    opcua: int,
    linuxcnc: Sequence[str] = (),
) -> dict[str, Path]:
    """Write the two agents' configuration files (rack and scanner, machines); name → path. `linuxcnc`: its entrance."""
    words = '{ 1 = "READY", 2 = "ACTIVE", 3 = "PROGRAM_COMPLETED", 4 = "STOPPED" }'
    signals = {
        "mode": "Mode",
        "programme": "Program",
        "tool": "Tool",
        "part_count": "PartCount",
        "alarm": "Alarm",
        "spindle_load": "SpindleLoad",
        "spindle_speed": "SpindleSpeed",
        "feed": "Feed",
        "feed_override": "FeedOverride",
    }
    nodes = "\n".join(f'{signal} = "ns=2;s=Machine.{node}"' for signal, node in signals.items())
    texts = {
        "pi-magasin": f"""
[[rack]]
name = "rack-a"
source = "http://127.0.0.1:{camera}/rack-a.mjpg"
rack = "rack-a.json"

[[rack]]
name = "rack-b"
source = "http://127.0.0.1:{camera}/rack-b.mjpg"
rack = "rack-b.json"

[[scanner]]
name = "douchette-1"
post = "magasin"
images = "labels"
every_s = 7
loop = true
action = "take"
""",
        "pi-tours": f"""
[[machine]]
name = "tour-1"
driver = "shdr"
host = "127.0.0.1"
port = {shdr}

[machine.guard]

[[machine]]
name = "tour-2"
driver = "opcua"
endpoint = "opc.tcp://127.0.0.1:{opcua}/copeau"

[machine.signals]
execution = {{ node = "ns=2;s=Machine.Execution", words = {words} }}
{nodes}

[machine.guard.limits]
spindle_load = {{ alert = 85, hold = 100 }}
""",
    }
    if linuxcnc:
        texts["pi-tours"] += f"""
[[machine]]
name = "{MILL[0]}"
driver = "linuxcnc"
command = {json.dumps(list(linuxcnc))}
allow = ["programme"]
errors = true

[machine.signals]
spindle_load = "hal:spindle-load"

[machine.guard]
"""
    paths = {}
    for name, text in texts.items():
        head = f'[agent]\nname = "{name}"\nsite = "{site}"\n\n'
        head += f'[centre]\nidentity = "{name}.identity"\nheartbeat_s = 5\n\n'
        head += f'[outbox]\npath = "{name}.outbox.db"\nmax_mb = 128\n'
        paths[name] = directory / f"{name}.toml"
        paths[name].write_text(head + text, encoding="utf-8")
    return paths
