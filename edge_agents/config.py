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
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from cnc_bridge import catalogue
from cnc_bridge.config import ConfigError as MachineConfigError
from cnc_bridge.config import MachineSource
from cnc_bridge.config import parse as parse_machine
from contracts.envelope import NAME_PATTERN
from edge_agents.link import Broker

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)
_Name = Annotated[str, Field(pattern=NAME_PATTERN)]
_Path = Annotated[Path, Field(strict=False)]
_Where = tuple[str | int, ...]

MAX_HOURS: Final = 72
"""Longest stay of a picture on an agent (docs/decisions/0015)."""


class ConfigError(Exception):
    """The configuration cannot be used. `lines`: one complaint each, with its line in the file and its fix."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = list(lines)
        super().__init__("\n".join(lines))


class _Section(BaseModel):
    model_config = _STRICT

    @field_validator("*", mode="after")
    @classmethod
    def _beside_the_file(cls, value: Any, info: ValidationInfo) -> Any:
        """Relative paths count from the configuration file."""
        base = (info.context or {}).get("directory")
        return base / value if isinstance(value, Path) and base is not None else value


class AgentSection(_Section):
    """Who this agent is; the broker knows it by its name."""

    name: _Name
    site: _Name = "atelier"


class CentreSection(_Section):
    """The broker through which the centre is reached, and the protocol's patience."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    username: str | None = None
    password: SecretStr | None = None
    password_file: _Path | None = None
    tls: bool = False
    ca: _Path | None = None
    client_cert: _Path | None = None
    client_key: _Path | None = None
    mqtt: Literal["5", "3.1.1"] = "5"
    heartbeat_s: Annotated[float, Field(ge=0.2, le=300, strict=False)] = 10.0
    resend_s: Annotated[float, Field(ge=0.5, le=600, strict=False)] = 30.0
    http: Annotated[
        str | None, Field(pattern=r"^https?://[^/\s]+/?$", description='the centre\'s pages, "http://nas:8000"')
    ] = None
    programmes_s: Annotated[
        float, Field(ge=0.5, le=86_400, strict=False, description="how often a machine's programmes are looked at")
    ] = 60.0

    @property
    def http_address(self) -> str:
        """Where programmes are fetched from and brought to; unless said, port 8000 beside the broker."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.http or f"http://{host}:8000"

    @model_validator(mode="after")
    def _whole(self) -> CentreSection:
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("`client_cert` and `client_key` go together")
        secure = self.tls or (self.http or "").startswith("https")
        if (self.ca and not secure) or (self.client_cert and not self.tls):
            raise ValueError("certificates are for TLS: add `tls = true`")
        if self.password is not None and self.password_file is not None:
            raise ValueError("give `password` or `password_file`, not both")
        if self.password_file is not None and not self.password_file.is_file():
            raise ValueError(f"password_file: no such file {self.password_file}")
        return self

    def broker(self) -> Broker:
        secret = None if self.password is None else self.password.get_secret_value()
        if self.password_file is not None:
            secret = self.password_file.read_text(encoding="utf-8").splitlines()[0]
        return Broker(
            host=self.host, port=self.port, username=self.username, password=secret, tls=self.tls, ca=self.ca,
            client_cert=self.client_cert, client_key=self.client_key, version=5 if self.mqtt == "5" else 4,
        )  # fmt: skip


class OutboxSection(_Section):
    """Where facts wait for the centre; a local disk, not a network share."""

    path: _Path = Path("outbox.db")
    max_mb: Annotated[int, Field(ge=8, le=1_000_000)] = 512


class PicturesSection(_Section):
    """Pictures of movements and doubts, encrypted on this disk until the centre has them, and never longer."""

    hours: Annotated[float, Field(gt=0, le=MAX_HOURS, strict=False)] = float(MAX_HOURS)
    max_mb: Annotated[int, Field(ge=1, le=100_000)] = 200
    folder: Annotated[_Path | None, Field(description="default: beside the outbox")] = None
    key: Annotated[_Path | None, Field(description="made at the first start, for this user alone")] = None


class RackSection(_Section):
    """A camera over a rack. `source`: a folder, a video, a camera's number or an rtsp/http address."""

    name: _Name
    source: Annotated[str, Field(min_length=1)]
    rack: _Path = Path("rack.json")
    place: Annotated[str, Field(max_length=80, description="default: the name; slots are `place/slot`")] = ""
    fps: Annotated[float, Field(gt=0, le=60, strict=False)] = 10.0
    loop: bool = False
    detector: Literal["onnx", "none"] = "onnx"
    model: _Path | None = None
    model_key: Annotated[_Path | None, Field(description="Ed25519 public key (PEM) of those who sign models")] = None
    unsigned_models: Annotated[bool, Field(description="take models that nobody signed: not in a workshop")] = False
    pictures: Annotated[
        Literal["all", "doubtful", "none"], Field(description="of which movements; questions are doubtful")
    ] = "all"
    idle_fps: Annotated[
        float, Field(ge=0, le=60, strict=False, description="rate until a contact opens; 0: always `fps`")
    ] = 0.0

    @field_validator("source", mode="after")
    @classmethod
    def _recording_beside_the_file(cls, value: str, info: ValidationInfo) -> str:
        """A recording's relative path counts from the configuration file, as all others."""
        base = (info.context or {}).get("directory")
        return str(base / value) if base is not None and (base / value).exists() else value

    @model_validator(mode="after")
    def _rack_file(self) -> RackSection:
        if not self.rack.is_file():
            raise ValueError(f"rack: no such file {self.rack}: draw the rack's places first (`copeau vision teach`)")
        if self.model_key is not None and not self.model_key.is_file():
            raise ValueError(f"model_key: no such file {self.model_key}: copy the public key that signs models here")
        if self.model_key is not None and self.unsigned_models:
            raise ValueError("`model_key` and `unsigned_models = true` contradict each other: keep one")
        if self.idle_fps > self.fps:
            raise ValueError("`idle_fps` is at most `fps`")
        return self


