"""The guard itself: one sample in, verdicts out. Pure: no clock, no file, no machine; constant work a sample.

`watch` is said at the first sample above a limit, `alert` and `hold` when the next samples stay above: an alert after
one more sampling period, a hold after two. A lone spike is therefore never more than `watch`. A signal that comes on
change and then says nothing more still counts as long as the machine is heard: time passes by `tick`, and by every
other signal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from cnc_bridge.guard.context import Context, Mask
from cnc_bridge.guard.envelope import Cycle, Key, Memory, Reached, Seen
from cnc_bridge.guard.settings import GuardSettings, Limits
from cnc_bridge.guard.signals import Family, Guarded, guarded, is_context
from cnc_bridge.guard.track import Bound, Level, Point, Track

RANK: Final[Mapping[Level | None, int]] = {None: 0, "watch": 1, "alert": 2, "hold": 3}
LEAST_PERCENT: Final = 15.0
"""A load below this share of the rated one is no collision, whatever good cycles did."""
_PLACE_CYCLES: Final = 3
"""A place counts for itself when so many cycles passed it; with fewer, the whole piece of work does."""
_SPREAD_CYCLES: Final = 2
_LEAST_SHARE: Final = 0.5
"""Cycles that agree narrow the margin to this part of it."""
_ROUNDING: Final = 1.5
"""A difference of two rounded values is wrong by a step now and then."""
_BACK_S = 1.0
_GAP_S = 5.0
_CALM_S = 1.0
_MAX_SIGNALS = 200

_FLOOR: Final[Mapping[Family, float]] = {
    "spindle": 5.0, "axis": 5.0, "following": 0.01, "vibration": 0.2, "contact": 0.5, "other": 0.0,
}  # fmt: skip
"""What a learnt limit adds at least, in the signal's usual unit (% of rated load, mm, g): below it is noise."""


class Verdict(msgspec.Struct, frozen=True):
    """`signal` went above `limit` at `ts` (the guard's time). `why` is French, for the page."""

    ts: float
    level: Level
    signal: str
    unit: str
    value: float
    limit: float
    why: str
    programme: str | None
    tool: str | None
    learnt: bool
    """By an envelope of good cycles; else by a fixed limit."""
    first: float
    """When it was first above, the guard's time."""


