"""The play: days of sessions at one rack, and what the ledger says of each place at their end."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.figures import machine
from bench.rack_days.floor import Floor, Happening, NumberFloor, PixelFloor, Rates, visible
from bench.rack_days.ledger import Ledger, VirtualClock
from bench.rack_days.outbox import Outbox
from central.stock.schemas import ProposalView
from central.stock.service import NotAllowed
from contracts.facts import CodeScanned
from edge_agents import rack_messages as messages
from edge_agents.parts.rack_facts import RackFacts
from edge_agents.rack_words import word_of
from vision.watching.said import Said

RACK = "rack-a"
DAY_S = 86_400.0
WORK_S = 10 * 3600.0
"""After the restocking, that takes five minutes."""

TAP_S, COUNT_S, WALK_S = 2.0, 6.0, 12.0
"""A person's time, the stated model: one tap on a proposal; a number typed at the rack's screen; a walk to the rack
and a count for a difference."""


@dataclass(frozen=True)
class Play:
    """What to play.

    Attributes:
        days, sessions: sessions a day.
        slots: places.
        pixels: rendered frames and the real watcher; else numbers through the real rules.
        blind, restarts: a day, each with picks inside.
        lost: share of the kills that take the last words and their snapshot with them.
        scanned: share of the sessions of one piece in which the person scans too.
        answered: share of the questions that a person answers at all.
        late, doubled: shares of the deliveries.
    """

    days: int = 20
    sessions: int = 100
    slots: int = 40
    seed: int = 1
    pixels: bool = False
    size: tuple[int, int] = (1920, 1080)
    rates: Rates = field(default_factory=Rates)
    blind: int = 2
    restarts: int = 1
    lost: float = 0.3
    scanned: float = 0.1
    answered: float = 0.9
    late: float = 0.05
    doubled: float = 0.1


def run(play: Play, floor: Floor | None = None) -> dict[str, Any]:
    """Figures of one play, in a database of its own."""
    with tempfile.TemporaryDirectory(prefix="rack-days-") as folder:
        return asyncio.run(_Days(play, floor or floor_of(play), Path(folder)).run())


def floor_of(play: Play) -> Floor:
    if not play.pixels:
        return NumberFloor(play.seed, play.slots, play.rates)
    from vision.evaluation.rendered import FIRST_SEED
    from vision.evaluation.stages import Eyes

    return PixelFloor(FIRST_SEED + 500_000 + play.seed, play.slots, Eyes(), play.size)


class _Days:
    def __init__(self, play: Play, floor: Floor, folder: Path) -> None:
        self.play = play
        self.floor = floor
        self.rng = np.random.default_rng((play.seed, 71))
        self.clock = VirtualClock()
        self.ledger = Ledger(folder, self.clock, RACK)
        self.camera = Outbox("pi-1", self.ledger, self.clock, self.rng, play.late, play.doubled)
        self.post = Outbox("poste-1", self.ledger, self.clock, self.rng, play.late, play.doubled)
        self.slots = visible(floor.rack)
        self.facts = RackFacts(RACK, RACK, "bench")
        self.known: dict[str, list[tuple[float, int]]] = {}
        self.counts: Counter[str] = Counter()
        self.person_s = 0.0
        self.ignored: set[int] = set()

    async def run(self) -> dict[str, Any]:
        await self.ledger.open()
        try:
            true = self.floor.truth()
            await self.ledger.begin(self.slots, {slot: true[slot] for slot in self.slots})
            self._remember()
            self._say(self.floor.begin())
            for day in range(self.play.days):
                await self._day(day)
            await self._deliver(everything=True)
            self._say(self.floor.look())
            self._say(self.floor.look())
            await self._deliver(everything=True)
            return await self._figures()
        finally:
            await self.ledger.close()

    async def _day(self, day: int) -> None:
        times = np.sort(self.rng.uniform(600, WORK_S, self.play.sessions))
        special = self.rng.permutation(self.play.sessions)
        blind = set(special[: self.play.blind].tolist())
        killed = set(special[self.play.blind : self.play.blind + self.play.restarts].tolist())
        if day:
            await self._restock(day * DAY_S)
        for number, at in enumerate(times):
            self._go_to(day * DAY_S + float(at))
            if number in blind:
                self._say(self._noted(self.floor.blind(int(self.rng.integers(1, 3)))))
                self.counts["blind"] += 1
            elif number in killed:
                lose = self.rng.random() < self.play.lost
                if lose:
                    self._noted(self.floor.session())  # seen, and never said: the kill came before the disk
                self._say(self._noted(self.floor.restart(int(self.rng.integers(1, 3)), lose=lose)))
                self.counts["restarts"] += 1
            else:
                happening = self._noted(self.floor.session())
                self._say(happening)
                self._scan(happening)
            self.counts["sessions"] += 1
            await self._deliver()
            if number % 25 == 24 or number == self.play.sessions - 1:
                self._say(self.floor.look())
                await self._deliver()
                await self._answer()

    async def _restock(self, seconds: float) -> None:
        """Each morning: mode rangement, and one tap on its list of differences."""
        self._go_to(seconds)
        self._say(self._noted(self.floor.restock()))
        await self._deliver(everything=True)
        self.counts["restocked"] += await self.ledger.accept_differences()
        self.person_s += TAP_S
        await self._deliver()

    def _go_to(self, seconds: float) -> None:
        self.floor.ts = self.clock.seconds = max(seconds, self.floor.ts, self.clock.seconds)

    def _noted(self, happening: Happening) -> Happening:
        self.clock.seconds = self.floor.ts
        self.counts["picks"] += sum(-d for d in happening.deltas.values() if d < 0)
        self._remember()
        return happening

    def _remember(self) -> None:
        for slot, count in self.floor.truth().items():
            past = self.known.setdefault(slot, [])
            if not past or past[-1][1] != count:
                past.append((self.clock.seconds, count))

    def _say(self, happening: Happening) -> None:
        self.clock.seconds = max(self.clock.seconds, self.floor.ts)
        for said in happening.said:
            for body in self._bodies(said):
                self.camera.put(body, said.at)
        self.floor.save()

    def _bodies(self, said: Said) -> list[Any]:
        match word_of(said, self.floor.rack):
            case messages.Change() as word:
                return [self.facts.change(word, None)]
            case messages.Ask() as word:
                return [self.facts.ask(word, None)]
            case messages.ModeIs() as word:
                return [self.facts.mode(word.mode, word.code, None, None)]
            case messages.Read() as word:
                plain = msgspec.structs.replace  # times of the wall clock have no place in virtual time
                reads = self.facts.read(word, None)
                return [plain(r, slots=[plain(slot, since=None) for slot in r.slots]) for r in reads]

    def _scan(self, happening: Happening) -> None:
        taken = [(slot, d) for slot, d in happening.deltas.items() if d < 0 and slot in self.slots]
        if len(taken) == 1 and self.rng.random() < self.play.scanned:
            slot, delta = taken[0]
            scan = CodeScanned(
                code=self.slots[slot], format="qr", post="poste-1", action="take", qty=-delta * 1000,
                place=self.ledger.place(slot),
            )  # fmt: skip
            self.post.put(scan, self.clock.seconds + float(self.rng.uniform(-10, 20)))
            self.counts["scans"] += 1

    async def _deliver(self, *, everything: bool = False) -> None:
        for outbox in (self.post, self.camera):
            await outbox.send(everything=everything)
        for command in await self.ledger.told():
            self.floor.tell(command.slot, command.count)
            self.counts["told"] += 1

    # Persons

    async def _answer(self) -> None:
        """A person goes through the list: sees what lies there and what the books say, and answers."""
        for _ in range(3):
            open_now = [q for q in await self.ledger.questions() if q.id not in self.ignored]
            if not open_now:
                return
            for question in open_now:
                if self.rng.random() > self.play.answered:
                    self.ignored.add(question.id)
                elif question.id in {q.id for q in await self.ledger.questions()}:  # an answer settles others
                    await self._decide(question)
            await self._deliver()

    async def _decide(self, question: ProposalView) -> None:
        slot = (question.place or "").removeprefix(f"{RACK}/")
        if slot not in self.slots:
            self.ignored.add(question.id)
            return
        self.counts[f"questions_{question.kind}"] += 1
        try:
            if question.kind in ("read", "ecart"):
                at = question.at.timestamp() - self.clock.begin.timestamp()
                # an écart is about what lay there before the session, a reading about what lies there
                true = 1000 * self._true_at(slot, at if question.kind == "read" else at - 1.0)
                right = true == (question.seen if question.kind == "read" else question.count_before)
                self.person_s += WALK_S
                await self.ledger.decide(question.id, None if right else true)
                return
            if question.kind == "pairing":
                self.person_s += TAP_S
                await self.ledger.decide(question.id, None)
                return
            levels = await self.ledger.levels()
            need = 1000 * (self.floor.truth()[slot] - levels.get(question.place or "", 0))
            fits = question.qty and question.qty * need > 0 and abs(question.qty) <= abs(need)
            if fits:
                self.person_s += TAP_S
                await self.ledger.decide(question.id, None)
            elif need == 0:
                self.counts["refused"] += 1
                self.person_s += TAP_S
                await self.ledger.decide(question.id, 0 if question.kind == "ask" else None, refuse=True)
            else:
                self.person_s += COUNT_S
                await self.ledger.decide(question.id, need)
        except NotAllowed as problem:
            self.counts[f"not allowed: {problem}"] += 1

    def _true_at(self, slot: str, seconds: float) -> int:
        past = self.known[slot]
        return next((count for at, count in reversed(past) if at <= seconds + 0.5), past[0][1])

    # The end

    async def _figures(self) -> dict[str, Any]:
        levels, true = await self.ledger.levels(), self.floor.truth()
        questions = await self.ledger.questions()
        shown = {(q.place or "").removeprefix(f"{RACK}/") for q in questions}
        standing: Counter[str] = Counter()
        silent = []
        for slot in self.slots:
            level = levels.get(self.ledger.place(slot), 0)
            state = "right" if level == true[slot] else "shown" if slot in shown else "silent"
            standing[state] += 1
            if state == "silent":
                silent.append({"slot": slot, "ledger": level, "true": true[slot], "past": self.known[slot][-4:]})
        asked = sum(n for name, n in self.counts.items() if name.startswith("questions_"))
        differences = self.counts["questions_read"] + self.counts["questions_ecart"]
        differences += sum(q.kind in ("read", "ecart") for q in questions)
        sessions, picks = max(self.counts["sessions"], 1), max(self.counts["picks"], 1)
        return {
            "what": "pixels through the real watcher" if self.play.pixels else "numbers through the real rules",
            "machine": machine(),
            "play": {k: v for k, v in vars(self.play).items() if k != "rates"} | {"rates": vars(self.play.rates)},
            "sessions": self.counts["sessions"],
            "picks": self.counts["picks"],
            "scans": self.counts["scans"],
            "blind": self.counts["blind"],
            "restarts": self.counts["restarts"],
            "restocked_places": self.counts["restocked"],
            "delivered": {
                "facts": self.camera.sent + self.post.sent,
                "doubled": self.camera.twice + self.post.twice,
                "put_off": self.camera.put_off + self.post.put_off,
            },
            "places": {name: standing[name] for name in ("right", "shown", "silent")},
            "silent": silent,
            "open_questions": dict(Counter(q.kind for q in questions)),
            "answered": {name: n for name, n in sorted(self.counts.items()) if name.startswith(("questions", "not "))},
            "ecarts_per_100_sessions": round(100 * differences / sessions, 2),
            "questions_per_100_sessions": round(100 * asked / sessions, 2),
            "person_s_per_100_picks": round(100 * self.person_s / picks, 1),
            "person_model_s": {"tap": TAP_S, "number": COUNT_S, "walk_and_count": WALK_S},
            "questions_about_nothing": self.counts["refused"],
            "told_to_the_camera": self.counts["told"],
            "alarms": self.ledger.alarms[:10],
        }