class ScannerSection(_Section):
    """One post's scanner. One of `images`, `camera`, `serial`, `keyboard`, `lines` says where codes come from."""

    name: _Name
    post: Annotated[str, Field(min_length=1, max_length=120)]
    images: Annotated[_Path | None, Field(description="folder into which photos are put")] = None
    camera: Annotated[str | None, Field(description="its number, or an rtsp/http address")] = None
    serial: Annotated[str | None, Field(description="serial port, `/dev/ttyUSB0`")] = None
    keyboard: Annotated[str | None, Field(description="input device, `/dev/input/by-id/…-event-kbd`")] = None
    lines: Annotated[str | None, Field(description="file or pipe with one code a line, `-` for standard input")] = None
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    fps: Annotated[float, Field(gt=0, le=30, strict=False)] = 5.0
    every_s: Annotated[float, Field(ge=0, le=3600, strict=False, description="pause between two photos")] = 0.0
    loop: Annotated[bool, Field(description="show the photos again when all were read")] = False
    action: Literal["take", "return", "toggle", "identify"] = "identify"
    qty: Annotated[int, Field(ge=1, le=10**9, description="thousandths for one scan")] = 1000
    place: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    person: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    operation: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    same_within_s: Annotated[float, Field(ge=0, le=600, strict=False)] = 5.0

    @model_validator(mode="after")
    def _one_source(self) -> ScannerSection:
        given = [
            kind for kind in ("images", "camera", "serial", "keyboard", "lines") if getattr(self, kind) is not None
        ]
        if len(given) != 1:
            said = " and ".join(f"`{kind}`" for kind in given) or "none"
            raise ValueError(f"give exactly one of `images`, `camera`, `serial`, `keyboard`, `lines`; here: {said}")
        return self


class AgentConfig(BaseModel):
    """The whole tree, checked."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, extra="forbid")

    agent: AgentSection
    centre: CentreSection = CentreSection()
    outbox: OutboxSection = OutboxSection()
    pictures: PicturesSection = PicturesSection()
    rack: list[RackSection] = []
    scanner: list[ScannerSection] = []
    machine: list[MachineSource] = []

    @property
    def part_names(self) -> list[str]:
        named = [rack.name for rack in self.rack] + [scanner.name for scanner in self.scanner]
        named += [source.machine.id for source in self.machine]
        return named + [guard_name(source.machine.id) for source in self.machine if source.machine.guard is not None]


def guard_name(machine: str) -> str:
    """The part that guards this machine."""
    return f"{machine}-garde"


_PARTS: dict[str, type[RackSection | ScannerSection]] = {"rack": RackSection, "scanner": ScannerSection}
_TABLES: dict[str, type[_Section]] = {
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
    names = config.part_names
    complaints += [
        (_where_named(config, name), f"two parts are called `{name}`: their facts could not be told apart")
        for name in dict.fromkeys(n for n in names if names.count(n) > 1)
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
    form: type[_Section], table: Any, where: _Where, directory: Path, complaints: list[tuple[_Where, str]]
) -> _Section | None:
    try:
        return form.model_validate(table, context={"directory": directory})
    except ValidationError as error:
        complaints += [((*where, *detail["loc"]), _sentence(form, detail)) for detail in error.errors()]
        return None


def _sentence(form: type[_Section], detail: ErrorDetails) -> str:
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
    kinds = [(("rack", n), p.name) for n, p in enumerate(config.rack)]
    kinds += [(("scanner", n), p.name) for n, p in enumerate(config.scanner)]
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
