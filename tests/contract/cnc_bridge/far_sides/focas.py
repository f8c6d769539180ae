from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.contract.cnc_bridge.far_sides import FarSide


class Far(FarSide):
    """A fake Fanuc controller of our own."""

    kind = "focas"
    source_time = False

    def command(self, *, without: str = "") -> Sequence[str]:  # the places decide what is not there
        rhythm = ["--cycle", "1.2", "--between", "0.3", "--alarm-every", "0"]
        return [sys.executable, "-m", "cnc_bridge.testing.focas_machine", "--port", str(self.port), *rhythm]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        table: dict[str, object] = {"host": host, "port": port, "period_s": 0.1, "timeout_s": 1.5}
        return table | ({"signals": {without: "macro 99999"}} if without else {})
