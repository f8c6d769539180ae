"""Settings of an MTConnect agent: its address, which device, and what to name otherwise than the standard does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from cnc_bridge.settings import DriverSettings, Source, named_signals, shorthand

FilePath = Annotated[Path, Field(strict=False)]


class ItemSource(Source):
    """A signal from one data item, by its `id` or its `name` in the agent's probe."""

    item: Annotated[str, Field(min_length=1, max_length=200)]
    entry: Annotated[str | None, Field(description="of a data set: the key of one of its entries")] = None


class Settings(DriverSettings):
    """Signals are found in the agent's device model; `signals` adds to them or replaces them, "" leaves one out."""

    kind: Literal["mtconnect"]
    url: Annotated[str, Field(description="`http://192.168.1.30:5000`")]
    device: Annotated[str | None, Field(description="name or uuid, where the agent has several devices")] = None
    path: Annotated[
        str | None, Field(description="of a machine with several channels: the name of the one to read")
    ] = None
    interval_ms: Annotated[int, Field(ge=0, le=60_000, description="shortest time between two documents")] = 100
    heartbeat_s: Annotated[float, Field(ge=0.1, le=4, description="longest time between two documents")] = 2.0
    check_s: Annotated[float, Field(ge=0.2, le=600, description="how often the stream is compared with /current")] = (
        15.0
    )
    timeout_s: Annotated[float, Field(ge=0.2, le=60, description="of connecting, and of one request")] = 5.0
    max_document: Annotated[int, Field(ge=2**14, le=2**28, description="bytes of one XML document")] = 2**24
    ca_file: Annotated[FilePath | None, Field(description="the authority that signed an https agent's certificate")] = (
        None
    )
    signals: dict[str, ItemSource] = Field(default_factory=dict)
    left_out: Annotated[
        frozenset[str], Field(strict=False, description='signals that are not read; or `name = ""`')
    ] = frozenset()

    @field_validator("url")
    @classmethod
    def _http(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment:
            raise ValueError(f"{value!r} is not the address of an agent: write `http://192.168.1.30:5000`")
        if url.username or url.password:
            raise ValueError("no user in the address: MTConnect agents have none")
        return value.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _empty_is_left_out(cls, table: Any) -> Any:
        signals = table.get("signals") if isinstance(table, dict) else None
        if not isinstance(signals, dict):
            return table
        empty = [name for name, source in signals.items() if source in ("", {"item": ""})]
        kept = {name: source for name, source in signals.items() if name not in empty}
        return {**table, "signals": kept, "left_out": [*table.get("left_out", ()), *empty]}

    @field_validator("signals", mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return shorthand("item")(named_signals(value)) if isinstance(value, dict) else value

    @property
    def address(self) -> str:
        return self.url
