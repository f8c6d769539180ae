"""Envelopes for tests: an outbox in a few lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from contracts.envelope import Envelope, Stream
from contracts.facts import KIND_OF, MachineStateChanged

START = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


class Source:
    """Numbers envelopes as an agent's outbox does; `clock_error` is how wrong its wall clock is."""

    def __init__(
        self, agent: str = "rack-1", boot: str = "boot0001", site: str = "atelier", clock_error: timedelta = timedelta()
    ) -> None:
        self.agent = agent
        self.boot = boot
        self.site = site
        self.run = "run0001"
        self.clock_error = clock_error
        self.knows_offset = True
        self.began = START
        self.seqs: dict[Stream, int] = {"facts": 0, "samples": 0}

    def fact(
        self,
        body: msgspec.Struct | None = None,
        *,
        at: datetime | None = None,
        stream: Stream = "facts",
        seq: int | None = None,
        kind: str | None = None,
        raw: bytes | None = None,
        **changes: Any,
    ) -> Envelope:
        body = body or MachineStateChanged(machine="tour-1", state="running")
        at = at or START + timedelta(seconds=self.seqs[stream])
        if seq is None:
            self.seqs[stream] += 1
            seq = self.seqs[stream]
        fields: dict[str, Any] = {
            "site": self.site,
            "agent": self.agent,
            "boot": self.boot,
            "stream": stream,
            "seq": seq,
            "ts": at + self.clock_error,
            "run": self.run,
            "mono": (at - self.began) // timedelta(milliseconds=1),
            "off": -(self.clock_error // timedelta(milliseconds=1)) if self.knows_offset else None,
            "kind": kind or KIND_OF.get(type(body), "stream.lost"),
            "body": msgspec.Raw(raw if raw is not None else msgspec.json.encode(body)),
        }
        return Envelope(**{**fields, **changes})
