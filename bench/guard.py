"""The collision guard on real recordings: false verdicts with their hours, injected loads, recorded faults, worn tools.

Nothing is ever judged by a cycle that taught it: each cycle is judged after learning all the others. Thresholds were
chosen on the `tuning` recordings and seeds, and are only read off on the `evaluation` ones.
"""

from __future__ import annotations

import copy
import csv
import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

from bench.figures import machine
from cnc_bridge.guard import Guard, GuardSettings, Memory, Verdict
from cnc_bridge.guard.context import Context
from cnc_bridge.guard.core import RANK
from cnc_bridge.guard.reading import Recording, Sample, is_judged
from cnc_bridge.guard.replay import USUAL, feed

SIZES = (1.25, 1.5, 2.0, 3.0)
DURATIONS = (1, 2, 3, 5, 10)
FAULT_WITHIN_S = 60.0
Part = Literal["tuning", "evaluation"]
_OKUMA, _NIST, _UMICH = "okuma", "nist", "umich"
_DAYS: dict[str, tuple[str, Part]] = {
    "Mazak03-20160502-20160503": ("Mazak03", "tuning"),
    "Mazak01-20161013-20161014": ("Mazak01", "tuning"),
    "Mazak01-20190612-20190613": ("Mazak01", "evaluation"),
    "Mazak03-20181004-20181005": ("Mazak03", "evaluation"),
    "Mazak03-20181011-20181012": ("Mazak03", "evaluation"),
}
_UMICH_PART: dict[str, Part] = {
    "experiment 1": "tuning", "experiment 5": "tuning", "experiment 7": "tuning",
    "experiment 2": "evaluation", "experiment 8": "evaluation", "experiment 17": "evaluation",
}  # fmt: skip
_NOTHING_TO_JUDGE = ("GFAgie01-20161025-20161026", "Hurco01-20170518-20170519", "Hurco04-20170124-20170125")


@dataclass
class Run:
    """One cycle of one machine. `group`: which runs may teach it (same machine and day, or the same part)."""

    data: str
    part: Part
    name: str
    group: str
    samples: list[Sample]
    good: bool = True
    """It ran to its end without an alarm: it may teach."""
    cutting_s: float = 0.0
    values: int = 0
    judged: int = 0


class Site(NamedTuple):
    """A place for an injection: from this sample of that run, `base` is what the other cycles reached there."""

    run: Run
    at: int
    signal: str
    base: float
    period: float


def run(data: Path, *, sites: int, seed: int) -> dict[str, Any]:
    """All the figures. `data` is the folder of the recordings, `sites` the injection places per data set and part."""
    settings = GuardSettings(min_cycles=1)
    runs = [*_okuma(data), *_nist(data), *_umich(data)]
    memories = {id(one): _taught_by_others(one, runs, settings) for one in runs}
    clean = {id(one): _judge(one, memories[id(one)], settings) for one in runs}
    faults = _faults(data)
    result: dict[str, Any] = {
        "machine": machine(), "seed": seed, "thresholds": _thresholds(settings),
        "chosen_on": [name for part in (_DAYS, _UMICH_PART) for name in part if _part_of(name) == "tuning"],
        "nothing_to_judge": list(_NOTHING_TO_JUDGE), "clean": [], "injections": [],
    }  # fmt: skip
    for part, dataset in itertools.product(("tuning", "evaluation"), (_OKUMA, _NIST, _UMICH)):
        chosen = [one for one in runs if one.part == part and one.data == dataset]
        if not chosen:
            continue
        result["clean"].append({"data": dataset, "part": part, **_clean(chosen, clean, memories, faults)})
    result["clean_in_all"] = _pooled(result["clean"])
    result["clean_in_service"] = _in_service(runs, memories, faults)
    for part, offset in (("tuning", 0), ("evaluation", 1000)):
        for dataset in (_OKUMA, _NIST, _UMICH):
            chosen = [
                one for one in runs if one.data == dataset and one.good and (dataset == _UMICH or one.part == part)
            ]
            rng = random.Random(f"{seed + offset}-{dataset}")  # nosec B311  # made-up traffic, not a secret
            places = _sites(chosen, memories, settings, rng, sites)
            result["injections"].append(
                {"data": dataset, "part": part, "seed": seed + offset, **_injected(places, memories, settings)}
            )
    result["faults"] = _near_faults(runs, clean, faults)
    result["umich"] = _umich_scores(data)
    return result


def _part_of(name: str) -> Part:
    return _UMICH_PART[name] if name in _UMICH_PART else _DAYS[name][1]


