"""Settings of an OPC UA controller: endpoint, security, who we are, which node is which signal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlparse

from pydantic import AfterValidator, BaseModel, Field, SecretStr, field_validator, model_validator

from cnc_bridge.settings import STRICT, DriverSettings, Source, named_signals, shorthand

FilePath = Annotated[Path, Field(strict=False)]


def _is_node_id(value: str) -> str:
    parts = dict(part.partition("=")[::2] for part in value.split(";", 1))
    if not any(kind in parts for kind in ("i", "s", "g", "b")) or "" in parts:
        raise ValueError(f"{value!r} is not a node id: write it as `ns=2;s=Name` or `i=2258`")
    return value


NodeIdText = Annotated[str, Field(min_length=3, max_length=500), AfterValidator(_is_node_id)]


class NodeSource(Source):
    """A signal from one node, named as OPC UA tools show it: `ns=2;s=Spindle.Load`."""

    node: NodeIdText
    sampling_ms: Annotated[float | None, Field(ge=0, le=60_000, description="default: half the publishing time")] = None


class HoldBy(BaseModel):
    """How this controller is told to hold its feed: a method to call, or a node to write."""

    model_config = STRICT

    object: Annotated[NodeIdText | None, Field(description="the object that has the method")] = None
    method: NodeIdText | None = None
    args: Annotated[tuple[bool | int | float | str, ...], Field(strict=False)] = ()
    node: NodeIdText | None = None
    value: Annotated[bool | int | float | str, Field(description="what is written to `node`")] = True

    @model_validator(mode="after")
    def _one_way(self) -> HoldBy:
        if bool(self.method) == bool(self.node) or bool(self.method) != bool(self.object):
            raise ValueError('write either `object` and `method`, or `node` (and `value`): method = "ns=2;s=Hold"')
        return self


class Settings(DriverSettings):
    """`security` other than None needs no files to begin with: our certificate is made on first use."""

    kind: Literal["opcua"]
    endpoint: str
    security: Literal["None", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "None"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    certificate: Annotated[FilePath, Field(description="our own certificate, DER; made when absent")] = Path(
        "opcua-client.der"
    )
    private_key: Annotated[FilePath, Field(description="its key, PEM, mode 0600; made when absent")] = Path(
        "opcua-client.pem"
    )
    server_certificate: Annotated[
        FilePath | None,
        Field(description="pins the server, DER or PEM; else its first one is remembered beside ours"),
    ] = None
    application_uri: str = "urn:copeau:agent"
    user: str | None = None
    password: SecretStr | None = None
    password_file: Annotated[
        FilePath | None, Field(description="first line is the password; better than `password`")
    ] = None
    user_certificate: FilePath | None = None
    user_private_key: FilePath | None = None
    publishing_ms: Annotated[float, Field(ge=10, le=60_000)] = 100.0
    check_s: Annotated[float, Field(ge=0.1, le=4, description="how often the server's state is asked")] = 1.0
    resync_s: Annotated[
        float, Field(ge=0.5, le=600, description="how often all values are read beside the subscription")
    ] = 5.0
    timeout_s: Annotated[float, Field(ge=0.2, le=60, description="of one request, and of connecting")] = 4.0
    discover: Annotated[
        bool, Field(description="look for a machine of a standard type (OPC 40501-1, OPC 40010-1) and map its nodes")
    ] = True
    machine: Annotated[
        str | None, Field(max_length=500, description="browse name or node id, where the server has several machines")
    ] = None
    signals: Annotated[
        dict[str, NodeSource],
        Field(default_factory=dict, description="over and beside the discovered ones, by signal name"),
    ]
    hold: Annotated[HoldBy | None, Field(description='needs `allow = ["hold"]`')] = None
    programmes: Annotated[
        NodeIdText | None,
        Field(description="the folder of CN programmes (FileDirectoryType); default: the discovered one"),
    ] = None

    @field_validator("endpoint")
    @classmethod
    def _url(cls, value: str) -> str:
        url = urlparse(value)
        if url.scheme != "opc.tcp" or not url.hostname:
            raise ValueError(f"{value!r} is not an OPC UA address: write `opc.tcp://192.168.1.20:4840`")
        if url.username or url.password:
            raise ValueError("no user in the address: use `user` and `password_file`")
        return value

    @field_validator("signals", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return shorthand("node")(named_signals(value)) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _whole(self) -> Settings:
        if (self.password or self.password_file) and not self.user:
            raise ValueError("a password without `user`: add the user's name")
        if self.user and not (self.password or self.password_file):
            raise ValueError("a `user` without password: add `password_file`")
        if bool(self.user_certificate) != bool(self.user_private_key):
            raise ValueError("`user_certificate` and `user_private_key` go together")
        if not self.discover and not self.signals:
            raise ValueError("no `signals` and `discover = false`: nothing would be read")
        if "hold" in self.allow and self.hold is None:
            raise ValueError('`allow = ["hold"]` without [driver.hold]: say which method is called or node is written')
        return self

    @property
    def address(self) -> str:
        return self.endpoint
