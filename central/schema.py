"""All tables of the centre: importing this fills ``Base.metadata`` (for migrations and tests)."""

from __future__ import annotations

from sqlalchemy import MetaData

import central.alerts.models
import central.audit.models
import central.automation.models
import central.core.uow
import central.fleet.models
import central.inbox.models
import central.items.models
import central.machines.models
import central.people.account_models
import central.people.models
import central.privacy.models
import central.programmes.models
import central.racks.models
import central.signing.models
import central.stock.models
import central.work.models  # noqa: F401  # imported for their tables
from central.core.types import Base


def metadata() -> MetaData:
    return Base.metadata
