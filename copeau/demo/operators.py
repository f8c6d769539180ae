"""Two operators of the demo: they badge, start, count and end operations at a terminal, and scan what they take.

A terminal here speaks exactly as the page ``/poste`` does: its own outbox (in memory, for a demo), its own
identity, facts over HTTP, kept
until the centre has acknowledged them.
"""

from __future__ import annotations

import http.client
import itertools
import logging
import random
import secrets
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from contracts import envelope
from contracts.codes import format_code
from contracts.control import Ack
from contracts.envelope import MAX_PACK_FACTS, Envelope
from contracts.facts import KIND_OF, CodeScanned, WorkClocked

_log = logging.getLogger(__name__)


class _Answer(msgspec.Struct):
    acks: list[Ack] = []


class Terminal:
    """One enrolled post: numbers its facts, keeps them until the ack."""

    def __init__(self, site: str, agent: str, port: int) -> None:
        self.site, self.agent, self.port = site, agent, port
        self.boot = secrets.token_hex(8)
        self.run = secrets.token_hex(4)
        self.made = 0
        self._waiting: list[Envelope] = []

    def say(self, body: msgspec.Struct) -> None:
        self.made += 1
        self._waiting.append(
            Envelope(
                site=self.site,
                agent=self.agent,
                boot=self.boot,
                stream="facts",
                seq=self.made,
                ts=datetime.now(UTC),
                run=self.run,
                mono=int(time.monotonic() * 1000),
                off=0,
                kind=KIND_OF[type(body)],
                body=msgspec.Raw(envelope.encoder.encode(body)),
            )
        )
        self.flush()

    def flush(self) -> None:
        """Send what waits; what was not acknowledged waits on."""
        if not self._waiting:
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(
                "POST",
                "/api/facts",
                envelope.encode_pack(self._waiting[:MAX_PACK_FACTS]),
                {"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            text = response.read()
            if response.status != http.HTTPStatus.OK:
                _log.warning("terminal %s: the centre answered %s: %s", self.agent, response.status, text[:200])
                return
            for ack in msgspec.json.decode(text, type=_Answer).acks:
                if ack.boot == self.boot:
                    self._waiting = [fact for fact in self._waiting if fact.seq > ack.upto]
        except (OSError, http.client.HTTPException) as error:
            _log.info("terminal %s: the centre does not answer (%s); %d waiting", self.agent, error, len(self._waiting))
        finally:
            connection.close()

    @property
    def waiting(self) -> int:
        return len(self._waiting)


class Operator(threading.Thread):
    """Works through operations: badge, start, a while, end with quantities; now and then scans an item taken."""

    def __init__(
        self, terminal: Terminal, person: str, operations: list[str], items: list[str], *, pace_s: float, seed: int
    ) -> None:
        super().__init__(name=person, daemon=True)
        self.terminal = terminal
        self._person = person
        self._operations = operations
        self._items = items
        self._pace_s = pace_s
        self._random = random.Random(seed)  # noqa: S311  # nosec B311  # a demo's dice
        self._ended = threading.Event()

    def run(self) -> None:
        for act in self._day():
            act_at = self._random.uniform(0.5, 1.5) * self._pace_s
            if self._ended.wait(act_at):
                break
            self.terminal.say(act)

    def finish(self, patience_s: float = 10.0) -> None:
        """Stop working and wait until everything was acknowledged."""
        self._ended.set()
        self.join()
        limit = time.monotonic() + patience_s
        while self.terminal.waiting and time.monotonic() < limit:
            self.terminal.flush()
            time.sleep(0.2)

    def _day(self) -> Iterator[msgspec.Struct]:
        post = self.terminal.agent
        for operation in itertools.cycle(self._operations):
            yield CodeScanned(code=format_code("PE", self._person), format="QRCode", post=post, action="identify")
            yield self._clock("start", operation)
            yield self._clock("first_good", operation)
            if self._items:
                code = self._random.choice(self._items)
                yield CodeScanned(
                    code=code, format="EAN13", post=post, action="take", person=self._person, operation=operation
                )
            if self._random.random() < 0.4:
                yield self._clock("pause", operation, reason="attente matière")
                yield self._clock("resume", operation)
            yield self._clock("end", operation, good=self._random.randint(3, 8), scrap=self._random.random() < 0.2)

    def _clock(self, action: str, operation: str, **more: object) -> WorkClocked:
        body = {"action": action, "operation": operation, "person": self._person, "post": self.terminal.agent}
        return msgspec.convert(body | {"terminal": "tablet"} | {k: _plain(v) for k, v in more.items()}, WorkClocked)


def _plain(value: object) -> object:
    return int(value) if isinstance(value, bool) else value
