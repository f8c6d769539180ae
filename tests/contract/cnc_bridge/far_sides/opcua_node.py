from __future__ import annotations

from collections.abc import Sequence

from cnc_bridge.testing import node_opcua
from tests.contract.cnc_bridge.far_sides import FarSide


class Far(FarSide):
    """A node-opcua server with a MachineToolType lathe: what the standard names is found by the driver itself."""

    kind = "opcua"
    missing = node_opcua.missing()

    def command(self, *, without: str = "") -> Sequence[str]:
        machine = ["--cycle", "1.2", "--between", "0.3", "--port", str(self.port), "--pki", str(self.folder / "pki")]
        return node_opcua.command(*machine, *(["--omit", without] if without else []))

    def settings(self, host: str, port: int, *, without: str = "") -> dict[str, object]:
        mapped = {} if without not in ("programme", "part_count") else {without: "ns=8;s=NotThere"}
        return {
            "endpoint": f"opc.tcp://{host}:{port}/machine",
            "timeout_s": 2.0,
            "resync_s": 1.0,
            "signals": {"tool": "ns=8;s=Tool.Number", "spindle_load": "ns=8;s=Spindle.Load"} | mapped,
        }
