"""What persons wait for: signing in by password, and the whole journal walked again by ``copeau admin verify``."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.figures import machine, quantiles
from bench.traffic import SITE

_LOGIN, _PASSWORD = "banc", "une phrase assez longue pour le banc"
_AT_ONCE = 1000


def run(sign_ins: int, entries: int) -> dict[str, Any]:
    """On a fresh SQLite database: `sign_ins` one after the other, then a journal of at least `entries` acts."""
    with tempfile.TemporaryDirectory(prefix="copeau-bench-") as name:
        url = f"sqlite:///{Path(name) / 'centre.db'}"
        figures = asyncio.run(_fill(url, sign_ins, entries))
        command = [sys.executable, "-m", "copeau.cli", "admin", "verify", "--database", url, "--json"]
        began = time.perf_counter()
        done = subprocess.run(  # nosec B603  # our own commands
            command, capture_output=True, text=True, check=False, env=os.environ | {"COPEAU_SITE": SITE}
        )
        took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"the journal is not whole:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    walked = json.loads(done.stdout)["entries"]
    verify = {"entries": walked, "s": round(took, 2), "entries_per_s": round(walked / took)}
    return {"machine": machine(), **figures, "verify": verify}


async def _fill(url: str, sign_ins: int, entries: int) -> dict[str, Any]:
    from central.audit import service as audit
    from central.core.settings import Settings
    from central.offline import prepare
    from central.people import links
    from central.people.keys import Keys
    from central.people.passwords import Hashing
    from central.people.sessions import Caller
    from central.people.signing_in import Door

    settings = Settings(database_url=url, site=SITE)
    caller = Caller("127.0.0.1", "bench")
    async with prepare(settings) as units:
        keys = Keys(settings)
        keys.open()
        door = Door(units, keys, Hashing())
        async with units.begin() as uow:
            token = await links.setup_token(uow)
        await door.start_with_link(token or "", name="Banc", login=_LOGIN, password=_PASSWORD, caller=caller)
        took: list[float] = []
        for _ in range(sign_ins):
            began = time.perf_counter()
            await door.enter(_LOGIN, _PASSWORD, caller)
            took.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        for _ in range(0, entries, _AT_ONCE):
            async with units.begin() as uow:
                for number in range(_AT_ONCE):
                    what = {"item": f"ART-{number:04d}", "qty": -1000, "note": audit.erasable("compté")}
                    await audit.record(uow, who="p-banc", what="stock.correct", subject=f"place:A{number}", **what)
        wrote = time.perf_counter() - began
    return {"sign_in": quantiles(took), "written_per_s": round(entries / wrote)}
