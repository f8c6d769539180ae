"""Use cases of the stock. Every function takes the unit of work first and commits nothing."""

from __future__ import annotations

from central.stock.reads import evidence, level, levels, movements, proposals

__all__ = ["evidence", "level", "levels", "movements", "proposals"]
