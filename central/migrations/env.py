"""Alembic's entry: always online, on the connection that the caller opened."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from central import schema
from central.core.types import BigId, Json


def _render(kind: str, thing: Any, autogen_context: Any) -> str | Literal[False]:
    """Our column types are written by their own name."""
    if kind != "type":
        return False
    name = ""
    if type(thing).__module__ == "central.core.types":
        name = f"{type(thing).__name__}()"
    elif repr(thing) == repr(BigId) and thing._variant_mapping:  # noqa: SLF001  # nothing public tells a variant
        name = "BigId"
    elif repr(thing) == repr(Json) and thing._variant_mapping:  # noqa: SLF001
        name = "Json"
    if not name:
        return False
    autogen_context.imports.add("from central.core import types")
    return f"types.{name}"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata(),
    render_as_batch=True,
    render_item=_render,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
