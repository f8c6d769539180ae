"""One machine's configuration: a typed tree, and errors that say the line and the fix.

[machine]
id = "tour-1"

[driver]
kind = "shdr"
host = "192.168.1.30"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from cnc_bridge import catalogue
from cnc_bridge.guard.settings import GuardSettings
from cnc_bridge.port import Clock, Driver
from cnc_bridge.settings import DriverSettings

_T = TypeVar("_T", bound=BaseModel)


class ConfigError(Exception):
    """The configuration cannot be used; one complaint a line, each with its fix."""

    def __init__(self, complaints: Sequence[tuple[tuple[str | int, ...], str]], lines: Sequence[str] = ()) -> None:
        self.complaints = list(complaints)
        """(path of keys, sentence): a caller that embeds this table in its own file can find the line itself."""
        super().__init__("\n".join(lines or [f"{_dotted(where)}: {text}" for where, text in self.complaints]))


class MachineSection(BaseModel):
    """Which machine this is."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", description="as in the centre: `tour-1`")]
    name: str = ""
    stale_after_s: Annotated[float | None, Field(gt=0, le=120, description="default: the driver's own bound")] = None
    guard: Annotated[
        GuardSettings | None, Field(description="the collision guard; none unless this table is there")
    ] = None


class MachineSource(BaseModel):
    """A machine and its driver's settings, checked."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    machine: MachineSection
    driver: DriverSettings

    @property
    def stale_after_s(self) -> float:
        """Seconds without a sign of life after which the machine is silent."""
        return self.machine.stale_after_s or catalogue.manifest(self.driver.kind).stale_after_s

    @property
    def units(self) -> dict[str, str]:
        """Units of the signals that the shop named itself."""
        signals: Mapping[str, Any] = getattr(self.driver, "signals", {})
        return {name: source.unit for name, source in signals.items() if source.unit}

    def create_driver(self, clock: Clock | None = None) -> Driver:
        """The driver, not yet open."""
        return catalogue.driver_type(self.driver.kind)(self.driver, clock)


def parse(table: Mapping[str, Any]) -> MachineSource:
    """A table with `machine` and `driver` (from whatever file) as a MachineSource. Raises ConfigError."""
    complaints: list[tuple[tuple[str | int, ...], str]] = []
    complaints += [
        ((name,), f"unknown table{_suggest(name, ['machine', 'driver'])}")
        for name in table
        if name not in ("machine", "driver")
    ]
    machine = _validated(MachineSection, table.get("machine"), ("machine",), complaints)
    driver_table = table.get("driver")
    kind = driver_table.get("kind") if isinstance(driver_table, Mapping) else None
    driver: DriverSettings | None = None
    if not isinstance(driver_table, Mapping):
        complaints.append((("driver",), "missing: add a [driver] table with its `kind`"))
    elif kind not in catalogue.kinds():
        known = ", ".join(f'"{name}"' for name in catalogue.kinds())
        said = "missing" if kind is None else f"unknown driver {kind!r}"
        complaints.append((("driver", "kind"), f"{said}: use one of {known}"))
    else:
        driver = _validated(catalogue.settings_type(str(kind)), driver_table, ("driver",), complaints)
    if machine is not None and machine.guard is not None and driver is not None:
        complaints += _guard_complaints(machine.guard, driver)
        if isinstance(driver_table, Mapping) and machine.guard.driver:
            own = {**driver_table, **machine.guard.driver, "kind": kind}
            _validated(type(driver), own, ("machine", "guard", "driver"), complaints)
    if complaints or machine is None or driver is None:
        raise ConfigError(complaints)
    return MachineSource(machine=machine, driver=driver)


def _guard_complaints(guard: GuardSettings, driver: DriverSettings) -> list[tuple[tuple[str | int, ...], str]]:
    """A guard needs a connection of its own; a hold, a way to the machine and its word that it may be used."""
    if str(getattr(driver, "device", None)).startswith("/"):
        return [(("machine", "guard"), "a serial line has one end, the agent's: guard this machine over the network")]
    if guard.mode != "hold" or guard.relay is not None:
        return []
    if "hold" not in catalogue.manifest(driver.kind).capabilities:
        said = f'the {driver.kind} driver cannot hold: use `mode = "alert"`, or wire a relay ([machine.guard.relay])'
        return [(("machine", "guard", "mode"), said)]
    if "hold" not in driver.allow:
        said = '`mode = "hold"` needs `allow = ["hold"]` in the driver\'s table: this machine does not allow holds yet'
        return [(("machine", "guard", "mode"), said)]
    return []


def load(path: Path) -> MachineSource:
    """The configuration file at `path`. Raises ConfigError with `file, line, what, fix`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([((), f"{path}: cannot be read: {error}")], [f"{path}: cannot be read: {error}"]) from error
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([((), str(error))], [f"{path}: not valid TOML: {error}"]) from error
    try:
        return parse(table)
    except ConfigError as error:
        lines = [f"{path}, line {line_of(text, where)}: {_dotted(where)}: {said}" for where, said in error.complaints]
        raise ConfigError(error.complaints, lines) from error


def line_of(text: str, where: Sequence[str | int]) -> int:
    """The line (from 1) of the deepest key of `where` that the TOML text writes; its table's line, else 1."""
    keys = [str(key) for key in where]
    best, depth, table = 1, 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]+", line)
        assigned = re.match(r"""\s*([A-Za-z0-9_."'-]+)\s*=""", line)
        if header:
            table = _split(header[1])
            here = table
        elif assigned:
            here = table + _split(assigned[1])
        else:
            continue
        if here == keys[: len(here)] and len(here) > depth:
            best, depth = number, len(here)
    return best


def _split(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _dotted(where: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in where) or "file"


def _validated(
    kind: type[_T], table: object, at: tuple[str, ...], complaints: list[tuple[tuple[str | int, ...], str]]
) -> _T | None:
    if table is None:
        complaints.append((at, f"missing: add a [{_dotted(at)}] table"))
        return None
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        complaints += [((*at, *detail["loc"]), _sentence(kind, detail)) for detail in error.errors()]
        return None


def _sentence(kind: type[BaseModel], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        known = list(kind.model_fields) if len(detail["loc"]) == 1 else list(_SOURCE_KEYS)
        return f"unknown key{_suggest(str(detail['loc'][-1]), known)}"
    if detail["type"] == "missing":
        return "missing: this key is required"
    said = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return said
    return f"{said[0].lower()}{said[1:]}; it is {detail['input']!r:.60}"


_SOURCE_KEYS = ("scale", "unit", "words", "node", "key", "at", "register", "table", "address", "type")


def _suggest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean `{close[0]}`?" if close else f": remove it, or use one of {', '.join(known)}"
