from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from cnc_bridge.testing import linuxcnc_sim
from tests.contract.cnc_bridge.far_sides import FarSide


class Far(FarSide):
    """LinuxCNC itself; `hang` stops its own processes and leaves the gateway beside it alive."""

    kind = "linuxcnc"
    missing = linuxcnc_sim.missing()
    has_host = False
    counts_up = False

    @property
    def state_file(self) -> Path:
        return self.folder / "linuxcnc.json"

    def command(self, *, without: str = "") -> Sequence[str]:  # a real controller has what it has
        return linuxcnc_sim.command(self.state_file, loop=True)

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:  # not over the network
        signals = {"spindle_load": "hal:spindle-load"} | ({without: "hal:no-such-pin"} if without else {})
        return {"command": linuxcnc_sim.entrance(self.state_file), "signals": signals}

    def hang(self) -> None:
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        for pid, name in linuxcnc_sim.inhabitants(self.state_file).items():
            if name in linuxcnc_sim.LINUXCNC:
                os.kill(pid, number)
