"""Which drivers exist, what each can do (`manifest.toml`) and how far it has been proven (`quality.toml`)."""

from __future__ import annotations

import importlib
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cnc_bridge.port import Driver
from cnc_bridge.settings import DriverSettings

_DRIVERS = Path(__file__).parent / "drivers"
_STRICT = ConfigDict(extra="forbid", frozen=True)

Capability = Literal["read", "hold", "programme"]
Proof = Literal[
    "reconnects_after_kill",
    "stale_within_bound",
    "half_open_noticed",
    "bad_credentials_explained",
    "unknown_host_explained",
    "refused_port_explained",
    "missing_signal_survived",
    "bad_values_survived",
    "units_stated",
    "source_time_kept",
    "closes_cleanly",
    "read_only",
    "runs_against_third_party",
]
PROOFS: tuple[Proof, ...] = Proof.__args__  # type: ignore[attr-defined]  # Literal's values, not in its type stub


class Manifest(BaseModel):
    """What a driver is. `stale_after_s`: nothing heard for so long and the machine is shown as silent."""

    model_config = _STRICT

    name: str
    maker: str
    protocol: str
    capabilities: Annotated[tuple[Capability, ...], Field(min_length=1)]
    stale_after_s: Annotated[float, Field(gt=0, le=120)]
    far_side: Annotated[str, Field(description="what it is tested against; a fake is called a fake")]


class Check(BaseModel):
    """One line of the checklist: done, or exempt with its reason."""

    model_config = _STRICT

    status: Literal["done", "exempt"]
    why: str = ""


class Quality(BaseModel):
    """The checklist of a driver: every proof has its line."""

    model_config = _STRICT

    checks: dict[Proof, Check]


def kinds() -> list[str]:
    """The driver folders, by name."""
    return sorted(path.parent.name for path in _DRIVERS.glob("*/manifest.toml"))


@cache
def manifest(kind: str) -> Manifest:
    """The manifest of a driver folder."""
    return Manifest.model_validate(tomllib.loads((_DRIVERS / kind / "manifest.toml").read_text(encoding="utf-8")))


def quality(kind: str) -> Quality:
    """The checklist of a driver folder."""
    return Quality.model_validate(tomllib.loads((_DRIVERS / kind / "quality.toml").read_text(encoding="utf-8")))


def settings_type(kind: str) -> type[DriverSettings]:
    """The typed settings of a driver, without loading its protocol library."""
    found: type[DriverSettings] = importlib.import_module(f"cnc_bridge.drivers.{kind}.settings").Settings
    return found


def driver_type(kind: str) -> type[Driver]:
    """The driver's class; loads its protocol library."""
    found: type[Driver] = importlib.import_module(f"cnc_bridge.drivers.{kind}.driver").ControllerDriver
    return found
