"""``python -m central.migrations "what changes"``: write a new revision from the difference with the models."""

from __future__ import annotations

import sys

from alembic import command
from sqlalchemy import create_engine

from central.migrations import config

if len(sys.argv) != 2:
    sys.exit(__doc__)
with create_engine("sqlite://").connect() as _connection:
    _config = config(_connection)
    command.upgrade(_config, "head")
    command.revision(_config, message=sys.argv[1], autogenerate=True)