def _thresholds(settings: GuardSettings) -> dict[str, Any]:
    chosen = settings.model_dump(include={"margin", "hold_factor", "alert_s", "hold_s"})
    return {**chosen, "fixed": {name: limits.model_dump(exclude={"always"}) for name, limits in USUAL.items()}}


def _settings_of(one: Run, settings: GuardSettings) -> GuardSettings:
    """UMich's mill moves at 50 mm/s in rapids and cuts below 20."""
    return settings.model_copy(update={"rapid_feed": 1500.0}) if one.data == _UMICH else settings


def _guard(one: Run, memory: Memory, settings: GuardSettings) -> Guard:
    return Guard(_settings_of(one, settings).model_copy(update={"learn": False}), memory, percent_limits=USUAL)


def _judge(one: Run, memory: Memory, settings: GuardSettings) -> list[Verdict]:
    """Its verdicts; how much of it was held against a learnt limit is noted in the run."""
    guard = _guard(one, memory, settings)
    verdicts: list[Verdict] = []
    for sample in one.samples:
        verdicts += feed(guard, sample)
        if sample.signal and is_judged(sample.signal) and sample.value is not None and guard.context.active:
            one.values += 1
            one.judged += guard.envelope(sample.ts, sample.signal) is not None
    return verdicts


def _taught_by_others(one: Run, runs: Sequence[Run], settings: GuardSettings) -> Memory:
    memory = Memory()
    for other in runs:
        if other is not one and other.good and other.group == one.group:
            pupil = Guard(_settings_of(other, settings).model_copy(update={"min_cycles": 1000}), memory, trusting=True)
            for sample in other.samples:
                feed(pupil, sample)
            pupil.finish(completed=True)
    return memory


# Recordings to runs


def _okuma(data: Path) -> Iterator[Run]:
    samples = list(Recording(data / "okuma-shdr" / "okuma.txt").samples())
    for number, one in enumerate(_cycles(samples, _OKUMA, "evaluation", "okuma"), 1):
        one.name = f"okuma {number}"
        one.part = "tuning" if number <= 2 else "evaluation"
        yield one


def _nist(data: Path) -> Iterator[Run]:
    for day, (machine_name, part) in _DAYS.items():
        samples = list(Recording(data / "nist-smstestbed" / f"{day}.txt").samples())
        samples = [_in_minutes(sample) if sample.signal == "feed" else sample for sample in samples]
        for number, one in enumerate(_cycles(samples, _NIST, part, f"{machine_name} {day}"), 1):
            one.name = f"{day} {number}"
            yield one


def _in_minutes(feed_sample: Sample) -> Sample:
    """NIST's agent gives the feed in mm/s (its Devices.xml), the guard takes mm/min."""
    value = feed_sample.value
    return feed_sample if value is None else feed_sample._replace(value=60.0 * float(value))


def _umich(data: Path) -> Iterator[Run]:
    """Each layer of a part is a cycle: the same path at the same feed, three times a part (the parts' feeds differ)."""
    for name, label, samples in _umich_parts(data):
        layers: dict[str, list[Sample]] = defaultdict(list)
        layer, way = "", ""
        for sample in samples:
            if sample.signal == "segment":
                words = str(sample.value).split()
                layer, way = (words[1], words[2]) if len(words) == 3 and words[0] == "Layer" else ("", "")
            if layer and sample.signal not in ("line", "programme"):
                layers[layer].append(sample._replace(value=way) if sample.signal == "segment" else sample)
        for number, rows in sorted(layers.items()):
            seconds = 0.1 * sum(sample.signal == "segment" for sample in rows)
            yield Run(
                _UMICH, _UMICH_PART[name], f"{name} layer {number}", name, rows, good=_is_good(label), cutting_s=seconds
            )


def _umich_parts(data: Path) -> Iterator[tuple[str, dict[str, str], list[Sample]]]:
    folder = data / "umich-cnc-mill"
    with (folder / "train.csv").open() as file:
        labels = {row["No"]: row for row in csv.DictReader(file)}
    for number, label in labels.items():
        samples = list(Recording(folder / f"experiment_{int(number):02}.csv", None, 0.1).samples())
        yield f"experiment {number}", label, samples


