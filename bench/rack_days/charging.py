"""Who took it and for what: four operators, two machines, one rack, over the centre's own join.

The model, stated: every operator clocks operations on one of two machines, one after the other, sometimes two at once
(one on each machine) or none; an operation plans some items, plans overlap; most picks are planned ones. Three of ten
picks come with a badge at the rack; half of those who badged badge again when they go, the others leave the session to
its ten quiet minutes, in which somebody else may take something. Facts arrive late and doubled.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select

from bench.figures import machine
from bench.rack_days.ledger import Ledger, VirtualClock
from bench.rack_days.outbox import Outbox
from central.people import consumers as people_consumers
from central.people import service as people
from central.racks import consumers as racks_consumers
from central.stock import consumers as stock_consumers
from central.stock.models import Charge, Observation
from central.work import consumers as work_consumers
from central.work import service as work
from contracts.facts import CodeScanned, RackModeChanged, StockObserved, WorkClocked
from vision.evaluation.tally import rate

RACK = "rack-a"
ITEMS = 40
OPERATORS = 4
_DAY_S, _WORK_S = 86_400.0, 8 * 3600.0


@dataclass(frozen=True)
class Charging:
    """What to play.

    Attributes:
        picks: in all.
        badged: share of the picks with a badge.
        closes: share of the badged who badge again when they go.
        planned: share of the picks that are of an item that the operation plans.
        idle: share of the picks for no operation at all.
        plan: items that an operation plans.
        quiet_s: after which a badge's session ends; None: the centre's own setting.
    """

    picks: int = 500
    days: int = 5
    seed: int = 1
    badged: float = 0.3
    closes: float = 0.5
    planned: float = 0.75
    idle: float = 0.05
    plan: int = 6
    quiet_s: float | None = None
    late: float = 0.05
    doubled: float = 0.1


@dataclass(frozen=True)
class _Run:
    begin: float
    end: float
    person: int
    operation: str


def run(play: Charging) -> dict[str, Any]:
    """Shares charged right, wrong, and left to be charged by a person."""
    with tempfile.TemporaryDirectory(prefix="rack-charging-") as folder:
        return asyncio.run(_Floor(play, Path(folder)).run())


class _Floor:
    def __init__(self, play: Charging, folder: Path) -> None:
        self.play = play
        self.rng = np.random.default_rng((play.seed, 73))
        self.clock = VirtualClock()
        features = (people_consumers, racks_consumers, stock_consumers, work_consumers)
        settings = {} if play.quiet_s is None else {"racks_quiet_s": play.quiet_s}
        self.ledger = Ledger(folder, self.clock, RACK, features, **settings)
        self.camera, self.scanner, self.posts = (
            Outbox(agent, self.ledger, self.clock, self.rng, play.late, play.doubled)
            for agent in ("pi-1", "pi-2", "poste-1")
        )
        self.plans: dict[str, list[int]] = {}
        self.badges: list[str] = []

    async def run(self) -> dict[str, Any]:
        await self.ledger.open()
        try:
            runs = self._schedule()
            await self._prepare(runs)
            truths = await self._play(runs)
            return await self._figures(truths)
        finally:
            await self.ledger.close()

    def _schedule(self) -> list[_Run]:
        """Operations of each machine one after the other; who does them changes."""
        runs: list[_Run] = []
        number = 0
        for day in range(self.play.days):
            for _machine in range(2):
                at = day * _DAY_S + float(self.rng.uniform(0, 900))
                while at < day * _DAY_S + _WORK_S - 1800:
                    end = min(at + float(self.rng.uniform(1800, 9000)), day * _DAY_S + _WORK_S)
                    person = int(self.rng.integers(OPERATORS))
                    number += 1
                    runs.append(_Run(at, end, person, f"OF{number}-10"))
                    at = end + float(self.rng.uniform(60, 900))
        return runs

    async def _prepare(self, runs: list[_Run]) -> None:
        slots = {self._slot(n): self._item(n) for n in range(ITEMS)}
        await self.ledger.begin(slots, dict.fromkeys(slots, 500))
        async with self.ledger.units.begin() as uow:
            for n in range(OPERATORS):
                added = await people.add_person(uow, f"Opérateur {n + 1}", person_id=f"p{n}", badge=f"B{n}7")
                self.badges.append(added.badge_code or "")
            for one in runs:
                order = one.operation.split("-")[0]
                await work.add_order(uow, order, quantity=10)
                await work.add_operation(uow, order, 10, "Tournage")
                wanted = [int(n) for n in self.rng.choice(ITEMS, self.play.plan, replace=False)]
                self.plans[one.operation] = wanted
                await work.plan_items(uow, one.operation, [self._item(n) for n in wanted])
        self.camera.put(RackModeChanged(rack=RACK, mode="counting"), 0.0)
        await self.camera.send(everything=True)

    async def _play(self, runs: list[_Run]) -> list[str | None]:
        """Everything in the order of time; the true operation of each pick, None for none."""
        things: list[tuple[float, str, Any]] = []
        for one in runs:
            things += [(one.begin, "start", one), (one.end, "end", one)]
        truths: list[str | None] = []
        for number in range(self.play.picks):
            moment, person, operation, item = self._pick(runs)
            truths.append(operation)
            if self.rng.random() < self.play.badged:
                things.append((moment - float(self.rng.uniform(5, 40)), "badge", person))
                if self.rng.random() < self.play.closes:
                    things.append((moment + float(self.rng.uniform(10, 40)), "badge", person))
            things.append((moment, "pick", (number, item)))
        for number, (moment, what, who) in enumerate(sorted(things, key=lambda t: t[0])):
            self.clock.seconds = max(self.clock.seconds, moment)
            self._say(moment, what, who)
            if number % 10 == 9:
                for outbox in (self.camera, self.scanner, self.posts):
                    await outbox.send()
        self.clock.seconds += 3600
        for outbox in (self.scanner, self.camera, self.posts):
            await outbox.send(everything=True)
        return truths

    def _pick(self, runs: list[_Run]) -> tuple[float, int, str | None, int]:
        if self.rng.random() < self.play.idle:
            day = int(self.rng.integers(self.play.days))
            moment = day * _DAY_S + float(self.rng.uniform(0, _WORK_S))
            return moment, int(self.rng.integers(OPERATORS)), None, int(self.rng.integers(ITEMS))
        one = runs[int(self.rng.integers(len(runs)))]
        moment = float(self.rng.uniform(one.begin + 60, one.end - 60))
        plan = self.plans[one.operation]
        item = int(self.rng.choice(plan)) if self.rng.random() < self.play.planned else int(self.rng.integers(ITEMS))
        return moment, one.person, one.operation, item

    def _say(self, moment: float, what: str, who: Any) -> None:
        if what == "pick":
            number, item = who
            body = StockObserved(
                source="camera", qty=-1000, item=self._item(item), place=self.ledger.place(self._slot(item)),
                confidence=0.95, session=f"pick-{number}", model="bench",
            )  # fmt: skip
            self.camera.put(body, moment)
        elif what == "badge":
            scan = CodeScanned(code=self.badges[who], format="QR", post=RACK, action="identify")
            self.scanner.put(scan, moment)
        else:
            clocked = WorkClocked(
                action="start" if what == "start" else "end", operation=who.operation, person=f"p{who.person}",
                post="poste-1",
            )  # fmt: skip
            self.posts.put(clocked, moment)

    async def _figures(self, truths: list[str | None]) -> dict[str, Any]:
        async with self.ledger.units.reading() as uow:
            rows = await uow.session.execute(
                select(Observation.session, Charge.operation, Charge.how)
                .outerjoin(Charge, Charge.observation_id == Observation.id)
                .where(Observation.source == "camera", Observation.nature == "move")
            )
            charged = {session: (operation, how) for session, operation, how in rows}
        counts: Counter[str] = Counter()
        ways: Counter[str] = Counter()
        for number, true in enumerate(truths):
            operation, how = charged.get(f"pick-{number}", (None, "missing"))
            outcome = "right" if operation == true else "wrong"
            if operation is None:
                outcome = "missing" if how == "missing" else "to_charge"
            counts[outcome] += 1
            ways[f"{how}_{outcome}"] += 1
        n = len(truths)
        return {
            "machine": machine(),
            "play": vars(self.play),
            "picks": n,
            "for_no_operation": sum(true is None for true in truths),
            "charged_right": rate(counts["right"], n),
            "charged_wrong": rate(counts["wrong"], n),
            "to_charge": rate(counts["to_charge"], n),
            "missing": counts["missing"],
            "ways": dict(sorted(ways.items())),
            "alarms": self.ledger.alarms[:10],
        }

    def _item(self, number: int) -> str:
        return f"ART-{number:03d}"

    def _slot(self, number: int) -> str:
        return f"{chr(65 + number // 8)}{number % 8 + 1}"
