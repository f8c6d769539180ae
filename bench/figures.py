"""Small helpers: quantiles, and what machine the figures come from."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path


def quantiles(milliseconds: Sequence[float]) -> dict[str, float | None]:
    """p50, p99 and max, in ms; null when there is nothing."""
    if not milliseconds:
        return {"p50_ms": None, "p99_ms": None, "max_ms": None}
    ordered = sorted(milliseconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2)

    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": round(ordered[-1], 2)}


def machine() -> dict[str, object]:
    """Date, processor and cores, for the line in docs/measurements.md."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