def _cycles(samples: Iterable[Sample], data: str, part: Part, group: str) -> Iterator[Run]:
    """Cut at the cycles' ends; each run begins with the context that held then, and what came since the last cycle."""
    context = Context(GuardSettings())
    known: dict[str, Sample] = {}
    current: list[Sample] = []
    cutting, since, last, alarm = 0.0, None, float("-inf"), False
    for sample in samples:
        if sample.ts < last - 1.0:
            current, cutting, since = [known[name] for name in known], 0.0, None
            context = Context(GuardSettings())
            for old in current:
                context.update(sample.ts, old.signal, old.value)
            current = [old._replace(ts=sample.ts) for old in current]
        last = sample.ts
        current.append(sample)
        if not sample.signal:
            alarm = True
            continue
        if is_judged(sample.signal):
            continue
        known[sample.signal] = sample
        was_active = context.execution == "ACTIVE"
        ended = context.update(sample.ts, sample.signal, sample.value)
        if context.execution == "ACTIVE" and not was_active:
            since = sample.ts
        elif was_active and context.execution != "ACTIVE" and since is not None:
            cutting, since = cutting + sample.ts - since, None
        if ended is not None:
            if since is not None:
                cutting, since = cutting + sample.ts - since, sample.ts
            yield Run(data, part, "", group, current, good=ended == "completed" and not alarm, cutting_s=cutting)
            current, cutting, alarm = [old._replace(ts=sample.ts) for old in known.values()], 0.0, False
    if cutting:
        yield Run(data, part, "", group, current, good=False, cutting_s=cutting)


# False verdicts


def _clean(
    runs: Sequence[Run], verdicts: dict[int, list[Verdict]], memories: dict[int, Memory], faults: Sequence[float]
) -> dict[str, Any]:
    """Of good runs only: an aborted cycle, or one with an alarm, is not known to be clean."""
    good = [one for one in runs if one.good]
    hours = sum(one.cutting_s for one in good) / 3600
    learnt = sum(one.cutting_s for one in good if len(memories[id(one)])) / 3600
    counts: dict[str, Any] = {}
    for level in ("alert", "hold"):
        found = [
            v for one in good for v in verdicts[id(one)] if v.level == level and not any(_near(v.ts, t) for t in faults)
        ]
        low, high = poisson_interval(len(found))
        counts[level] = {
            "count": len(found), "per_hour": _round(len(found) / hours) if hours else None,
            "per_hour_95": [_round(low / hours), _round(high / hours)] if hours else None,
            "learnt": sum(v.learnt for v in found),
            "signals": dict(sorted(_count(v.signal for v in found).items())),
        }  # fmt: skip
    aborted = [one for one in runs if not one.good]
    return {
        "good_cycles": len(good), "cutting_h": _round(hours), "cutting_h_with_learnt_limits": _round(learnt),
        "share_of_values_judged_by_learnt_limits": _round(
            sum(one.judged for one in good) / max(1, sum(one.values for one in good))
        ),
        **counts,
        "other_cycles": {
            "cycles": len(aborted), "cutting_h": _round(sum(one.cutting_s for one in aborted) / 3600),
            "alert": sum(v.level == "alert" for one in aborted for v in verdicts[id(one)]),
            "hold": sum(v.level == "hold" for one in aborted for v in verdicts[id(one)]),
        },
    }  # fmt: skip


def _pooled(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Holds and alerts over all good cycles of both parts, with the exact interval of their rate."""
    hours = sum(row["cutting_h"] for row in rows)
    out: dict[str, Any] = {"cutting_h": _round(hours)}
    for level in ("alert", "hold"):
        count = sum(row[level]["count"] for row in rows)
        low, high = poisson_interval(count)
        out[level] = {"count": count, "per_hour_95": [_round(low / hours), _round(high / hours)]}
    return out


def _in_service(runs: Sequence[Run], memories: dict[int, Memory], faults: Sequence[float]) -> dict[str, Any]:
    """The same cycles as a shop's guard judges them: a learnt limit counts from the usual number of cycles on."""
    settings = GuardSettings()
    rows = []
    for dataset in (_OKUMA, _NIST, _UMICH):
        chosen = [one for one in runs if one.data == dataset]
        for one in chosen:
            one.values = one.judged = 0
        verdicts = {id(one): _judge(one, memories[id(one)], settings) for one in chosen}
        rows.append({"data": dataset, **_clean(chosen, verdicts, memories, faults)})
    return {"min_cycles": settings.min_cycles, "in_all": _pooled(rows), "clean": rows}


def _count(names: Iterable[str]) -> dict[str, int]:
    out: dict[str, int] = defaultdict(int)
    for name in names:
        out[name] += 1
    return out


def poisson_interval(count: int) -> tuple[float, float]:
    """Exact 95 % interval of a Poisson mean (Garwood, 1936), by bisection on the cumulative probability."""

    def cumulative(mean: float, upto: int) -> float:
        return sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(upto + 1)) if mean else 1.0

    def solve(upto: int, target: float) -> float:
        low, high = 0.0, 10.0 + 4 * count
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if cumulative(middle, upto) > target else (low, middle)
        return (low + high) / 2

    return (0.0 if count == 0 else solve(count - 1, 0.975)), solve(count, 0.025)


