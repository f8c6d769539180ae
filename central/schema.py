"""All tables of the centre: importing this fills ``Base.metadata`` (for migrations and tests)."""

from __future__ import annotations

import importlib
from importlib import util

from sqlalchemy import MetaData

import central.core.uow
import central.inbox.models  # noqa: F401  # registers its tables
from central.core.types import Base

_FEATURES = ("people", "audit", "alerts", "items", "stock", "machines", "work", "fleet", "live")


def metadata() -> MetaData:
    for feature in _FEATURES:
        if util.find_spec(f"central.{feature}.models"):
            importlib.import_module(f"central.{feature}.models")
    return Base.metadata
