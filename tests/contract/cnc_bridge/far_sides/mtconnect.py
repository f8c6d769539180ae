from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.contract.cnc_bridge.far_sides import FarSide


class Far(FarSide):
    """Our own agent, with the recording of a real Okuma lathe."""

    kind = "mtconnect"
    counts_up = False

    def command(self, *, without: str = "") -> Sequence[str]:  # the device model is what it is
        return [sys.executable, "-m", "cnc_bridge.testing.mtconnect_agent", "--speed", "40", "--port", str(self.port)]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        lean: dict[str, object] = {"url": f"http://{host}:{port}", "heartbeat_s": 0.5, "timeout_s": 2.0}
        return lean | ({"signals": {without: "no_such_item"}} if without else {})
