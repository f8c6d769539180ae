"""Alembic, packaged with the centre: the database is brought up to date at each start.

A new revision: ``python -m central.migrations "what changes"`` writes it from the difference between the models and the
last revision; read it before committing it. Both databases run the same file.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

_HERE = Path(__file__).resolve().parent


def config(connection: Connection) -> Config:
    made = Config()
    made.set_main_option("script_location", str(_HERE))
    made.attributes["connection"] = connection
    return made


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to this version (or `revision`), in one transaction. Older data stays; a newer schema raises
    CommandError.
    """
    if connection.dialect.name == "sqlite":
        # The driver is told to open no transaction by itself (see `core.database`), and DDL needs one.
        connection.execute(text("BEGIN IMMEDIATE"))
    command.upgrade(config(connection), revision)
