"""The centre's settings: environment variables ``COPEAU_…``, or a ``.env`` file beside the data; defaults work."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.envelope import is_name


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="COPEAU_", env_file=".env", extra="ignore")

    site: str = "atelier"
    database_url: str = "sqlite:///var/copeau.db"
    """``sqlite:///path`` or ``postgresql://user:password@host/name``."""
    broker_host: str = "127.0.0.1"
    broker_port: int = Field(default=1883, ge=1, le=65535)
    broker_user: str | None = None
    broker_password: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    timezone: str = "Europe/Paris"
    """Shifts, days and weeks are counted in this zone; everything is stored in UTC."""

    stale_after_s: float = Field(default=30.0, gt=0)
    """An agent, or a machine, not heard for so long is shown "sans nouvelles"."""
    batch_cap: int = Field(default=1000, ge=1)
    """Most facts in one transaction of the inbox."""
    match_window_s: float = Field(default=4 * 3600.0, gt=0)
    """Two observations of one item within this time (event time) may be the same physical event."""
    same_scan_s: float = Field(default=5.0, ge=0)
    """The same code by the same post within this time is one scan."""
    operator_presence_s: float = Field(default=8 * 3600.0, gt=0)

    racks_begin: Literal["blank", "automatic"] = "blank"
    """What a camera says of a class that nobody judged yet: proposals only (à blanc), or movements."""
    racks_trust_after: int = Field(default=30, ge=1)
    """So many confirmed in a row, none wrong, make a class of a rack automatic."""
    racks_automatic_minutes: float = Field(default=10.0, ge=0, le=60.0)
    """Pictures of automatic movements are kept so long; « Pas ça » can be said for ten minutes."""
    racks_doubtful_hours: float = Field(default=72.0, gt=0, le=30 * 24.0)
    """Pictures of doubts are kept so long."""
    racks_quiet_s: float = Field(default=45.0, gt=0)
    """A badge at a rack covers the first pick within so long, whoever else takes something later."""
    racks_chain_s: float = Field(default=10.0, gt=0)
    """… and the picks after it that follow each other so closely."""
    racks_plans_complete: bool = False
    """Operations take only what their plan holds: then a pick without a badge is charged to the only one of several
    running operations that plans the item; else only where a single operation is running."""
    racks_count_after_h: float = Field(default=24.0, gt=0)
    """A doubt that nobody answered for so long is on the next cycle count's list."""

    @field_validator("site")
    @classmethod
    def _site_is_a_topic_level(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError("site: lower-case letters, digits and hyphens only, for example 'atelier'")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        ZoneInfo(value)
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def data_dir(self) -> Path:
        """Where files of the centre lie: beside the SQLite database, else ``var/``."""
        if self.database_url.startswith("sqlite:///"):
            return Path(self.database_url.removeprefix("sqlite:///")).resolve().parent
        return Path("var").resolve()