# Injections


def _sites(
    runs: Sequence[Run], memories: dict[int, Memory], settings: GuardSettings, rng: random.Random, count: int
) -> list[Site]:
    """Places where the tool works: good cycles reached at least 10 % of the rated load, or a fifth of their highest."""
    found: list[Site] = []
    for one in runs:
        guard = _guard(one, memories[id(one)], settings)
        highest: dict[str, float] = {}
        for _, signal, envelope in memories[id(one)]:
            highest[signal] = max(highest.get(signal, 0.0), envelope.flat)
        for at, sample in enumerate(one.samples):
            feed(guard, sample)
            if not sample.signal or not is_judged(sample.signal) or sample.value is None:
                continue
            base = guard.envelope(sample.ts, sample.signal)
            least = 10.0 if guard.unit(sample.signal) == "%" else 0.2 * highest.get(sample.signal, math.inf)
            if base is not None and base >= least and base > 0.0:
                found.append(Site(one, at, sample.signal, base, guard.period(sample.signal)))
    return rng.sample(found, min(count, len(found)))


def _injected(places: Sequence[Site], memories: dict[int, Memory], settings: GuardSettings) -> dict[str, Any]:
    cells: dict[tuple[float, int], list[tuple[float | None, float | None, float]]] = defaultdict(list)
    for site in places:
        guard = _guard(site.run, memories[id(site.run)], settings)
        for sample in site.run.samples[: site.at]:
            feed(guard, sample)
        for size, duration in itertools.product(SIZES, DURATIONS):
            probe = copy.deepcopy(guard, {id(guard.memory): guard.memory})
            cells[(size, duration)].append(_detected(probe, site, size, duration))
    rows = []
    for (size, duration), found in sorted(cells.items()):
        alerts = [alert for alert, _, _ in found if alert is not None]
        holds = [hold for _, hold, _ in found if hold is not None]
        alert_periods = [alert / period for alert, _, period in found if alert is not None]
        hold_periods = [hold / period for _, hold, period in found if hold is not None]
        rows.append({
            "size": size, "periods": duration, "n": len(found),
            "alert_rate": _round(len(alerts) / len(found)), "hold_rate": _round(len(holds) / len(found)),
            "alert_delay_s_median": _round(median(alerts)) if alerts else None,
            "hold_delay_s_median": _round(median(holds)) if holds else None,
            "alert_delay_periods_median": _round(median(alert_periods)) if alert_periods else None,
            "hold_delay_periods_median": _round(median(hold_periods)) if hold_periods else None,
        })  # fmt: skip
    return {
        "sites": len(places),
        "signals": dict(sorted(_count(site.signal for site in places).items())),
        "rates": rows,
    }


def _detected(guard: Guard, site: Site, size: float, duration: int) -> tuple[float | None, float | None, float]:
    """Seconds to the alert and to the hold (None: not seen), and the signal's period."""
    began = site.run.samples[site.at].ts
    alert = hold = None
    for sample in _with_injection(site, size, duration):
        for verdict in feed(guard, sample):
            if verdict.signal == site.signal and verdict.first >= began:
                if alert is None and RANK[verdict.level] >= RANK["alert"]:
                    alert = verdict.ts - began
                if hold is None and verdict.level == "hold":
                    hold = verdict.ts - began
    return alert, hold, site.period


def _with_injection(site: Site, size: float, duration: int) -> Iterator[Sample]:
    """From the site on: the signal sampled at its period at `size` times the envelope, for `duration` samples."""
    first = site.run.samples[site.at]
    level, until = size * site.base, first.ts + (duration - 0.5) * site.period
    back: Sample = first
    raised = [first._replace(ts=first.ts + k * site.period, value=str(level)) for k in range(duration)]
    others: list[Sample] = []
    rest: list[Sample] = []
    for sample in itertools.islice(site.run.samples, site.at, None):
        if sample.ts > first.ts + (duration + 4) * site.period:
            break
        if sample.signal != site.signal:
            others.append(sample)
        elif sample.ts > until:
            rest.append(sample)
        else:
            back = sample
    after = back._replace(ts=first.ts + duration * site.period)
    yield from sorted(
        [*raised, *others, *rest, *([after] if not rest or rest[0].ts > after.ts else [])], key=lambda s: s.ts
    )


