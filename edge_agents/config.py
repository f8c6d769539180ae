"""The agent's configuration: one typed tree from one TOML file, and errors that say the line and the fix.

[agent]
name = "rack-1"
site = "atelier"

[centre]
host = "nas.local"

[[rack]]
name = "rack-a"
source = "0"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from cnc_bridge import catalogue
from cnc_bridge.config import ConfigError as MachineConfigError
from cnc_bridge.config import MachineSource
from cnc_bridge.config import parse as parse_machine
from edge_agents.sections import (
    AgentSection,
    CentreSection,
    ContactSection,
    Named,
    OutboxSection,
    PicturesSection,
    RackSection,
    ScaleSection,
    ScannerSection,
    Section,
)

_Where = tuple[str | int, ...]


class ConfigError(Exception):
    """The configuration cannot be used. `lines`: one complaint each, with its line in the file and its fix."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = list(lines)
        super().__init__("\n".join(lines))


class AgentConfig(BaseModel):
    """The whole tree, checked."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    agent: AgentSection
    centre: CentreSection = CentreSection()
    outbox: OutboxSection = OutboxSection()
    pictures: PicturesSection = PicturesSection()
    rack: list[RackSection] = []
    scanner: list[ScannerSection] = []
    scale: list[ScaleSection] = []
    contact: list[ContactSection] = []
    machine: list[MachineSource] = []

    @property
    def part_names(self) -> list[str]:
        named = [part.name for part in (*self.rack, *self.scanner, *self.scale, *self.contact)]
        named += [source.machine.id for source in self.machine]
        return named + [guard_name(source.machine.id) for source in self.machine if source.machine.guard is not None]


def guard_name(machine: str) -> str:
    """The part that guards this machine."""
    return f"{machine}-garde"


_PARTS: dict[str, type[Named]] = {
    "rack": RackSection, "scanner": ScannerSection, "scale": ScaleSection, "contact": ContactSection,
}  # fmt: skip
OWN_PARTS: Final = ("images",)
"""Names of parts that no configuration names."""
_TABLES: dict[str, type[Section]] = {
    "agent": AgentSection,
    "centre": CentreSection,
    "outbox": OutboxSection,
    "pictures": PicturesSection,
}
_ALL = (*_TABLES, *_PARTS, "machine")


def load(path: Path) -> AgentConfig:
    """Read and check the file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"{path}: not valid TOML: {error}"]) from error
    complaints: list[tuple[_Where, str]] = []
    config = _parse(table, path.absolute().parent, complaints)
    if complaints or config is None:
        found = sorted((line_of(text, where), _dotted(where), said) for where, said in complaints)
        raise ConfigError([f"{path}, line {line}: {where}: {said}" for line, where, said in found])
    return config


def _parse(table: Mapping[str, Any], directory: Path, complaints: list[tuple[_Where, str]]) -> AgentConfig | None:
    made: dict[str, Any] = {}
    complaints += [((name,), f"unknown table{_nearest(name, _ALL)}") for name in table if name not in _ALL]
    for name, form in _TABLES.items():
        made[name] = _validated(form, table.get(name, {}), (name,), directory, complaints)
    for name, form in _PARTS.items():
        entries = _entries(name, table, complaints)
        made[name] = [_validated(form, entry, (name, n), directory, complaints) for n, entry in enumerate(entries)]
    made["machine"] = [
        _machine(entry, ("machine", n), directory, complaints)
        for n, entry in enumerate(_entries("machine", table, complaints))
    ]
    if complaints:
        return None
    config = AgentConfig(**made)
    card = None if config.centre.enrolled is None else config.centre.enrolled.card
    for key, said, enrolled in (
        ("name", config.agent.name, card and card.name), ("site", config.agent.site, card and card.site),
    ):  # fmt: skip
        if enrolled is not None and said != enrolled:
            complaints.append((("agent", key), f"this agent is enrolled as `{enrolled}`: write so, or enrol it again"))
    names = config.part_names
    complaints += [
        (_where_named(config, name), f"two parts are called `{name}`: their facts could not be told apart")
        for name in dict.fromkeys(n for n in names if names.count(n) > 1)
    ]
    complaints += [
        (_where_named(config, name), f"`{name}` is a part of every agent's own: choose another name")
        for name in OWN_PARTS
        if name in names
    ]
    racks = [rack.name for rack in config.rack]
    complaints += [
        (("contact", n, "rack"), f"no rack here is called `{contact.rack}`{_nearest(contact.rack, racks)}")
        for n, contact in enumerate(config.contact)
        if contact.rack is not None and contact.rack not in racks
    ]
    return config


