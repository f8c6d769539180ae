"""A watched rack: what its eye settles becomes ``stock.observed``, in one transaction with the snapshot behind it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import msgspec

from contracts.facts import StockObserved
from edge_agents import rack_eye
from edge_agents.config import RackSection
from edge_agents.outbox import Fact
from edge_agents.supervisor import Desk, SourceFault

_decoder: msgspec.msgpack.Decoder[rack_eye.Said] = msgspec.msgpack.Decoder(rack_eye.Said)
_LIMIT = 32 * 1024 * 1024


class RackPart:
    """Runs the rack's eye as its own process. Whatever ends it, the next one compares with the last saved snapshot."""

    kind = "rack"

    def __init__(self, config: RackSection) -> None:
        self.name = config.name
        self.about: Mapping[str, str] = {"rack": config.name}
        self._config = config
        self._place = config.place or config.name

    async def run(self, desk: Desk) -> None:
        config = self._config
        order = rack_eye.Order(
            source=config.source,
            rack=str(config.rack),
            fps=config.fps,
            loop=config.loop,
            detector=config.detector,
            model=None if config.model is None else str(config.model),
            snapshot=await desk.cursor(),
        )
        eye = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "edge_agents.rack_eye", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert eye.stdin is not None
        assert eye.stdout is not None
        try:
            payload = msgspec.msgpack.encode(order)
            eye.stdin.write(len(payload).to_bytes(4, "big") + payload)
            while True:
                if await self._take(await _next(eye.stdout), desk):
                    return
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise RuntimeError(f"the eye of {self.name} died (exit code {await eye.wait()})") from error
        finally:
            if eye.returncode is None:
                eye.kill()
                await eye.wait()

    async def _take(self, said: rack_eye.Said, desk: Desk) -> bool:
        """Record one message; True when it was the last."""
        if isinstance(said, rack_eye.Settled):
            new = [self._fact(change, desk) for change in said.changes]
            await desk.put(new, msgspec.Raw(said.snapshot))
        elif isinstance(said, rack_eye.Watching):
            await desk.works()
        elif isinstance(said, rack_eye.Gone):
            french = f"Caméra de {self.name} sans réponse : vérifier son câble, son alimentation, son adresse."
            desk.says("waiting", french)
            await desk.report("lost", "camera_gone", french)
        elif isinstance(said, rack_eye.Unusable):
            raise SourceFault(said.code, said.message, said.french, "error")
        return isinstance(said, rack_eye.Ended)

    def _fact(self, change: rack_eye.Change, desk: Desk) -> Fact:
        place = f"{self._place}/{change.slot}"
        body = StockObserved(
            source="camera",
            qty=change.delta * 1000,
            item=change.item or None,
            code=None if change.item else place[:120],
            place=place[:120],
            confidence=change.confidence,
            mode=change.mode,
            session=f"{self.name}-{desk.clock.run}-{change.session}" if change.session else None,
            count_before=change.before_count,
            count_after=change.after_count,
            model=change.model[:120] or None,
            during_absence=change.during_absence,
        )
        return Fact(body, desk.clock.at(change.at))


async def _next(pipe: asyncio.StreamReader) -> rack_eye.Said:
    length = int.from_bytes(await pipe.readexactly(4), "big")
    if length > _LIMIT:
        raise RuntimeError(f"the eye sent a message of {length} bytes")
    return _decoder.decode(await pipe.readexactly(length))
