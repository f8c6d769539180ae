from __future__ import annotations

from collections.abc import Sequence

from tests.contract.cnc_bridge.far_sides import CNC, FarSide


class Far(FarSide):
    """The recording of a real Okuma lathe, served again and again."""

    kind = "shdr"
    counts_up = False

    def command(self, *, without: str = "") -> Sequence[str]:  # the recording is what it is
        return [*CNC, "replay", "--speed", "40", "--heartbeat-ms", "500", "--port", str(self.port)]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        lean: dict[str, object] = {"host": host, "port": port, "heartbeat_s": 0.5, "connect_timeout_s": 2.0}
        return lean | ({"signals": {without: "no_such_key"}} if without else {})
