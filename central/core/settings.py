"""The centre's settings: environment variables ``COPEAU_…``, or a ``.env`` file beside the data; defaults work."""

from __future__ import annotations

from pathlib import Path
from socket import gethostname
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator
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
    tls_port: int | None = Field(default=None, ge=0, le=65535)
    """HTTPS for pages, agents and terminals, with the shop's own authority; 8443 by habit. None: none."""
    tls_host: str | None = None
    """Address of the HTTPS ports; None: every one that this machine has."""
    names: list[str] = []
    """Names and addresses under which the NAS is reached on the network, beyond its host name: what its certificates
    speak for."""
    https_port: int | None = Field(default=None, ge=0, le=65535)
    """A second HTTPS port for pages, with a certificate of the company's own: `https_certificate`, `https_key`, PEM."""
    https_certificate: Path | None = None
    https_key: Path | None = None
    broker_tls: bool = False
    """Speak to the broker over TLS, by a certificate of the shop's own authority."""
    broker_folder: Path | None = None
    """Where the broker reads its certificate and the list of revoked ones; None: ``broker/`` beside the data."""
    data: Path | None = None
    """Folder of the centre's files; None: beside the SQLite database, else ``var/``."""
    audit_anchors_dir: Path | None = None
    """A second folder for the journal's anchors: a share or a stick that the NAS's administrator cannot rewrite."""
    timezone: str = "Europe/Paris"
    """Shifts, days and weeks are counted in this zone; everything is stored in UTC."""

    access: Literal["accounts", "open"] = "accounts"
    """``open``: no password, answered on this machine only (the demo, the tests)."""
    session_idle_h: float = Field(default=12.0, gt=0, le=7 * 24.0)
    """A session that nobody used for so long is over."""
    session_days: float = Field(default=7.0, gt=0, le=31.0)
    """After so long one signs in again."""

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

    @model_validator(mode="after")
    def _https_is_whole(self) -> Settings:
        given = (self.https_port, self.https_certificate, self.https_key)
        if any(value is not None for value in given) and None in given:
            raise ValueError("https_port, https_certificate and https_key go together")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def address(self) -> str:
        """Where a browser finds the pages, as far as the settings tell."""
        if self.tls_port:
            return f"https://{gethostname()}:{self.tls_port}"
        host = gethostname() if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104  # nosec B104  # compared, not bound
        return f"http://{host}:{self.port}"

    @property
    def data_dir(self) -> Path:
        """Where files of the centre lie."""
        if self.data is not None:
            return self.data.resolve()
        if self.database_url.startswith("sqlite:///"):
            return Path(self.database_url.removeprefix("sqlite:///")).resolve().parent
        return Path("var").resolve()
