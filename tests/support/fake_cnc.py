"""A FAKE controller at the driver port, registered only by tests: its memory is a folder, its state a JSON file.

It is slow on purpose, and writes as a serial line does: what is there after a kill is half a programme. As a process:
``python -m tests.support.fake_cnc agent run CONFIG.toml`` is ``copeau`` with the driver ``fake`` known.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from cnc_bridge import catalogue
from cnc_bridge.catalogue import Manifest
from cnc_bridge.port import Driver, DriverFaultError, Finding, ProgrammeFile
from cnc_bridge.settings import DriverSettings, Source

MANIFEST = Manifest(
    name="FAKE, tests only", maker="none", protocol="a folder", capabilities=("read", "programme"), stale_after_s=4,
    far_side="a fake",
)  # fmt: skip


class Settings(DriverSettings):
    kind: Literal["fake"] = "fake"
    folder: str
    """``state.json`` and ``memory/``."""
    line_s: float = 0.0
    """Seconds that a block takes to arrive."""
    tells_dates: bool = True

    @property
    def address(self) -> str:
        return self.folder


class FakeCnc(Driver):
    settings: Settings

    @property
    def memory(self) -> Path:
        return Path(self.settings.folder) / "memory"

    async def _session(self) -> None:
        told: dict[str, Any] = {}
        while True:
            try:
                state = json.loads((Path(self.settings.folder) / "state.json").read_text(encoding="utf-8"))
            except FileNotFoundError as error:
                raise DriverFaultError("off", "no state file", "La machine factice est éteinte.") from error
            now = self.clock.now()
            if not told:
                self._link_up("fake")
            for signal, value in state.items():
                if told.get(signal, ...) != value:
                    self._value(signal, Source(), value, None, now)
            told = state
            self._heard()
            await asyncio.sleep(0.1)

    async def probe(self) -> list[Finding]:
        return []

    async def _list_programmes(self) -> list[ProgrammeFile]:
        found = []
        for file in sorted(self.memory.iterdir()):
            stat = file.stat()
            if self.settings.tells_dates:
                changed = datetime.fromtimestamp(stat.st_mtime, UTC)
                found.append(ProgrammeFile(file.name, stat.st_size, changed))
            else:
                found.append(ProgrammeFile(file.name))
        return found

    async def _read_programme(self, name: str) -> bytes:
        try:
            return b"%\r\n" + (self.memory / name).read_bytes() + b"%\r\n"
        except FileNotFoundError as error:
            raise DriverFaultError("no_programme", f"no {name}", f"« {name} » n'est pas dans la machine.") from error

    async def _write_programme(self, name: str, content: bytes) -> None:
        lines = content.replace(b"\r\n", b"\n").splitlines()
        with (self.memory / name).open("wb", buffering=0) as file:
            for line in lines:
                if line != b"%":
                    file.write(line + b"\r\n")
                    if self.settings.line_s:
                        await asyncio.sleep(self.settings.line_s)


class Bench:
    """The folder of one fake machine, as its keyboard and screen would be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "memory").mkdir(parents=True)
        self.is_(execution="READY")

    def is_(self, **state: Any) -> None:
        partial = self.folder / "state.part"
        partial.write_text(json.dumps({"programme": "O1234"} | state), encoding="utf-8")
        partial.replace(self.folder / "state.json")

    def text(self, name: str) -> bytes | None:
        file = self.folder / "memory" / name
        return file.read_bytes() if file.exists() else None

    def edit(self, name: str, content: bytes) -> None:
        """Somebody changes it at the machine."""
        (self.folder / "memory" / name).write_bytes(content)

    def toml(self, name: str, *, line_s: float = 0.0, allow: str = '["programme"]') -> str:
        return (
            f'[[machine]]\nname = "{name}"\ndriver = "fake"\nfolder = "{self.folder}"\nline_s = {line_s}\n'
            f"allow = {allow}\nreconnect_max_s = 0.5\n"
        )


def register() -> None:
    """Make the driver ``fake`` known to this process."""
    kinds, manifest = catalogue.kinds, catalogue.manifest
    settings_type, driver_type = catalogue.settings_type, catalogue.driver_type
    catalogue.kinds = lambda: [*kinds(), "fake"]
    catalogue.manifest = lambda kind: MANIFEST if kind == "fake" else manifest(kind)  # type: ignore[assignment]  # cached
    catalogue.settings_type = lambda kind: Settings if kind == "fake" else settings_type(kind)
    catalogue.driver_type = lambda kind: FakeCnc if kind == "fake" else driver_type(kind)


if __name__ == "__main__":
    register()
    from copeau.cli import main

    sys.argv[0] = "copeau"
    main()
