"""The driver port: what a controller's driver gives, whatever it speaks.

A driver is opened once and stays open; it reconnects by itself and says what happens to its link:

    async with driver.open() as stream:
        async for batch in stream:          # list[DriverEvent], in order, never empty
            ...

A driver's author writes `_session` (one connection, from connecting to its loss) and `probe`; reconnection, backoff,
cleaning of values, repeated complaints and back-pressure are done here, once.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Literal, Protocol, TypeAlias

import msgspec

from cnc_bridge import model
from cnc_bridge.settings import DriverSettings, Source

_log = logging.getLogger(__name__)


class Moment(msgspec.Struct, frozen=True):
    """When this process learnt something: `wall` aware UTC, `mono` seconds of a clock that never jumps."""

    wall: datetime
    mono: float


class Clock(Protocol):
    def now(self) -> Moment: ...


class SystemClock:
    def now(self) -> Moment:
        return Moment(datetime.now(UTC), time.monotonic())


class Reading(msgspec.Struct, frozen=True):
    """One value of a signal (names and units: `model.SIGNALS`, or the shop's own). None: the controller cannot say."""

    signal: str
    value: model.Value
    source_time: datetime | None
    """The controller's own time, aware UTC, of a clock that nobody promises to be right."""
    received: Moment
    kept: bool = False
    """The far side kept it while there was no connection: `source_time` says how long ago it happened."""


class Condition(msgspec.Struct, frozen=True):
    """A condition of the controller (MTConnect): `level` NORMAL, WARNING, FAULT or UNAVAILABLE.

    NORMAL without `code` clears all that is active under `key`. `sole`: this key holds one alarm at a time, so another
    code ends the one before (a plain alarm number); all but those of `beside`, which are active together with it.
    """

    key: str
    level: str
    code: str
    text: str
    source_time: datetime | None
    received: Moment
    sole: bool = False
    beside: tuple[str, ...] = ()
    kept: bool = False


class Heard(msgspec.Struct, frozen=True):
    """A sign of life without news: a heartbeat answered, a status read."""

    received: Moment


class Position(msgspec.Struct, frozen=True):
    """Where the driver is in what the far side keeps; all events before this one are behind it. See `Driver.resume`."""

    value: str
    received: Moment


class Link(msgspec.Struct, frozen=True):
    """The connection came up (the far side has really answered) or was lost."""

    up: bool
    detail: str
    received: Moment


class Problem(msgspec.Struct, frozen=True):
    """Something to know: stable `code`, `about` what (signal, endpoint), a French sentence with the next step."""

    code: str
    about: str
    message: str
    message_fr: str
    received: Moment


class Solved(msgspec.Struct, frozen=True):
    """The problem of this code and subject is over."""

    code: str
    about: str
    received: Moment


DriverEvent: TypeAlias = Reading | Condition | Heard | Position | Link | Problem | Solved


class DriverFaultError(Exception):
    """A connection failed or ended. One sentence in English for the log, one in French with the next step."""

    def __init__(self, code: str, message: str, message_fr: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.message_fr = message_fr
        self.retry_after_s = retry_after_s
        """Longer than the usual backoff where hammering does harm (wrong password: locked accounts)."""


class NotAllowedError(Exception):
    """This machine's settings, or its driver, do not give that capability. The text is English; `message_fr` is not."""

    def __init__(self, message: str, message_fr: str) -> None:
        super().__init__(message)
        self.message_fr = message_fr


class ProgrammeFile(msgspec.Struct, frozen=True):
    """A CN programme in the controller's memory. `size` in bytes and `changed` (aware UTC) where it tells them."""

    name: str
    size: int | None = None
    changed: datetime | None = None


class Finding(msgspec.Struct, frozen=True):
    """One line of a probe: `kind` (server, endpoint, security, signal, key, node, note), its name, what was found."""

    kind: str
    name: str
    value: str
    ok: bool = True


class EventStream:
    """Driver events in batches. When nobody reads, samples are thinned and counted; nothing else is ever dropped."""

    def __init__(self, limit: int = 50_000) -> None:
        self._events: list[DriverEvent] = []
        self._limit = limit
        self._ready = asyncio.Event()
        self._ended: BaseException | None = None
        self.thinned = 0

    def put(self, event: DriverEvent, *, is_sample: bool = False) -> None:
        if is_sample and len(self._events) >= self._limit:
            self.thinned += 1
            return
        self._events.append(event)
        self._ready.set()

    def end(self, cause: BaseException | None) -> None:
        self._ended = cause or asyncio.CancelledError()
        self._ready.set()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> list[DriverEvent]:
        await self._ready.wait()
        if self._events:
            batch, self._events = self._events, []
            if self._ended is None:
                self._ready.clear()
            return batch
        if isinstance(self._ended, Exception):
            raise self._ended
        raise StopAsyncIteration


class Driver(abc.ABC):
    """One controller, read for as long as it is open.

    It writes to the machine only what its settings allow, per capability: ``allow = ["hold"]`` for `hold`,
    ``allow = ["programme"]`` for the three programme calls. A driver overrides the `_hold` or the `_…programme…`
    methods that its manifest promises; they may use the connection of the running `_session`, and raise
    DriverFaultError when there is none.
    """

    repeat_problem_s = (60.0, 3600.0)
    """The same problem again: after a minute, then each time twice as late, up to an hour."""

    def __init__(self, settings: DriverSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self._stream = EventStream()
        self._closing = asyncio.Event()
        self._up = False
        self._up_since = 0.0
        self._reported: dict[tuple[str, str], tuple[float, float]] = {}
        """When each problem was last told, and how long it then waits."""
        self._others: dict[str, set[str]] = {}
        self._thinned_said = 0

    @abc.abstractmethod
    async def _session(self) -> None:
        """One connection: connect, call `_link_up` once the far side has answered, read until it is lost.

        Ends by DriverFaultError. Must release everything in `finally`, within 3 s, also when cancelled.
        """

    @abc.abstractmethod
    async def probe(self) -> list[Finding]:
        """What answers there, without staying: raises DriverFaultError when nothing does."""

    def resume(self, position: str) -> None:  # noqa: B027 - most far sides keep nothing, and there is nothing to do
        """Go on from a saved Position, where the far side still keeps what came after. Call it before `open`."""

    async def hold(self) -> None:
        """Feed hold: axes stop on their ramp, power stays. Returns when the controller has taken the command.

        Whether the machine stands still is seen in its velocity, not here. Raises NotAllowedError, DriverFaultError.
        """
        self._require("hold")
        await self._hold()

    async def list_programmes(self) -> list[ProgrammeFile]:
        """The programmes in the controller. Raises NotAllowedError, DriverFaultError."""
        self._require("programme")
        return await self._list_programmes()

    async def read_programme(self, name: str) -> bytes:
        """One programme as the controller gives it. Raises NotAllowedError, DriverFaultError (code `no_programme`)."""
        self._require("programme")
        return await self._read_programme(name)

    async def write_programme(self, name: str, content: bytes) -> None:
        """Put a programme into the controller, in place of one of that name. Raises NotAllowedError, DriverFaultError.

        Whether the machine runs is the caller's to know (`cnc_bridge.programmes`), whether it arrived whole too.
        """
        self._require("programme")
        await self._write_programme(name, content)

    def _require(self, capability: Literal["hold", "programme"]) -> None:
        if capability not in self.settings.allow:
            raise NotAllowedError(
                f"{self.settings.address}: `{capability}` is not allowed on this machine",
                f"Non autorisé sur cette machine : ajouter « {capability} » à `allow` dans sa configuration.",
            )

    async def _hold(self) -> None:
        raise self._not_offered("hold")

    async def _list_programmes(self) -> list[ProgrammeFile]:
        raise self._not_offered("programme")

    async def _read_programme(self, name: str) -> bytes:
        raise self._not_offered(f"programme {name}")

    async def _write_programme(self, name: str, content: bytes) -> None:
        raise self._not_offered(f"programme {name}, {len(content)} bytes")

    def _not_offered(self, what: str) -> NotAllowedError:
        return NotAllowedError(
            f"the {self.settings.kind} driver does not offer `{what}`",
            f"Le pilote « {self.settings.kind} » ne sait pas le faire.",
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[EventStream]:
        """The stream of this controller; closing it closes the connection."""
        self._stream = EventStream()
        self._closing = asyncio.Event()
        self._up = False
        task = asyncio.create_task(self._keep_connected(), name=f"driver {self.settings.kind}")
        stream = self._stream
        task.add_done_callback(lambda done: stream.end(None if done.cancelled() else done.exception()))
        try:
            yield stream
        finally:
            self._closing.set()
            task.cancel()
            await asyncio.wait([task])

    async def _keep_connected(self) -> None:
        delay = 0.5
        while not self._closing.is_set():  # a library that fails while it is cancelled hides the cancellation
            try:
                await self._session()
                fault = DriverFaultError("closed", "the connection was closed", "La machine a fermé la connexion.")
            except DriverFaultError as error:
                fault = error
            except Exception as error:  # noqa: BLE001 - a library may raise anything; the link must survive
                _log.exception("unexpected error in the %s driver", self.settings.kind)
                fault = DriverFaultError(
                    "unexpected",
                    f"unexpected {type(error).__name__}: {error}",
                    f"Erreur imprévue du pilote ({type(error).__name__}) : transmettre le journal de l'agent.",
                )
            if self._closing.is_set():
                return
            now = self.clock.now()
            if self._up:
                self._up = False
                self._stream.put(Link(False, fault.message, now))
                if now.mono - self._up_since > 10:
                    delay = 0.5
            self._problem(fault.code, self.settings.address, fault.message, fault.message_fr)
            await asyncio.sleep(fault.retry_after_s or delay * random.uniform(0.8, 1.2))  # noqa: S311  # nosec B311  # jitter, not a secret
            delay = min(delay * 2, self.settings.reconnect_max_s)

    def _link_up(self, detail: str) -> None:
        """Say that the far side answers; whatever kept us from it is over."""
        now = self.clock.now()
        self._up, self._up_since = True, now.mono
        _log.info("%s: connected, %s", self.settings.address, detail)
        for code, about in [key for key in self._reported if key[1] == self.settings.address]:
            self._solved(code, about)
        self._stream.put(Link(True, detail, now))

    def _heard(self) -> None:
        self._stream.put(Heard(self.clock.now()))
        if self._stream.thinned > self._thinned_said:
            count, self._thinned_said = self._stream.thinned - self._thinned_said, self._stream.thinned
            self._problem(
                "thinned",
                "samples",
                f"{count} samples were thinned: they come faster than they are read",
                f"{count} mesures écartées : la machine envoie plus vite que l'agent ne lit ; allonger la période.",
            )

    def _value(
        self,
        name: str,
        source: Source,
        raw: object,
        source_time: datetime | None,
        received: Moment,
        *,
        kept: bool = False,
    ) -> None:
        """Map, scale and clean one raw value and hand it on; what cannot be used is reported, and becomes None."""
        signal = model.signal_named(name, source.unit or "")
        value: model.Value = None
        try:
            value = model.clean(signal, _mapped(source, raw))
            if isinstance(value, float):
                value *= source.scale
        except model.BadValueError as error:
            self._problem(
                error.code,
                name,
                f"{name}: {error}",
                f"Valeur inutilisable pour « {name} » : vérifier l'affectation de ce signal dans la configuration.",
            )
            if signal.kind == "count":
                return  # the counter itself is unharmed by one unreadable answer
        else:
            for code in _VALUE_CODES if self._reported else ():
                self._solved(code, name)
        if signal.kind == "alarm":
            self._alarm(name, value, source_time, received)
            return
        self._stream.put(Reading(name, value, source_time, received, kept), is_sample=signal.kind == "sample")

    def _alarm(self, name: str, value: model.Value, source_time: datetime | None, received: Moment) -> None:
        """A plain alarm signal (number or text) as a condition: 0, false and emptiness are no alarm."""
        text = "" if value is None else str(value)
        quiet = text in ("", "0") or text.upper() in ("FALSE", "NONE", "NORMAL")
        level, code = ("NORMAL", "") if quiet else ("FAULT", text)
        self._stream.put(Condition(name, level, code, "", source_time, received, sole=True))

    def _problem(self, code: str, about: str, message: str, message_fr: str) -> None:
        """Report once; the same again ever later. Beyond `MOST_OF_A_CODE`, the others are one problem."""
        if (code, about) not in self._reported:
            others = self._others.setdefault(code, set())
            if others or sum(known == code for known, _ in self._reported) >= MOST_OF_A_CODE:
                if about not in others:
                    self._warn(message)
                others.add(about)
                about = OTHERS
                message = f"{message} (and others: {len(others)} so far)"
                message_fr = f"{message_fr} De même pour d'autres ({len(others)} au moins), nommés au journal."
        now = self.clock.now()
        last = self._reported.get((code, about))
        first_s, most_s = self.repeat_problem_s
        if last is not None and now.mono - last[0] < last[1]:
            return
        self._reported[(code, about)] = (now.mono, first_s if last is None else min(2 * last[1], most_s))
        self._warn(message)
        self._stream.put(Problem(code, about, message, message_fr, now))

    def _warn(self, message: str) -> None:
        address = self.settings.address
        _log.warning("%s", message if address in message else f"{address}: {message}")

    def _solved(self, code: str, about: str) -> None:
        others = self._others.get(code)
        if others and about in others:
            others.remove(about)
            if others:
                return
            about = OTHERS
        if self._reported.pop((code, about), None) is not None:
            self._stream.put(Solved(code, about, self.clock.now()))


MOST_OF_A_CODE = 10
"""Problems of one code that are each told; a server without its thousands of nodes is not thousands of problems."""
OTHERS = "autres"
"""The subject of the one problem that stands for all beyond."""
_VALUE_CODES = ("too_long", "wrong_type", "unknown_word", "not_a_number", "not_finite", "not_a_count")


def _mapped(source: Source, raw: object) -> object:
    """`raw` through the source's `words`: "3" = "ACTIVE" also fits the integer 3, and "true" fits True."""
    if not source.words or raw is None:
        return raw
    key = str(raw).lower() if isinstance(raw, bool) else str(raw)[: model.MAX_TEXT]
    if key in source.words:
        return source.words[key]
    if key.upper() == "UNAVAILABLE" or not key:
        return None
    raise model.BadValueError("unknown_word", f"{key[:40]!r} is not in `words`")
