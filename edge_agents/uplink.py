"""From the outbox to the centre: sends while the centre is present, until it says that it has committed.

A *session* begins when the link is up and the centre present: the agent states itself, the centre answers with its
acks, and sending goes on from there. The broker's own acknowledgements mean nothing here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from contracts import topics
from contracts.control import Ack, AgentState, CentrePresence, PartState, Resend, StreamState, TimeReply
from contracts.envelope import MAX_FACT_BYTES, MAX_PACK_FACTS, STREAMS, Envelope, Stream, encode
from edge_agents.commands import COMMANDS, Command
from edge_agents.link import Link, LinkDownError, Will
from edge_agents.outbox import Outbox, OutboxError
from edge_agents.store import WINDOW

_log = logging.getLogger(__name__)

PACK_BYTES: Final = MAX_FACT_BYTES - 64
"""A pack stays below the size of one fact, which the centre reads in one go; one large fact travels alone."""


class Settings(NamedTuple):
    """Seconds and counts of the protocol."""

    heartbeat_s: float = 10.0
    first_acks_s: float = 3.0
    resend_s: float = 30.0
    window: int = WINDOW
    vain_resends: int = 5
    vain_gap_s: float = 5.0
    """A row that is asked for again sooner than this has not been sent in vain yet: the answer may be under way."""


class _Range(NamedTuple):
    """Rows that the centre asked for again, seq `after` + 1 to `upto` (None: to the end) of a boot."""

    boot: str
    after: int
    upto: int | None


class _Lane:
    """One stream on its way: what the centre has, what was sent to it, what it asked for again."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.upto = 0
        self.sent = 0
        self.floor: int | None = None
        self.progress_at = 0.0
        self.answer: int | None = None
        """The centre's newest ack of this session; None before the first."""
        self.asked: deque[_Range] = deque()
        self.vain_seq = 0
        self.vain = 0
        self.vain_at = 0.0


