"""Does LinuxCNC run on this computer? Its Python module reaches no other one: there, `command` goes through ssh."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from cnc_bridge.drivers.linuxcnc.driver import ControllerDriver
from cnc_bridge.drivers.linuxcnc.gateway import running, user_name
from cnc_bridge.drivers.linuxcnc.settings import Settings
from cnc_bridge.port import Finding
from cnc_bridge.probing import Address, Offer

HERE = ("linuxcnc", "localhost", "127.0.0.1", "::1")


async def discover(address: Address) -> Offer | None:
    """An offer for `linuxcnc` or `localhost`. Raises DriverFaultError where it is installed and cannot be read."""
    if address.host not in HERE or address.port or address.scheme or shutil.which("linuxcnc") is None:
        return None
    user = _user()
    if user is None and address.host != "linuxcnc":
        return None
    settings = Settings(kind="linuxcnc", user=user or None)
    lines = ['kind = "linuxcnc"', *([f'user = "{user}"'] if user else [])]
    findings = await ControllerDriver(settings).probe()
    lines.append(
        '[driver.signals]\n# spindle_load = "hal:…"  a HAL pin or signal in percent, where the drive gives one'
    )
    note = Finding("note", "spindle_load", "LinuxCNC has none by itself: name a HAL pin, see `halcmd show pin`")
    return Offer("linuxcnc", "LinuxCNC on this computer", "\n".join(lines) + "\n", [*findings, note])


def _user() -> str | None:
    """The account of the LinuxCNC that runs here: "" for our own, None when none runs."""
    task = running().get("milltask")
    if task is None:
        return None
    owner = Path(f"/proc/{task}").stat().st_uid
    return "" if owner == os.geteuid() else user_name(owner)