class Guard:
    """Watches one machine. `memory` is what it learnt before; it goes on learning into it unless `learn` is off."""

    def __init__(
        self,
        settings: GuardSettings,
        memory: Memory | None = None,
        units: Mapping[str, str] | None = None,
        *,
        percent_limits: Mapping[Family, Limits] | None = None,
        trusting: bool = False,
    ) -> None:
        """`percent_limits`: fixed limits, by family, of signals in percent that `settings` say nothing of.

        `trusting`: what is fed is good by a person's word, so interrupted cycles teach too (not those with an alarm).
        """
        self.settings = settings
        self._percent_limits = dict(percent_limits or {})
        self._trusting = trusting
        self.memory = memory if memory is not None else Memory()
        self.context = Context(settings)
        self.armed = True
        """False after a hold, until a person re-arms: it goes on watching, and does not hold again."""
        self.refused = 0
        """Samples that were no usable number or time."""
        self.learnt_cycles = 0
        self.dropped_cycles = 0
        self._units = dict(units or {})
        self._tracks: dict[str, Track | None] = {}
        self._hot: set[str] = set()
        self._cycle: Cycle = {}
        self._spoilt: str | None = None
        self._now: float | None = None

    @property
    def watched(self) -> list[str]:
        """Guarded signals that were heard."""
        return [name for name, track in self._tracks.items() if track is not None and track.heard]

    @property
    def seeing(self) -> list[str]:
        """Guarded signals that have a value now."""
        return [name for name, track in self._tracks.items() if track is not None and track.last is not None]

    def feed(self, ts: float, signal: str, value: float | str | None) -> list[Verdict]:
        """One value at `ts` seconds. Time that goes back more than a second is a new session; less is disorder."""
        if not math.isfinite(ts):
            self.refused += 1
            return []
        verdicts = self._advance(ts)
        if is_context(signal):
            ended = self.context.update(ts, signal, _finite(value))
            if ended is not None:
                self._cycle_ended(completed=ended == "completed")
            return verdicts
        track = self._track(signal)
        if track is None:
            return verdicts
        if value is None:
            track.lose()
            return verdicts
        number = _number(value)
        if number is None:
            self.refused += 1  # as if it had not come: rubbish between two high samples must not hide them
            return verdicts
        at = ts if track.last is None else max(ts, track.last[0])
        return verdicts + self._judge(track, at, abs(number))

    def tick(self, ts: float) -> list[Verdict]:
        """Time passed and the machine is heard: what was above its limit and did not change is still above."""
        return self._advance(ts) if math.isfinite(ts) else []

    def tell_unit(self, signal: str, unit: str) -> None:
        """`signal` comes in `unit`, not in its usual one: limits in the usual one do not count for it."""
        if self._units.get(signal) != unit:
            self._units[signal] = unit
            self._tracks.pop(signal, None)

    def alarmed(self) -> None:
        """The controller raised an alarm: a cycle that runs teaches nothing."""
        if self._cycle:
            self._spoilt = "alarm"

    def lost(self) -> None:
        """The source was lost: nothing of what was going on can be continued."""
        self.context = Context(self.settings)
        self._cycle, self._spoilt = {}, None
        self._hot.clear()
        self._now = None
        for track in self._tracks.values():
            if track is not None:
                track.forget()

    def finish(self, *, completed: bool) -> None:
        """The recording ends; `completed`: what was learnt from its last cycle counts."""
        self._cycle_ended(completed=completed)

    def rearm(self) -> None:
        """A person lets it hold again."""
        self.armed = True

    def seen(self, signal: str, since: float, until: float) -> list[Point]:
        """What the ring still holds of a signal between two times, at most 1 000 points."""
        track = self._tracks.get(signal)
        return [] if track is None else [point for point in track.ring if since <= point.ts <= until][-1000:]

    def envelope(self, ts: float, signal: str) -> float | None:
        """What good cycles reached here, without any margin; None where nothing is known or the guard is masked."""
        track = self._tracks.get(signal)
        if (
            track is None
            or self.context.mask(ts, track.about.family, track.period) is not None
            or not self.context.active
        ):
            return None
        if self.context.hand:
            return None
        key, enough = self.context.key, self.settings.min_cycles
        known = self.memory.envelope(key, signal)
        if known is None or known.cycles < enough:
            of_tool = self.memory.of_tool(key.tool, signal) if key.tool else None
            return of_tool[1] if of_tool is not None and of_tool[0] >= enough else None
        place, by_line = self.context.place(ts)
        return known.at(place, by_line=by_line).level

    def period(self, signal: str) -> float:
        """The signal's own sampling period, as seen so far, in seconds."""
        track = self._tracks.get(signal)
        return 0.1 if track is None else track.period

    def unit(self, signal: str) -> str:
        track = self._tracks.get(signal)
        return "" if track is None else track.about.unit

    def _advance(self, ts: float) -> list[Verdict]:
        before = self._now
        if before is None or ts >= before:
            if before is not None and ts - before > _GAP_S:
                self._break_streaks(ts - before)
            self._now = ts
        elif before - ts > _BACK_S:
            self._new_session(ts)
            return []
        if not self._hot:
            return []
        now = self._now
        assert now is not None
        out: list[Verdict] = []
        for name in list(self._hot):
            track = self._tracks[name]
            if track is not None and track.last is not None and self._still_above(track, track.last[1], now):
                # unconfirmed by a sample of its own: half a period more, or the next sample would come too late
                out += self._escalate(track, now - track.lag, slack=0.8 * track.period)
        return out

    def _still_above(self, track: Track, value: float, now: float) -> bool:
        """Whether its last value is above what holds now: a piece of work may have begun since, or a masked moment."""
        place, by_line = self.context.place(now)
        mask = self.context.mask(now, track.about.family, track.period)
        bound = self._bound(track, mask, place, by_line=by_line)
        if (bound.alert is None or value <= bound.alert) and (bound.hold is None or value <= bound.hold):
            return False
        track.bound = bound
        if bound.hold is None or value <= bound.hold:
            track.hold_since = None
        return True

    def _break_streaks(self, gap: float) -> None:
        """Nothing was heard of the machine for so long: who knows what was."""
        for name in self._hot:
            track = self._tracks[name]
            if track is not None and gap > 3 * track.period:
                track.quiet()

    def _new_session(self, ts: float) -> None:
        """The clock went back: a recording's next session, a controller's clock that was set. Streaks end there."""
        self._hot.clear()
        self._cycle, self._spoilt = {}, None
        known = self.context
        self.context = Context(self.settings)
        # what the machine said last still holds, its times do not
        for signal, value in (
            ("programme", known.programme or None), ("tool", known.tool or None), ("segment", known.segment or None),
            ("feed_override", known.override), ("motion", known.motion), ("execution", known.execution),
        ):  # fmt: skip
            if value is not None:
                self.context.update(ts, signal, value)
        self.context.hand, self.context.in_cycle = known.hand, False
        for track in self._tracks.values():
            if track is not None:
                track.forget()
        self._now = ts

    def _track(self, signal: str) -> Track | None:
        try:
            return self._tracks[signal]
        except KeyError:
            pass
        chosen = self.settings.signals
        about = guarded(signal, self._units.get(signal))
        if chosen:
            about = (about or Guarded(signal, "other", self._units.get(signal, ""), 1.0)) if signal in chosen else None
        track: Track | None = None
        if about is not None and sum(known is not None for known in self._tracks.values()) < _MAX_SIGNALS:
            usual = self._percent_limits.get(about.family) if about.unit == "%" else None
            fixed = self.settings.limits.get(signal, usual)
            track = Track(about, fixed)
        self._tracks[signal] = track
        return track

    def _judge(self, track: Track, now: float, value: float) -> list[Verdict]:
        context, name = self.context, track.about.name
        track.paced(now)
        sustained = value
        if track.last is not None:
            held_for = now - track.last[0]
            sustained = track.last[1] if held_for > 1.5 * track.period else min(value, track.last[1])
        mask = context.mask(now, track.about.family, track.period)
        place, by_line = context.place(now)
        bound = self._bound(track, mask, place, by_line=by_line)
        change = 0.0 if track.last is None else abs(value - track.last[1])
        self._learn(track, mask, (sustained, value, change), place, by_line=by_line)
        paused = mask is not None and bound.alert is None and not mask.ends_streaks
        if paused:
            track.pause(value)
        track.last = (now, value)
        track.lag = 0.0 if self._now is None else max(0.0, self._now - now)
        track.heard = True
        track.ring.append(Point(now, value, bound.alert))
        track.bound = bound
        above_alert = bound.alert is not None and value > bound.alert
        above_hold = bound.hold is not None and value > bound.hold
        if paused:
            return [] if track.paused is not None else self._calm(track, now)
        if not above_alert and not above_hold:
            track.quiet()
            return self._calm(track, now)
        track.resume(now)
        if track.alert_since is None:
            if track.calm_since is not None and now - track.calm_since > max(_CALM_S, 3 * track.period):
                track.reached = None
            track.alert_since = now
        track.calm_since = None
        if not above_hold:
            track.hold_since = None
        elif track.hold_since is None:
            track.hold_since = now
        self._hot.add(name)
        return self._escalate(track, now, slack=-0.3 * track.period)

    def _calm(self, track: Track, now: float) -> list[Verdict]:
        """Back below: the episode is over when it stays there a while, and then the next `watch` is a new one."""
        if track.reached is None:
            self._hot.discard(track.about.name)
        elif track.calm_since is None:
            track.calm_since = now
        elif now - track.calm_since > max(_CALM_S, 3 * track.period):
            track.reached = track.calm_since = None
            self._hot.discard(track.about.name)
        return []

    def _escalate(self, track: Track, now: float, slack: float) -> list[Verdict]:
        if track.alert_since is None:
            return []
        chosen, period, last = self.settings, track.period, track.last
        assert last is not None
        level: Level = "watch"
        if track.about.family == "contact":
            level = "hold" if track.hold_since is not None else "alert"
        else:
            if now - track.alert_since >= max(chosen.alert_s, period + slack):
                level = "alert"
            if track.hold_since is not None and now - track.hold_since >= max(chosen.hold_s, 2 * period + slack):
                level = "hold"
        if RANK[level] > RANK[track.bound.cap]:
            level = track.bound.cap
        if RANK[level] <= RANK[track.reached] or (level == "watch" and last[1] <= track.bound.spike):
            return []
        track.reached = level
        if level != "watch":
            self._spoilt = "verdict"
        bound, context = track.bound, self.context
        limit = bound.hold if level == "hold" and bound.hold is not None else bound.alert
        assert limit is not None or bound.hold is not None
        return [
            Verdict(
                now, level, track.about.name, track.about.unit, last[1],
                limit if limit is not None else bound.hold or 0.0, self._why(track, level, now),
                context.programme or None, context.tool or None, bound.learnt, track.alert_since,
            )
        ]  # fmt: skip

    def _why(self, track: Track, level: Level, now: float) -> str:
        assert track.alert_since is not None
        bound, lasted = track.bound, now - track.alert_since
        said = "au-dessus de ce que les bons cycles ont atteint ici" if bound.learnt else "au-dessus de la limite fixe"
        said += "" if level == "watch" else f", depuis {lasted * 1000:.0f} ms"
        return said + (f" ; {bound.cap_why}" if bound.cap_why else "")

    def _bound(self, track: Track, mask: Mask | None, place: int | None, *, by_line: bool) -> Bound:
        """The limits in force: fixed always, learnt where good cycles are known and nothing masks them."""
        context = self.context
        alert, hold, learnt = None, None, False
        fixed = track.fixed
        if fixed is not None and (mask is None or fixed.always or mask.caps):
            alert, hold = fixed.alert, (fixed.hold if mask is None or fixed.always else None)
        cap: Level = "hold"
        cap_why, spike = "", 0.0
        if mask is not None and mask.caps and alert is not None and hold is None:
            cap, cap_why = "alert", mask.why
        if mask is None or mask.caps:
            level, whole, spike = self._learnt(track, context.key, place, by_line=by_line)
            if level is not None and (alert is None or level < alert):
                alert, learnt = level, True
                if whole is None or mask is not None:
                    cap_why = mask.why if mask is not None else "outil connu, programme nouveau : pas d'arrêt"
                else:
                    learnt_hold = whole
                    hold = learnt_hold if hold is None else min(hold, learnt_hold)
                if cap_why and hold is None:
                    cap = "alert"
        if context.tapping:
            cap, cap_why = "alert", "taraudage ou filetage : pas d'arrêt"
        elif not context.active:
            cap, cap_why = "alert", f"machine {context.execution} : pas d'arrêt"
        return Bound(alert, hold, learnt, cap, cap_why, spike if learnt else 0.0)

    def _learnt(
        self, track: Track, key: Key, place: int | None, *, by_line: bool
    ) -> tuple[float | None, float | None, float]:
        """The learnt limit here, that of a hold (None: must not hold), the highest spike.

        A hold needs both: a load that this tool bears elsewhere in the programme may be a cycle that runs late, a load
        that it never bore is not.
        """
        if not self.context.active or self.context.hand or track.about.family == "contact":
            return None, None, 0.0
        unknown = not _is_fine(track.about) or self.memory.step(track.about.name) is None
        if self.memory.highest(track.about.name) == 0.0 and track.about.unit != "%" and unknown:
            return None, None, 0.0  # it has always been 0: nobody knows what is little of it
        name, enough = track.about.name, self.settings.min_cycles
        envelope = self.memory.envelope(key, name)
        if envelope is not None and envelope.cycles >= enough:
            here = envelope.at(place, by_line=by_line)
            elsewhere = max(here.level, self.memory.of_programme(key.programme, key.tool, name))
            widest = self._with_margin(track, elsewhere, self._usual_share(envelope.cycles), envelope.cycles)
            if here.cycles < _PLACE_CYCLES:
                here = envelope.whole  # so few: the next cycle may do this a little earlier or later
            rounding = self._rounding(track)
            level = max(self._with_margin(track, here.level, self._share(here), here.cycles), here.level + rounding)
            hold = max(widest * self.settings.hold_factor, elsewhere + rounding)
            return min(level, max(widest, elsewhere + rounding)), hold, envelope.peak * (1.0 + self.settings.margin)
        of_tool = self.memory.of_tool(key.tool, name) if key.tool else None
        if of_tool is not None and of_tool[0] >= enough and not self._idle(track, of_tool[1]):
            level = self._with_margin(track, of_tool[1], self._usual_share(1), 1)
            return max(level, of_tool[1] + self._rounding(track)), None, of_tool[2] * (1.0 + self.settings.margin)
        return None, None, 0.0

    def _usual_share(self, cycles: int) -> float:
        """Wider while few cycles are known."""
        return self.settings.margin * (1.0 + 2.0 / cycles)

    def _share(self, here: Reached) -> float:
        """As wide as the cycles differ from each other; never wider than without knowing it."""
        usual = self._usual_share(here.cycles)
        if here.cycles < _SPREAD_CYCLES or here.level <= 0.0:
            return usual
        return min(usual, max(_LEAST_SHARE * usual, (here.level - here.low) / here.level))

    def _idle(self, track: Track, level: float) -> bool:
        """This tool never loaded it elsewhere: that says nothing of what is much of it in a new programme."""
        about = track.about
        floor = LEAST_PERCENT / 2 if about.unit == "%" else 0.1 * self.memory.highest(about.name)
        return about.family in ("spindle", "axis", "other") and level < floor

    def _rounding(self, track: Track) -> float:
        """What a signal in mm or g shows of nothing; floors in % and shares of the highest are beyond it."""
        return _ROUNDING * (self.memory.step(track.about.name) or 0.0) if _is_fine(track.about) else 0.0

    def _with_margin(self, track: Track, level: float, share: float, cycles: int) -> float:
        """The floor keeps the noise of an idle axis from being a limit."""
        about = track.about
        usual = _has_usual_unit(about)
        floor = max(_FLOOR[about.family] if usual else 0.0, (0.1 if usual else 0.2) * self.memory.highest(about.name))
        limit = level + max(share * level, floor * (1.0 + 1.0 / cycles))
        return max(limit, LEAST_PERCENT) if about.unit == "%" else limit

    def _learn(
        self, track: Track, mask: Mask | None, reached: tuple[float, float, float], place: int | None, *, by_line: bool
    ) -> None:
        """Note the sustained level, the sample and its change, for when the cycle turns out good."""
        context = self.context
        if not self.settings.learn or not context.active or context.hand or (mask is not None and not mask.caps):
            return
        if context.execution is not None and not context.in_cycle:
            return
        seen = self._cycle.setdefault(context.key, {}).get(track.about.name)
        if seen is None:
            seen = self._cycle[context.key][track.about.name] = Seen(by_line)
        seen.reach = max(seen.reach, math.ceil(track.period))
        if seen.by_line == by_line:
            seen.add(place, *reached)
        else:
            seen.add(None, *reached)

    def _cycle_ended(self, *, completed: bool) -> None:
        cycle, spoilt = self._cycle, self._spoilt
        self._cycle, self._spoilt = {}, None
        if not cycle:
            return
        good = spoilt != "alarm" if self._trusting else completed and spoilt is None
        if good:
            self.memory.teach(cycle)
            self.learnt_cycles += 1
        else:
            self.dropped_cycles += 1


def _has_usual_unit(about: Guarded) -> bool:
    return about.unit == "%" or about.family in ("following", "vibration")


def _is_fine(about: Guarded) -> bool:
    """In mm or g: its own rounding may be more than the floor."""
    return about.family in ("following", "vibration")


def _finite(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | str) -> float | None:
    """A usable magnitude; a recording gives text."""
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) < 1e12 else None
