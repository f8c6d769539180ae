"""The envelope around every fact: who says it, in which order, when, and what kind of thing it is.

Identity is ``(site, agent, boot, stream, seq)``. ``seq`` is the row number in the agent's outbox, ``boot`` a
random id of
that outbox *file*, so a reflashed or restored agent cannot speak with an identity that was already used.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec

VERSION: Literal[1] = 1
MAX_FACT_BYTES = 64 * 1024
"""A fact's JSON, envelope included. The agent checks it before its outbox, the inbox before its tables."""
MAX_PACK_FACTS = 500
MAX_MESSAGE_BYTES = 512 * 1024
"""One MQTT message or HTTP body: one envelope, or a JSON array (a *pack*) of at most `MAX_PACK_FACTS`."""

Stream: TypeAlias = Literal["facts", "samples"]
STREAMS: tuple[Stream, ...] = ("facts", "samples")

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
Name = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN, description="Lower-case name: letters, digits, hyphens.")]
Boot = Annotated[str, msgspec.Meta(min_length=8, max_length=32, pattern=r"^[0-9a-z]+$")]
Run = Annotated[str, msgspec.Meta(min_length=4, max_length=40, pattern=r"^[0-9a-z-]+$")]
Seq = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]
Kind = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+\.[a-z_]+$", max_length=48)]
Aware = Annotated[datetime, msgspec.Meta(tz=True)]
Milliseconds = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]

_NAME = re.compile(NAME_PATTERN)


class Identity(NamedTuple):
    """What makes two messages the same fact."""

    site: str
    agent: str
    boot: str
    stream: Stream
    seq: int


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One row of an outbox, as it travels.

    ``ts``   wall clock of the source when the fact happened, UTC.
    ``run``  id of the power-on (agent) or page load (terminal) in which ``mono`` counts.
    ``mono`` milliseconds of that run's monotonic clock.
    ``off``  milliseconds to add to ``ts`` to get the centre's time, as last measured in this run; null if never.
    ``body`` raw JSON of the kind's struct (see :mod:`contracts.facts`), decoded only where it is used.
    """

    v: Literal[1] = VERSION
    site: Name
    agent: Name
    boot: Boot
    stream: Stream
    seq: Seq
    ts: Aware
    run: Run
    mono: Milliseconds
    off: Milliseconds | None = None
    kind: Kind
    body: msgspec.Raw

    @property
    def identity(self) -> Identity:
        return Identity(self.site, self.agent, self.boot, self.stream, self.seq)

    def corrected_time(self) -> datetime | None:
        """The event's time on the centre's clock, or None when this run never measured its offset."""
        return None if self.off is None else self.ts + timedelta(milliseconds=self.off)

    def body_hash(self) -> bytes:
        """16 bytes over what must not differ between two sendings of one identity: kind, time and body."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(self.kind.encode())
        digest.update(f"\0{self.ts.isoformat()}\0{self.run}\0{self.mono}\0".encode())
        digest.update(bytes(self.body))
        return digest.digest()


class Illegible(NamedTuple):
    """A piece of a message that is not an envelope: its bytes, why, and its identity where at least that can be
    read.
    """

    payload: bytes
    reason: str
    identity: Identity | None = None


class Pack(msgspec.Struct, frozen=True):
    """The envelopes of one message that could be read, and the pieces that could not."""

    envelopes: list[Envelope]
    illegible: list[Illegible]


class _IdentityOnly(msgspec.Struct, frozen=True):
    site: Name
    agent: Name
    boot: Boot
    stream: Stream
    seq: Seq


_one = msgspec.json.Decoder(Envelope)
_many = msgspec.json.Decoder(list[Envelope])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_identity = msgspec.json.Decoder(_IdentityOnly)
encoder = msgspec.json.Encoder()

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode(envelope: Envelope) -> bytes:
    return encoder.encode(envelope)


def encode_pack(envelopes: list[Envelope]) -> bytes:
    return encoder.encode(envelopes)


def decode(payload: bytes) -> Pack:
    """Read one message. Never raises: what cannot be read comes back as illegible, the rest of its pack is kept."""
    if len(payload) > MAX_MESSAGE_BYTES:
        return Pack([], [Illegible(payload, f"message of {len(payload)} bytes, limit {MAX_MESSAGE_BYTES}")])
    if payload[:1] != b"[":
        return _decode_one(payload)
    try:
        envelopes = _many.decode(payload)
    except _UNREADABLE:
        return _decode_pieces(payload)
    if len(envelopes) > MAX_PACK_FACTS:
        return Pack([], [Illegible(payload, f"pack of {len(envelopes)} facts, limit {MAX_PACK_FACTS}")])
    return _within_size(envelopes, payload)


def _decode_one(payload: bytes) -> Pack:
    if len(payload) > MAX_FACT_BYTES:
        reason = f"fact of {len(payload)} bytes, limit {MAX_FACT_BYTES}"
        return Pack([], [Illegible(payload, reason, _identity_in(payload))])
    try:
        return Pack([_one.decode(payload)], [])
    except _UNREADABLE as error:
        return Pack([], [Illegible(payload, str(error), _identity_in(payload))])


def _decode_pieces(payload: bytes) -> Pack:
    try:
        pieces = _raws.decode(payload)
    except _UNREADABLE as error:
        return Pack([], [Illegible(payload, str(error))])
    packs = [_decode_one(bytes(piece)) for piece in pieces]
    return Pack([e for p in packs for e in p.envelopes], [i for p in packs for i in p.illegible])


def _within_size(envelopes: list[Envelope], payload: bytes) -> Pack:
    if len(payload) <= MAX_FACT_BYTES:
        return Pack(envelopes, [])
    return _decode_pieces(payload)


def _identity_in(payload: bytes) -> Identity | None:
    try:
        found = _identity.decode(payload)
    except _UNREADABLE:
        return None
    return Identity(found.site, found.agent, found.boot, found.stream, found.seq)


def is_name(text: str) -> bool:
    """Whether `text` can name a site or an agent (and so be one level of a topic)."""
    return _NAME.fullmatch(text) is not None
