"""Bodies of ``/api/work``."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from central.work.load import Load

Short = Annotated[str, Field(min_length=1, max_length=120)]
Count = Annotated[int, Field(ge=0, le=10**9)]


class By(BaseModel):
    model_config = ConfigDict(extra="forbid")

    by: Short
    """Person id of who does it."""


class PageClocking(By):
    action: Literal["start", "pause", "resume", "first_good", "end", "toggle"]
    operation: Short
    person: Short
    post: Short = "bureau"
    at: AwareDatetime | None = None
    """Default: now. Earlier for a forgotten one."""
    phase: Literal["setup", "run"] | None = None
    reason: Short | None = None
    good: Count = 0
    scrap: Count = 0
    rework: Count = 0
    comment: Annotated[str, Field(max_length=2000)] = ""


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid")

    person: Short


class Assignment(By):
    operation: Short


class ProgrammeYieldIn(By):
    machine: Short
    programme: Short
    parts_per_cycle: Annotated[int, Field(ge=0, le=10_000)]


class LoadLineOut(BaseModel):
    operation: str | None
    label: str
    minutes: float
    why: str


class LoadOut(BaseModel):
    machine: str
    first: date
    last: date
    capacity_min: float
    done_min: float
    remaining_min: float
    load_min: float
    ratio: float | None
    over: bool
    lines: list[LoadLineOut]

    @classmethod
    def of(cls, load: Load) -> Self:
        return cls.model_validate(load, from_attributes=True)