# Faults that were recorded, and worn tools


def _faults(data: Path) -> list[float]:
    with (data / "nist-smstestbed" / "conditions.csv").open() as file:
        rows = [line.split(",") for line in file.read().splitlines()[1:]]
    return [datetime.fromisoformat(row[1]).timestamp() for row in rows if row[3] == "Fault"]


def _near(ts: float, fault: float) -> bool:
    return abs(ts - fault) <= FAULT_WITHIN_S


def _near_faults(runs: Sequence[Run], verdicts: dict[int, list[Verdict]], faults: Sequence[float]) -> dict[str, Any]:
    """Counted, not claimed: no recording says that a load caused a fault."""
    nist = [one for one in runs if one.data == _NIST]
    seen = [
        fault for fault in faults
        if any(one.samples[0].ts <= fault <= one.samples[-1].ts for one in nist)
    ]  # fmt: skip
    found = [(v, t) for one in nist for v in verdicts[id(one)] for t in seen if _near(v.ts, t)]
    return {
        "within_s": FAULT_WITHIN_S, "faults_on_guarded_machines": len(seen),
        "faults_with_a_verdict_near": len({t for _, t in found}),
        "verdicts_near": dict(_count(v.level for v, _ in found)),
    }  # fmt: skip


def _umich_scores(data: Path) -> dict[str, Any]:
    """Each part against the good ones among the others: mean spindle power while it cuts, block by block.

    One score, chosen before looking: the power that cutting takes (a worn tool, a part that gives way, take more).
    """
    parts = {name: (label, _power_by_block(samples)) for name, label, samples in _umich_parts(data)}
    good = [n for n, (label, _) in parts.items() if _is_good(label)]
    scores = []
    for name, (label, power) in parts.items():
        others = [parts[other][1] for other in good if other != name]
        mine = theirs = 0.0
        for block, values in power.items():
            known = [sum(o[block]) / len(o[block]) for o in others if block in o]
            if known:
                mine += sum(values)
                theirs += len(values) * sum(known) / len(known)
        scores.append({
            "run": name, "tool": label["tool_condition"], "finished": label["machining_finalized"],
            "clamp_bar": label["clamp_pressure"], "feed": label["feedrate"], "score": _round(mine / theirs),
            "samples": sum(len(v) for v in power.values()),
        })  # fmt: skip
    return {
        "score": "mean spindle power while cutting, over that of the other good parts in the same blocks",
        "parts": scores,
        "worn_against_unworn": _auc(scores, lambda s: s["tool"] == "worn"),
        "moved_in_the_clamp_against_finished": _auc(scores, lambda s: s["finished"] == "no"),
        "worn_or_moved_against_good": _auc(scores, lambda s: s["tool"] == "worn" or s["finished"] == "no"),
    }  # fmt: skip


def _is_good(label: dict[str, str]) -> bool:
    return label["tool_condition"] == "unworn" and label["machining_finalized"] == "yes"


def _power_by_block(samples: Iterable[Sample]) -> dict[str, list[float]]:
    """Spindle power by block, while the spindle turns at speed and the path moves at a cutting feed."""
    now: dict[str, float] = {}
    block = ""
    power: dict[str, list[float]] = defaultdict(list)
    row: float | None = None
    for sample in samples:
        if (
            sample.signal == "feed"
            and row is not None
            and 60 < now.get("feed", 0.0) < 1500
            and now["spindle_speed"] > 50
        ):
            power[block].append(row)
        if sample.signal == "line":
            block = str(sample.value)
        elif sample.signal in ("feed", "spindle_speed"):
            now[sample.signal] = abs(float(sample.value or 0.0))
        elif sample.signal == "spindle_load":
            row = abs(float(sample.value or 0.0))
    return power


def _auc(scores: Sequence[dict[str, Any]], bad: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    high, low = [s["score"] for s in scores if bad(s)], [s["score"] for s in scores if not bad(s)]
    return {
        "n": [len(high), len(low)], "auc": _wins(high, low),
        "chance_of_a_perfect_order": _round(1 / math.comb(len(scores), len(high))),
    }  # fmt: skip


def _wins(high: Sequence[float], low: Sequence[float]) -> float:
    """Area under the ROC curve: how often a run of the first group has the higher score (Mann and Whitney, 1947)."""
    pairs = list(itertools.product(high, low))
    return _round(sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)) if pairs else math.nan


def _round(value: float) -> float:
    return round(value, 3)
