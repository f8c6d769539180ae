"""Bodies of ``/api/programmes``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from central.programmes.rules import Role


class By(BaseModel):
    """Who asks, and as what; of a signed-in person the centre knows both, whatever is said here."""

    by: Annotated[str, Field(min_length=1, max_length=120)]
    role: Role
    comment: Annotated[str, Field(max_length=500)] = ""


class Loading(BaseModel):
    """Asked at a post: into which machine, by whom."""

    machine: Annotated[str, Field(min_length=1, max_length=120)]
    person: Annotated[str, Field(min_length=1, max_length=120)]


class Reading(BaseModel):
    machine: Annotated[str, Field(min_length=1, max_length=120)]
    name: Annotated[str, Field(max_length=255)] = ""
    by: Annotated[str, Field(min_length=1, max_length=120)]
    role: Role


class Asked(BaseModel):
    transfer: str