def _entries(name: str, table: Mapping[str, Any], complaints: list[tuple[_Where, str]]) -> list[Any]:
    entries = table.get(name, [])
    if not isinstance(entries, list):
        complaints.append(((name,), f"write [[{name}]], with two brackets: there may be several"))
        return []
    return entries


def _machine(entry: Any, where: _Where, directory: Path, complaints: list[tuple[_Where, str]]) -> MachineSource | None:
    if not isinstance(entry, Mapping) or "name" not in entry or "driver" not in entry:
        complaints.append((where, f"a machine needs `name` and `driver`: {', '.join(catalogue.kinds())}"))
        return None
    own = {"name", "driver", "label", "stale_after_s", "guard"}
    settings = {key: _path_beside(key, value, directory) for key, value in entry.items() if key not in own}
    machine = {"id": entry["name"], "name": entry.get("label", "")}
    machine |= {key: entry[key] for key in ("stale_after_s", "guard") if key in entry}
    if isinstance(machine.get("guard"), Mapping) and isinstance(machine["guard"].get("memory"), str):
        machine["guard"] = {**machine["guard"], "memory": str(directory / machine["guard"]["memory"])}
    try:
        return parse_machine({"machine": machine, "driver": {"kind": entry["driver"], **settings}})
    except MachineConfigError as error:
        back = {"id": "name", "name": "label", "kind": "driver"}
        complaints += [
            ((*where, *(back.get(str(key), key) for key in path[1:2]), *path[2:]), said)
            for path, said in error.complaints
        ]
        return None


_MACHINE_PATHS = (
    "certificate", "private_key", "server_certificate", "password_file", "user_certificate", "user_private_key",
)  # fmt: skip


def _path_beside(key: str, value: Any, directory: Path) -> Any:
    return str(directory / value) if key in _MACHINE_PATHS and isinstance(value, str) else value


def _validated(
    form: type[Section], table: Any, where: _Where, directory: Path, complaints: list[tuple[_Where, str]]
) -> Section | None:
    try:
        return form.model_validate(table, context={"directory": directory})
    except ValidationError as error:
        complaints += [((*where, *detail["loc"]), _sentence(form, detail)) for detail in error.errors()]
        return None


def _sentence(form: type[Section], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown key{_nearest(str(detail['loc'][-1]), list(form.model_fields))}"
    if detail["type"] == "missing":
        return "missing: this key is required"
    said = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return said
    if detail["type"] == "string_pattern_mismatch":
        said = (
            'an address is written "http://nas:8000"'
            if detail["loc"][-1] == "http"
            else "lower-case letters, digits and hyphens only"
        )
    return f"{said[0].lower()}{said[1:]}; it is {detail['input']!r:.60}"


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f": did you mean `{close[0]}`?" if close else f": remove it, or use one of {', '.join(known)}"


def _where_named(config: AgentConfig, name: str) -> _Where:
    """The last part of that name."""
    kinds: list[tuple[_Where, str]] = []
    for kind, parts in (
        ("rack", config.rack), ("scanner", config.scanner), ("scale", config.scale), ("contact", config.contact),
    ):  # fmt: skip
        kinds += [((kind, n), part.name) for n, part in enumerate(parts)]
    for n, source in enumerate(config.machine):
        names = (source.machine.id, *([guard_name(source.machine.id)] if source.machine.guard is not None else []))
        kinds += [(("machine", n), called) for called in names]
    return (*[where for where, called in kinds if called == name][-1], "name")


def _dotted(where: _Where) -> str:
    """``rack[2].source``, counted from 1 as a person does."""
    out = ""
    for key in where:
        out += f"[{key + 1}]" if isinstance(key, int) else f".{key}" if out else key
    return out or "file"


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"""\s*([A-Za-z0-9_."'-]+)\s*=""")


def line_of(text: str, where: _Where) -> int:
    """The line (from 1) of the deepest key of `where` that the TOML text writes; its table's line, else 1."""
    best, depth = 1, 0
    table: list[str | int] = []
    counted: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header, assigned = _HEADER.match(line), _KEY.match(line)
        if header:
            names = [part.strip().strip("\"'") for part in header[2].split(".")]
            if header[1] == "[[":
                counted[names[0]] = counted.get(names[0], -1) + 1
            table = [names[0], *([counted[names[0]]] if names[0] in counted else []), *names[1:]]
            here = table
        elif assigned:
            here = [*table, *(part.strip().strip("\"'") for part in assigned[1].split("."))]
        else:
            continue
        if here == list(where[: len(here)]) and len(here) > depth:
            best, depth = number, len(here)
    return best
