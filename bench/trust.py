"""What TLS, identities and rights cost: the same load in the clear and secured as shipped, in turns, in one run."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import machine
from bench.ingest import postgresql
from bench.shop import measure

_SIDES = ("plain", "secure")
_PARTS = ("generator", "broker", "centre")


def run(rates: Sequence[int], seconds: float, pairs: int, databases: Sequence[str]) -> dict[str, Any]:
    """`pairs` times plain, then secure, for each database and rate; a fresh database, broker and centre for each.

    A rate that the plain side keeps up with tells latencies; one beyond it tells what is committed at most.
    """
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="copeau-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        for database in databases:
            with postgresql(directory) if database == "postgresql" else nullcontext() as postgres:
                for rate, turn, side in itertools.product(rates, range(pairs), _SIDES):
                    folder = directory / f"{database}-{rate}-{turn}-{side}"
                    url = f"sqlite:///{folder / 'centre.db'}" if postgres is None else postgres.create_database()
                    figures = measure(folder, url, rate, seconds, secure=side == "secure")
                    which = {"side": side, "database": database, "rate": rate, "turn": turn}
                    runs.append(which | figures | _spent(figures))
    compared = [_compared(runs, database, rate) for database in databases for rate in rates]
    return {"machine": machine(), "seconds": seconds, "runs": runs, "compared": compared}


def _spent(figures: dict[str, Any]) -> dict[str, Any]:
    """Of each part: its share of a core while facts were committed, and what a fact cost it."""
    return {
        "core_share": {part: round(figures[f"{part}_cpu_s"] / figures["settled_s"], 2) for part in _PARTS},
        "us_per_fact": {part: round(figures[f"{part}_cpu_s"] / figures["published"] * 1e6) for part in _PARTS},
    }


def _compared(runs: Sequence[dict[str, Any]], database: str, rate: int) -> dict[str, Any]:
    """Medians of each side, and secure / plain of each pair.

    What a fact costs the centre is moved less than a rate is by whatever else the machine does.
    """
    of = {side: [r for r in runs if (r["side"], r["database"], r["rate"]) == (side, database, rate)] for side in _SIDES}
    ratios = [
        secure["settled_per_s"] / plain["settled_per_s"]
        for plain, secure in zip(of["plain"], of["secure"], strict=True)
    ]
    return {
        "database": database,
        "rate": rate,
        "settled_per_s": {side: median(r["settled_per_s"] for r in of[side]) for side in _SIDES},
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "centre_us_per_fact": {side: median(r["us_per_fact"]["centre"] for r in of[side]) for side in _SIDES},
    }


def lines(result: dict[str, Any]) -> list[str]:
    """For people."""
    rows = [str(result["machine"])]
    for one in result["runs"]:
        commit, page = one["publish_to_commit_ack"], one["publish_to_page"]
        rows.append(
            f"{one['side']:<6} {one['tls'] or 'in the clear':<30} {one['database']:<10} {one['rate']:>6}/s  "
            f"settled {one['settled_per_s']:>5}/s  commit p50 {commit['p50_ms']} p99 {commit['p99_ms']} ms  "
            f"page p50 {page['p50_ms']} p99 {page['p99_ms']} ms  generator behind {one['generator_behind_ms']} ms  "
            + "  ".join(
                f"{part} {100 * one['core_share'][part]:.0f} % {one['us_per_fact'][part]} µs" for part in _PARTS
            )
        )
    rows.extend(
        f"{one['database']:<10} {one['rate']:>6}/s  plain {one['settled_per_s']['plain']:g}/s  "
        f"secure {one['settled_per_s']['secure']:g}/s  ratio {one['ratio']} (pairs {one['ratios']})  "
        f"centre {one['centre_us_per_fact']['plain']:g} and {one['centre_us_per_fact']['secure']:g} µs a fact"
        for one in result["compared"]
    )
    return rows
