"""Settings of a LinuxCNC machine: who runs it, how its Python is reached, and which of its values is which signal."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from cnc_bridge.settings import DriverSettings, Source, named_signals, shorthand

KEYS = frozenset({
    "availability", "execution", "mode", "emergency_stop", "programme", "tool", "part_count", "spindle_speed", "feed",
    "feed_override", "rapid_override", "spindle_override", "line", *(f"position.{axis}" for axis in "xyzabcuvw"),
})  # fmt: skip
"""What the gateway reads of LinuxCNC's status; feed in mm/min, positions in mm and degrees, overrides in percent."""


class KeySource(Source):
    """A signal from the status (`feed`, `position.x`…) or from a HAL pin or signal (`hal:spindle-load`)."""

    key: Annotated[str, Field(min_length=1, max_length=120)]

    @field_validator("key")
    @classmethod
    def _known(cls, key: str) -> str:
        if key not in KEYS and not key.startswith("hal:"):
            raise ValueError(f"{key!r} is not read from LinuxCNC: use hal:<pin>, or one of {', '.join(sorted(KEYS))}")
        return key


DEFAULT = {name: KeySource(key=name) for name in sorted(KEYS) if not name.startswith("position.") and name != "line"}


class Settings(DriverSettings):
    """`signals` adds to or replaces the default ones; a signal set to "" is not read."""

    kind: Literal["linuxcnc"]
    python: Annotated[str, Field(min_length=1, description="the Python that LinuxCNC was installed for")] = (
        "/usr/bin/python3"
    )
    user: Annotated[
        str | None,
        Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$", description="the account that runs LinuxCNC, if not the agent's"),
    ] = None
    command: Annotated[
        tuple[str, ...],
        Field(strict=False, description="put before `python`: `ssh cnc@192.168.1.40` as a list of words"),
    ] = ()
    nml: Annotated[str | None, Field(description="NML file, where the machine does not use LinuxCNC's own")] = None
    task: Annotated[str, Field(description="name of the task process: [TASK]TASK of its ini")] = "milltask"
    period_s: Annotated[float, Field(ge=0.001, le=1, description="5 ms for the guard")] = 0.02
    connect_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 10.0
    heartbeat_s: Annotated[float, Field(ge=0.1, le=1.5, description="longest pause between two lines")] = 0.5
    errors: Annotated[
        bool,
        Field(description="read LinuxCNC's error messages: each one then misses on the machine's own screen"),
    ] = False
    extensions: Annotated[tuple[str, ...], Field(strict=False, min_length=1)] = (".ngc", ".nc", ".tap")
    signals: dict[str, KeySource] = DEFAULT

    @field_validator("signals", mode="before")
    @classmethod
    def _over_defaults(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        merged = {**DEFAULT, **shorthand("key")(named_signals(value))}
        return {name: source for name, source in merged.items() if source != {"key": ""}}

    @field_validator("extensions")
    @classmethod
    def _dotted(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for extension in value:
            if not re.fullmatch(r"\.[a-z0-9]{1,8}", extension):
                raise ValueError(f"{extension!r} is no extension: write it like .ngc")
        return value

    @property
    def address(self) -> str:
        """`linuxcnc`, with the computer when it is another one."""
        host = next((word for word in self.command[1:] if "@" in word), "") if self.by_ssh else ""
        return f"linuxcnc at {host.rpartition('@')[2]}" if host else "linuxcnc"

    @property
    def by_ssh(self) -> bool:
        """Whether `command` takes the gateway to another computer, through a shell there."""
        return bool(self.command) and self.command[0].rsplit("/", 1)[-1] == "ssh"
