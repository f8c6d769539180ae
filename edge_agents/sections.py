"""The tables of an agent's configuration file, each a typed section; :mod:`edge_agents.config` reads them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from cnc_bridge.drivers.gpio.settings import Input
from contracts.envelope import NAME_PATTERN
from edge_agents.identity import Identity, IdentityError
from edge_agents.link import Broker

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)
_Name = Annotated[str, Field(pattern=NAME_PATTERN)]
_Path = Annotated[Path, Field(strict=False)]

MAX_HOURS: Final = 72
"""Longest stay of a picture on an agent (docs/decisions/0015)."""


class Section(BaseModel):
    model_config = _STRICT

    @field_validator("*", mode="after")
    @classmethod
    def _beside_the_file(cls, value: Any, info: ValidationInfo) -> Any:
        """Relative paths count from the configuration file."""
        base = (info.context or {}).get("directory")
        return base / value if isinstance(value, Path) and base is not None else value


class Named(Section):
    """A part of its own."""

    name: _Name


class AgentSection(Section):
    """Who this agent is; the broker knows it by its name."""

    name: _Name
    site: _Name = "atelier"
    racks_per_process: Annotated[
        int, Field(ge=1, le=16, description="racks that share a process (100 MB each); 1: a crash costs one rack only")
    ] = 4


class CentreSection(Section):
    """The broker through which the centre is reached, and the protocol's patience."""

    identity: Annotated[
        _Path | None,
        Field(description="folder that `copeau agent enrol` wrote: who this agent is and where the centre is"),
    ] = None
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

    @cached_property
    def enrolled(self) -> Identity | None:
        """Raises edge_agents.identity.IdentityError."""
        return None if self.identity is None else Identity.load(self.identity)

    @property
    def trusted(self) -> Path | None:
        """The authority of the centre's certificate; None: those that the system trusts."""
        return self.ca or (None if self.enrolled is None else self.enrolled.ca)

    @property
    def shown(self) -> Path | None:
        """What the agent shows to the centre's pages: key and certificate, PEM."""
        return None if self.enrolled is None else self.enrolled.pem

    @property
    def http_address(self) -> str:
        """Where programmes are fetched from and brought to; unless said, port 8000 beside the broker."""
        if self.http is None and self.enrolled is not None:
            return self.enrolled.http
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.http or f"http://{host}:8000"

    @model_validator(mode="after")
    def _whole(self) -> CentreSection:
        given = {"host", "port", "username", "password", "password_file", "tls", "ca", "client_cert", "client_key"}
        if self.identity is not None:
            if double := sorted(given & self.model_fields_set):
                raise ValueError(f"`identity` says it already: remove {', '.join(f'`{name}`' for name in double)}")
            try:
                _ = self.enrolled
            except IdentityError as error:
                raise ValueError(str(error)) from error
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
        if self.enrolled is not None:
            card = self.enrolled.card
            return Broker(
                host=card.host, port=card.broker_port, tls=card.broker_tls, ca=self.enrolled.ca,
                client_cert=self.enrolled.pem if card.broker_tls else None, version=5 if self.mqtt == "5" else 4,
            )  # fmt: skip
        secret = None if self.password is None else self.password.get_secret_value()
        if self.password_file is not None:
            secret = self.password_file.read_text(encoding="utf-8").splitlines()[0]
        return Broker(
            host=self.host, port=self.port, username=self.username, password=secret, tls=self.tls, ca=self.ca,
            client_cert=self.client_cert, client_key=self.client_key, version=5 if self.mqtt == "5" else 4,
        )  # fmt: skip


class OutboxSection(Section):
    """Where facts wait for the centre; a local disk, not a network share."""

    path: _Path = Path("outbox.db")
    max_mb: Annotated[int, Field(ge=8, le=1_000_000)] = 512


class PicturesSection(Section):
    """Pictures of movements and doubts, encrypted on this disk until the centre has them, and never longer."""

    hours: Annotated[float, Field(gt=0, le=MAX_HOURS, strict=False)] = float(MAX_HOURS)
    max_mb: Annotated[int, Field(ge=1, le=100_000)] = 200
    folder: Annotated[_Path | None, Field(description="default: beside the outbox")] = None
    key: Annotated[_Path | None, Field(description="made at the first start, for this user alone")] = None


class RackSection(Named):
    """A camera over a rack. `source`: a folder, a video, a camera's number or an rtsp/http address."""

    source: Annotated[str, Field(min_length=1)]
    rack: _Path = Path("rack.json")
    place: Annotated[str, Field(max_length=80, description="default: the name; slots are `place/slot`")] = ""
    fps: Annotated[float, Field(gt=0, le=60, strict=False)] = 10.0
    loop: bool = False
    detector: Literal["onnx", "ncnn", "openvino", "none"] = "onnx"
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
        if self.idle_fps and not 0.5 <= self.idle_fps <= self.fps:
            raise ValueError("`idle_fps` is 0 (always `fps`), or at least 0.5 and at most `fps`")
        return self


class ScannerSection(Named):
    """One post's scanner. One of `images`, `camera`, `serial`, `keyboard`, `lines` says where codes come from."""

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


class ScaleSection(Named):
    """A scale under one bin, on a serial line, that sends its weight continuously."""

    serial: Annotated[str, Field(min_length=1, description="serial port, `/dev/ttyUSB0`")]
    place: Annotated[str, Field(min_length=1, max_length=120, description="as the centre knows it: `rack-a/B3`")]
    unit_g: Annotated[float, Field(gt=0, le=1_000_000, strict=False, description="weight of one piece, g: weigh ten")]
    item: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    bin_g: Annotated[float | None, Field(ge=0, strict=False, description="empty bin, g: a lifted bin is told")] = None
    baud: Annotated[int, Field(ge=300, le=4_000_000)] = 9600
    settle_s: Annotated[float, Field(ge=0.1, le=30, strict=False)] = 1.0


class ContactSection(Named):
    """A beam or door contact. With `rack` it wakes that rack's camera; with `place` each opening is asked about.

    `open_when`: a reed contact lets go when the door opens (inactive); most beams act when they are broken (active).
    """

    input: Input
    rack: _Name | None = None
    place: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    item: Annotated[str | None, Field(min_length=1, max_length=120)] = None
    open_when: Literal["active", "inactive"] = "inactive"

    @field_validator("input", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"pin": value} if isinstance(value, int) else value

    @model_validator(mode="after")
    def _whole(self) -> ContactSection:
        if self.rack is None and self.place is None:
            raise ValueError("give `rack` (its camera is woken), `place` (each opening is asked about), or both")
        return self
