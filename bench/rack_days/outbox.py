"""What an agent's outbox does on the way: order within a stream, lateness, doubles."""

from __future__ import annotations

import msgspec
import numpy as np

from bench.rack_days.ledger import Ledger, VirtualClock
from contracts.envelope import Envelope
from contracts.facts import KIND_OF


class Outbox:
    """One agent's facts, kept until delivered.

    Args:
        agent: its name.
        late: share of deliveries that are put off (an outage); later ones wait behind.
        doubled: share of deliveries that are sent twice.
    """

    def __init__(
        self, agent: str, ledger: Ledger, clock: VirtualClock, rng: np.random.Generator, late: float, doubled: float
    ) -> None:
        self.agent = agent
        self.sent = self.twice = self.put_off = 0
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self._late, self._doubled = late, doubled
        self._waiting: list[Envelope] = []
        self._last: list[Envelope] = []
        self._seq = 0
        self._until = 0.0

    def put(self, body: msgspec.Struct, seconds: float) -> None:
        """On disk: it will arrive, now or later."""
        self._seq += 1
        self._waiting.append(
            Envelope(
                site=self._ledger.settings.site,
                agent=self.agent,
                boot="bench0001",
                stream="facts",
                seq=self._seq,
                ts=self._clock.at(seconds),
                run="bench-run",
                mono=int(seconds * 1000),
                off=0,
                kind=KIND_OF[type(body)],
                body=msgspec.Raw(msgspec.json.encode(body)),
            )
        )

    async def send(self, *, everything: bool = False) -> bool:
        """Deliver what waits, unless the way is cut; whether it was delivered."""
        if not everything:
            if self._clock.seconds < self._until:
                return False
            if self._rng.random() < self._late:
                self._until = self._clock.seconds + float(self._rng.uniform(60, 1800))
                self.put_off += 1
                return False
        if not self._waiting:
            return True
        pack = self._waiting
        if self._rng.random() < self._doubled:
            await self._ledger.deliver(self._last + pack)  # what came before, again: an ack was lost
            self.twice += 1
        await self._ledger.deliver(pack)
        self.sent += len(pack)
        self._last, self._waiting = pack, []
        return True
