"""The node-opcua server: a third party's OPC UA stack with a MachineToolType lathe, for tests, benches and demos.

`server.mjs` is started by `command`; its options are at the head of that file. It needs Node.js 20 and `npm ci` in this
folder (`scripts/setup test` does both). Its own nodes are in namespace 8 (9 with `--robot`): `ns=8;s=Tag.0` and on with
`--items`, `ns=8;s=Spindle.Load`, `Spindle.Speed`, `Feed.Actual`, `Tool.Number`, `Feed.Hold`, and the methods `HoldFeed`
and `ResumeFeed` of `Vendor`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def node() -> str | None:
    """A Node.js of version 20 or newer: on the path, or beside this Python."""
    for found in (shutil.which("node"), shutil.which("node", path=str(Path(sys.executable).parent))):
        if found is not None:
            version = [found, "--version"]
            said = subprocess.run(version, capture_output=True, text=True, check=False).stdout  # noqa: S603  # nosec B603  # found above
            if said.startswith("v") and int(said[1:].partition(".")[0]) >= 20:
                return found
    return None


def missing() -> str:
    """Why the server cannot run here, with the next step; empty when it can."""
    if node() is None:
        return "Node.js 20 or newer is not here: run `scripts/setup test`"
    if not (FOLDER / "node_modules" / "node-opcua").is_dir():
        return f"node-opcua is not installed: run `scripts/setup test`, or `npm ci` in {FOLDER.name}/"
    return ""


def command(*options: str) -> list[str]:
    """What starts it; it prints one JSON line `{"listening": url}` and obeys JSON lines on its input (faults.mjs)."""
    return [node() or "node", str(FOLDER / "server.mjs"), *options]
