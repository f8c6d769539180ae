from __future__ import annotations

import sys
import tomllib
from collections.abc import Sequence
from typing import Any

from cnc_bridge.testing import lsv2_machine
from tests.contract.cnc_bridge.far_sides import FarSide


class Far(FarSide):
    """A fake Heidenhain controller of our own."""

    kind = "lsv2"
    source_time = False

    def command(self, *, without: str = "") -> Sequence[str]:  # the places decide what is not there
        rhythm = ["--cycle", "1.2", "--between", "0.3", "--alarm-every", "0"]
        return [sys.executable, "-m", "cnc_bridge.testing.lsv2_machine", "--port", str(self.port), *rhythm]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        table: dict[str, Any] = tomllib.loads(lsv2_machine.example_config(host, port))["driver"]
        if without:
            table["signals"][without] = "plc W999999"
        return table | {"period_s": 0.1, "timeout_s": 1.5}
