from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from typing import Any

from cnc_bridge.testing import s7_machine
from tests.contract.cnc_bridge.far_sides import FarSide


class Far(FarSide):
    """A python-snap7 server."""

    kind = "s7"
    source_time = False

    def command(self, *, without: str = "") -> Sequence[str]:  # the map decides what is not there
        rhythm = ["--cycle", "1.2", "--between", "0.3", "--alarm-every", "0"]
        return [sys.executable, "-m", "cnc_bridge.testing.s7_machine", "--port", str(self.port), *rhythm]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        table: dict[str, Any] = tomllib.loads(s7_machine.example_config(host, port))["driver"]
        if without:
            table["signals"][without] = "DB99.DBW0"
        return table | {"period_s": 0.1, "timeout_s": 1.5}