class Uplink:
    """The agent's side of the protocol, over one link."""

    def __init__(
        self,
        outbox: Outbox,
        make_link: Callable[[str, list[str], Callable[[], Will]], Link],
        *,
        version: str,
        parts: Callable[[], list[PartState]] = list,
        obey: Callable[[Command], None] = lambda _: None,
        on_present: Callable[[], None] = lambda: None,
        cert_until: Callable[[], datetime | None] = lambda: None,
        settings: Settings = Settings(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self._outbox = outbox
        self._clock = outbox.clock
        self._site, self._agent = outbox.site, outbox.agent
        self._settings = settings
        self._version = version
        self._parts = parts
        self._on_present = on_present
        self._cert_until = cert_until
        self._lanes = {stream: _Lane(stream) for stream in STREAMS}
        self._present = False
        self._leaving = False
        self._epoch = ""
        self._in_sync = False
        self._session = 0
        self._wake = asyncio.Event()
        self._state_due = asyncio.Event()
        self._ack_topic = topics.ack(self._site, self._agent)
        self._command_topics = {
            topics.command(self._site, self._agent, "resend"): (Resend, self._on_resend),
            topics.command(self._site, self._agent, "time"): (TimeReply, self._on_time),
            **{topics.command(self._site, self._agent, name): (form, obey) for name, form in COMMANDS.items()},
            topics.presence(self._site): (CentrePresence, self._on_presence),
            self._ack_topic: (Ack, self._on_ack),
        }
        self._link = make_link(f"{self._site}.{self._agent}", list(self._command_topics), self._will)
        self._link.on_up = self._begin_session
        self._link.on_down = self._on_down
        self._link.on_message = self._on_message
        outbox.on_put = self._wake.set

    @property
    def present(self) -> bool:
        """Whether the centre is there."""
        return self._present

    def state_changed(self) -> None:
        """Something that the state says changed: publish it now."""
        self._state_due.set()

    async def run(self) -> None:
        """Until cancelled; says "offline" in order when it ends."""
        await self._load()
        try:
            async with _all_of(self._link.run(), self._send_forever(), self._state_forever()) as done:
                await done
        finally:
            self._outbox.on_put = lambda: None

    async def say_offline(self) -> None:
        """The last word of an agent that stops in order: no state is said after it."""
        self._leaving = True
        with contextlib.suppress(LinkDownError):
            await self._link.publish(
                topics.state(self._site, self._agent), await self._state(online=False), retain=True
            )

    async def _load(self) -> None:
        for stream, lane in self._lanes.items():
            at = await self._outbox.position(stream)
            lane.upto = lane.sent = at.acked
            lane.floor = at.floor

    # What is heard

    def _on_message(self, topic: str, payload: bytes) -> None:
        found = self._command_topics.get(topic)
        if found is None:
            return
        form, act = found
        try:
            value = msgspec.json.decode(payload, type=form)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            _log.warning("%s: unreadable message (%s)", topic, error)
            return
        act(value)  # type: ignore[operator]  # the table pairs each struct with its own method

    def _on_down(self) -> None:
        self._present = False
        self._in_sync = False

    def _on_presence(self, presence: CentrePresence) -> None:
        if not presence.present:
            if self._present:
                _log.info("the centre is gone")
            self._present = self._in_sync = False
            return
        if not self._present or presence.epoch != self._epoch:
            self._present, self._epoch = True, presence.epoch
            self._begin_session()
            self._on_present()

    def _begin_session(self) -> None:
        """Nothing of before is in flight any more; the centre says where it is."""
        self._session += 1
        self._in_sync = False
        for lane in self._lanes.values():
            lane.answer = None
            lane.asked.clear()
        self._state_due.set()
        self._wake.set()

    def _on_ack(self, ack: Ack) -> None:
        lane = self._lanes[ack.stream]
        if ack.boot != self._outbox.boot:
            return
        if lane.answer is None:
            lane.answer = ack.upto
            self._wake.set()
            if self._in_sync:  # it came after the wait for it: what it says must be judged before anything else is sent
                self._in_sync = False
            return
        if not self._in_sync:
            lane.answer = max(lane.answer, ack.upto)
        elif ack.upto > self._outbox.last[ack.stream]:
            _log.error("ack %s of %s is beyond our own last row", ack.upto, ack.stream)
            self._begin_session()
        elif ack.upto > lane.upto:
            self._settle(lane, ack.upto)
        self._wake.set()

    def _settle(self, lane: _Lane, upto: int) -> None:
        lane.upto = lane.answer = upto
        lane.sent = max(lane.sent, upto)
        lane.progress_at = time.monotonic()
        self._outbox.ack(lane.stream, upto)

    def _on_resend(self, resend: Resend) -> None:
        lane = self._lanes[resend.stream]
        after, upto = resend.first - 1, resend.last
        if resend.boot == self._outbox.boot:
            if not self._in_sync:
                return  # this session begins at the centre's ack anyway
            lane.progress_at = time.monotonic()
            if upto is None:
                lane.sent = min(lane.sent, after)
                if after < lane.upto:
                    self._settle(lane, after)
                    lane.sent = after
                self._wake.set()
                return
            upto = min(upto, lane.sent)  # what was not sent yet comes in its turn
            if upto <= after:
                return
        wanted = _Range(resend.boot, after, upto)
        if wanted not in lane.asked:
            lane.asked.append(wanted)
        self._wake.set()

    def _on_time(self, reply: TimeReply) -> None:
        first = self._clock.anchor is None
        self._clock.heard(reply)
        if first:
            self._state_due.set()

    # Sending

    async def _send_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.resend_s / 4):
                    await self._wake.wait()
            self._wake.clear()
            with contextlib.suppress(LinkDownError):
                if self._link.up and self._present and not self._in_sync:
                    await self._synchronise()
                while self._link.up and self._present and self._in_sync and await self._send_some():
                    pass
                self._go_back_when_stalled()

    async def _synchronise(self) -> None:
        """Wait for the centre's acks, then settle from where each stream goes on."""
        session = self._session
        deadline = time.monotonic() + self._settings.first_acks_s
        while any(lane.answer is None for lane in self._lanes.values()) and session == self._session:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
            self._wake.clear()
        if session != self._session:
            self._wake.set()
            return
        if any(self._is_ahead(lane) for lane in self._lanes.values()):
            await self._renew()
            return
        for lane in self._lanes.values():
            await self._resume(lane)
        self._in_sync = session == self._session

    def _is_ahead(self, lane: _Lane) -> bool:
        """The centre has rows of ours that this file cannot have sent: the file went back in time."""
        most = self._outbox.last[lane.stream] if lane.floor is None else max(lane.floor, lane.sent)
        return lane.answer is not None and lane.answer > most

    async def _renew(self) -> None:
        cuts: dict[Stream, int] = {}
        for stream, lane in self._lanes.items():
            most = self._outbox.last[stream] if lane.floor is None else lane.floor
            known = lane.upto if lane.answer is None else lane.answer
            cuts[stream] = min(most, known)
        old = self._outbox.boot
        new = await self._outbox.new_boot(cuts)
        _log.warning("the outbox went back in time: boot %s becomes %s, cut at %s", old, new, cuts)
        for lane in self._lanes.values():
            lane.upto = lane.sent = 0
            lane.floor = None
        self._begin_session()

    async def _resume(self, lane: _Lane) -> None:
        if lane.answer is None:
            lane.sent = lane.upto
            return
        if lane.floor is not None:
            with self._optional("that the centre was heard"):
                await self._outbox.heard(lane.stream)
            lane.floor = None
        back = lane.answer < lane.upto
        self._settle(lane, lane.answer)
        lane.sent = lane.answer
        if back:
            _log.warning("the centre went back to %s of %s: it was restored", lane.answer, lane.stream)
            lane.asked.extend(_Range(boot, 0, None) for boot in await self._outbox.older_boots())

    async def _send_some(self) -> bool:
        """One pack, of what is most urgent. False when there is nothing to send."""
        for lane in self._lanes.values():
            if lane.asked:
                await self._send_asked(lane)
                return True
            room = lane.upto + self._settings.window - lane.sent
            if (
                lane.floor is not None
            ):  # the centre has not spoken of this stream: no more than what cannot be new to it
                room = min(room, lane.floor - lane.sent) or (1 if lane.sent == lane.upto else 0)
            if room > 0 and lane.sent < self._outbox.last[lane.stream]:
                await self._send_next(lane, min(room, MAX_PACK_FACTS))
                return True
        return False

    async def _send_next(self, lane: _Lane, limit: int) -> None:
        session, after = self._session, lane.sent
        rows = await self._outbox.pending(lane.stream, after, limit)
        if session != self._session or lane.sent != after or not rows:
            return
        sent = await self._publish(lane.stream, rows)
        if session == self._session and lane.sent == after:
            if lane.sent == lane.upto:
                lane.progress_at = time.monotonic()
            lane.sent = sent

    async def _send_asked(self, lane: _Lane) -> None:
        session, wanted = self._session, lane.asked[0]
        singly = False
        if wanted.boot == self._outbox.boot and wanted.after == lane.upto:
            singly = await self._counted_vain(lane, wanted.after + 1)
        rows = await self._outbox.range(wanted.boot, lane.stream, wanted.after, MAX_PACK_FACTS, wanted.upto)
        if session != self._session:
            return
        lane.asked.popleft()
        if not rows:
            rows = await self._unknown(lane.stream, wanted)
            if rows:
                await self._publish(lane.stream, rows)
            return
        sent = await self._publish(lane.stream, rows, singly=singly)
        if (wanted.upto is None or sent < wanted.upto) and session == self._session:
            lane.asked.appendleft(wanted._replace(after=sent))

    async def _counted_vain(self, lane: _Lane, seq: int) -> bool:
        """Whether this row was asked for before; after too often it is withdrawn."""
        now = time.monotonic()
        if lane.vain_seq != seq:
            lane.vain_seq, lane.vain, lane.vain_at = seq, 0, now
        elif now - lane.vain_at >= self._settings.vain_gap_s:
            lane.vain, lane.vain_at = lane.vain + 1, now
        if lane.vain >= self._settings.vain_resends and await self._outbox.withdraw(
            lane.stream, seq, f"asked for again {lane.vain} times, never acknowledged"
        ):
            _log.error("row %s of %s withdrawn: the centre cannot read it", seq, lane.stream)
        return lane.vain > 0

    async def _unknown(self, stream: Stream, wanted: _Range) -> list[Envelope]:
        """What settles numbers that have no row here; "to the end" needs no word."""
        if wanted.upto is None or wanted.upto <= wanted.after or wanted.boot == self._outbox.boot:
            return []
        moved = wanted.boot in await self._outbox.older_boots()
        return [self._outbox.gone(wanted.boot, stream, wanted.after + 1, wanted.upto, moved=moved)]

    async def _publish(self, stream: Stream, rows: list[Envelope], *, singly: bool = False) -> int:
        """Send rows in as few messages as fit. Returns the last seq."""
        topic = (topics.facts if stream == "facts" else topics.samples)(self._site, self._agent)
        for message in _packs([encode(row) for row in rows], 0 if singly else PACK_BYTES):
            await self._link.publish(topic, message)
        return rows[-1].seq

    def _go_back_when_stalled(self) -> None:
        now = time.monotonic()
        for lane in self._lanes.values():
            if self._in_sync and lane.sent > lane.upto and now - lane.progress_at >= self._settings.resend_s:
                _log.warning(
                    "no ack of %s for %s s: sending again from %s", lane.stream, self._settings.resend_s, lane.upto + 1
                )
                lane.sent = lane.upto
                lane.progress_at = now
                self._wake.set()

    @contextlib.contextmanager
    def _optional(self, what: str) -> Iterator[None]:
        """A mark that a full or failing disk may refuse: sending the backlog, which frees the disk, needs none."""
        try:
            yield
        except OutboxError as error:
            _log.warning("could not note %s: %s", what, error)

    # State and commands

    async def _state_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.heartbeat_s):
                    await self._state_due.wait()
            self._state_due.clear()
            if self._clock.anchor is not None:
                with self._optional("the clock's anchor"):
                    await self._outbox.save_anchor()
            if self._link.up:
                state = await self._state()
                if self._leaving:
                    return
                with contextlib.suppress(LinkDownError):
                    await self._link.publish(topics.state(self._site, self._agent), state, retain=True)

    async def _state(self, *, online: bool = True) -> bytes:
        streams = {stream: await self._stream_state(stream) for stream in STREAMS}
        moment = self._clock.now()
        return msgspec.json.encode(
            AgentState(
                online=online,
                agent=self._agent,
                boot=self._outbox.boot,
                run=self._clock.run,
                ts=moment.wall,
                time=self._clock.request(),
                off=self._clock.off(moment),
                version=self._version,
                facts=streams["facts"],
                samples=streams["samples"],
                parts=self._parts(),
                disk_used=round(self._outbox.used, 4),
                disk_free=self._outbox.disk_free,
                cert_until=self._cert_until(),
            )
        )

    async def _stream_state(self, stream: Stream) -> StreamState:
        at = await self._outbox.position(stream)
        return StreamState(last=at.last, acked=at.acked, pending=max(at.last - at.acked, 0), first=at.first)

    def _will(self) -> Will:
        state = AgentState(
            online=False, agent=self._agent, boot=self._outbox.boot, run=self._clock.run, ts=self._clock.now().wall
        )
        return Will(topics.state(self._site, self._agent), msgspec.json.encode(state))


def _packs(rows: list[bytes], limit: int) -> list[bytes]:
    """JSON arrays of rows up to `limit` bytes; a row alone travels as it is."""
    packs: list[list[bytes]] = []
    size = limit + 1
    for row in rows:
        if size + len(row) + 1 > limit:
            packs.append([])
            size = 2
        packs[-1].append(row)
        size += len(row) + 1
    return [pack[0] if len(pack) == 1 else b"[" + b",".join(pack) + b"]" for pack in packs]


@contextlib.asynccontextmanager
async def _all_of(*jobs: Any) -> AsyncIterator[asyncio.Future[list[None]]]:
    """Run coroutines side by side; when one ends or the caller leaves, the others are cancelled and waited for."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        yield asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
