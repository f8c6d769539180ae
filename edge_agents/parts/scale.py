"""A scale under a bin: settled changes of whole pieces become ``stock.observed``, others a question."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

import msgspec

from contracts.facts import StockAsked, StockObserved
from edge_agents.outbox import Fact
from edge_agents.parts import feeds
from edge_agents.sections import ScaleSection
from edge_agents.supervisor import Desk, SourceFault
from edge_agents.weighing import Bin, BinState, Moved, parse

_SILENT_S: Final = 10.0
_STRANGE_LINES: Final = 20


class ScalePart:
    """Reads one scale until it fails; the supervisor opens it again, and what changed meanwhile is told as such."""

    kind = "scale"

    def __init__(self, config: ScaleSection) -> None:
        self.name = config.name
        self.about: Mapping[str, str] = {}
        self._config = config

    async def run(self, desk: Desk) -> None:
        config = self._config
        saved = await desk.cursor()
        state = BinState() if saved is None else msgspec.json.decode(saved, type=BinState)
        bin_ = Bin(config.unit_g, config.bin_g, config.settle_s, state)
        absent, unread = saved is not None, 0
        device = feeds.open_serial(config.serial, config.baud)
        async with aclosing(_lines(device, config.serial)) as lines:
            async for line in lines:
                weight = parse(line)
                if weight is None:
                    unread += 1
                    if unread >= _STRANGE_LINES:
                        raise SourceFault(
                            "scale_lines",
                            f"{config.serial}: no weight in {unread} lines, the last: {line[:60]!r}",
                            "La balance envoie des lignes que l'agent ne lit pas : régler sa sortie en continu "
                            "(« ST,GS,+12.34 g »), ou sa vitesse `baud`.",
                            "error",
                        )
                    continue
                unread = 0
                if weight.grams is None:
                    await desk.report("full", "overload", "Balance en surcharge : retirer du poids du bac.")
                    continue
                await desk.works()
                before = bin_.state
                moved = bin_.see(weight, desk.clock.now().mono / 1000)
                if bin_.lifted:
                    desk.says("running", "Bac soulevé.")
                if moved is not None or (bin_.state != before and _is_news(before, bin_.state, config.unit_g)):
                    new = [] if moved is None else [Fact(self._body(moved, absent=absent))]
                    await desk.put(new, bin_.state)
                absent = absent and bin_.state == before and moved is None

    def _body(self, moved: Moved, *, absent: bool) -> StockObserved | StockAsked:
        config = self._config
        if moved.ask is not None:
            return StockAsked(
                place=config.place,
                reason=moved.ask,
                item=config.item,
                code=None if config.item else config.place,
                guess=moved.pieces * 1000,
                count_before=moved.before,
                model="scale",
                why=moved.why,
                during_absence=absent,
            )
        return StockObserved(
            source="scale",
            qty=moved.pieces * 1000,
            item=config.item,
            code=None if config.item else config.place,
            place=config.place,
            confidence=max(0.0, min(1.0, moved.confidence)),
            mode=moved.mode,
            count_before=moved.before,
            count_after=moved.after,
            model="scale",
            why=moved.why,
            during_absence=absent,
        )


def _is_news(before: BinState, after: BinState, unit_g: float) -> bool:
    """Whether a state without a movement is worth a write: not each gram of drift."""
    if before.grams is None or after.grams is None or before.strange != after.strange:
        return True
    return abs(before.grams - after.grams) > unit_g / 10


async def _lines(device: feeds.Device, name: str) -> AsyncGenerator[str, None]:
    """Lines as they come. Raises SourceFault when the scale is unplugged or falls silent."""
    arrived: asyncio.Queue[str | SourceFault] = asyncio.Queue(maxsize=1000)

    async def read() -> None:
        try:
            async with aclosing(feeds.scans(device, name)) as lines:
                async for line in lines:
                    await arrived.put(line)
        except SourceFault as fault:
            await arrived.put(fault)

    reading = asyncio.create_task(read(), name=f"lines of {name}")
    try:
        while True:
            try:
                async with asyncio.timeout(_SILENT_S):
                    line = await arrived.get()
            except TimeoutError as error:
                french = "Balance muette : vérifier qu'elle est allumée et que sa sortie est en continu."
                raise SourceFault("scale_silent", f"{name}: no line for {_SILENT_S:.0f} s", french) from error
            if isinstance(line, SourceFault):
                raise line
            yield line
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
