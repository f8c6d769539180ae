from __future__ import annotations

from collections.abc import Sequence

from tests.contract.cnc_bridge.far_sides import CNC, FarSide

WORDS = {"1": "READY", "2": "ACTIVE", "3": "PROGRAM_COMPLETED", "4": "STOPPED"}


class Far(FarSide):
    """An asyncua server."""

    kind = "opcua"

    def command(self, *, without: str = "") -> Sequence[str]:
        moving = ["simulate", "--cycle", "1.2", "--between", "0.3", "--alarm-every", "0", "--port", str(self.port)]
        return [*CNC, *moving, *(["--omit", without] if without else [])]

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:  # not served
        return {
            "endpoint": f"opc.tcp://{host}:{port}/copeau",
            "timeout_s": 2.0,
            "resync_s": 1.0,
            "signals": {
                "execution": {"node": "ns=2;s=Machine.Execution", "words": WORDS},
                "programme": "ns=2;s=Machine.Program",
                "tool": "ns=2;s=Machine.Tool",
                "part_count": "ns=2;s=Machine.PartCount",
                "spindle_load": "ns=2;s=Machine.SpindleLoad",
            },
        }
