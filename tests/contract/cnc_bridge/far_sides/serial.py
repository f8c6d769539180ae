from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.contract.cnc_bridge.far_sides import FarSide


class Far(FarSide):
    """The fake Haas over TCP. The same over a pseudo-terminal: tests/integration/cnc_bridge/test_serial_haas.py."""

    kind = "serial"
    source_time = False

    def command(self, *, without: str = "") -> Sequence[str]:
        fake = [sys.executable, "-m", "cnc_bridge.testing.haas", "--port", str(self.port)]
        return [*fake, "--cycle", "1.2", "--between", "0.6", *(["--omit", without] if without else [])]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:  # not answered
        lean: dict[str, object] = {"host": host, "port": port, "connect_timeout_s": 2.0, "answer_timeout_s": 0.5}
        return lean | {"dialect": "haas_mdc", "poll_s": 0.1}
