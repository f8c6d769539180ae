"""On a real LinuxCNC: a load injected in its HAL, the feed held, velocity 0 seen."""

from __future__ import annotations

import pytest

from bench.guard_latency import run_linuxcnc
from cnc_bridge.testing import linuxcnc_sim


@pytest.mark.skipif(bool(linuxcnc_sim.missing()), reason=linuxcnc_sim.missing() or "LinuxCNC is there")
def test_an_injected_load_holds_the_feed_and_velocity_0_is_seen() -> None:
    result = run_linuxcnc(3)
    assert result["outcomes"] == {"held": 3}
    assert result["sample_in_to_hold_out"]["p50_ms"] > 0
    assert result["hold_out_to_velocity_0"]["p50_ms"] >= 20  # the ramp from 25 mm/s at 508 mm/s² takes 49 ms
    assert result["travel_mm_max"] > 0
