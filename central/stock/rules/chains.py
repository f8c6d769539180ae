"""Where an item's observations fall apart into groups that can have nothing to do with each other.

Two sayings can touch each other within the window when they are of different channels and the same sign, when one
is a person's word and the other a count (the word may belong on the other side of it), or when both are words of one
channel (one may be the other's echo). A *boundary* is a place in the order over which no two do. It follows from
times and channels alone, so it is the same whatever arrived first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol


class Said(Protocol):
    """What of an observation decides about boundaries."""

    @property
    def at(self) -> datetime: ...
    @property
    def qty(self) -> int: ...
    @property
    def channel(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def nature(self) -> str: ...
    @property
    def count_before(self) -> int | None: ...
    @property
    def count_after(self) -> int | None: ...


def boundaries(ordered: Sequence[Said], window: timedelta) -> list[int]:
    """Indices at which a new group begins (never 0, never between equal times). `ordered` by time."""
    found: list[int] = []
    recent: dict[tuple[str, str], deque[int]] = {}
    reach = [0] * len(ordered)
    for index, said in enumerate(ordered):
        earliest = index
        mine = _roles(said)
        for role, indices in recent.items():
            while indices and said.at - ordered[indices[0]].at > window:
                indices.popleft()
            if indices and any(_touch(one, role) for one in mine):
                earliest = min(earliest, indices[0])
        reach[index] = earliest
        for role in mine:
            recent.setdefault(role, deque()).append(index)
    # A boundary before i: nothing from i on reaches back over it.
    lowest = len(ordered)
    for index in range(len(ordered) - 1, 0, -1):
        lowest = min(lowest, reach[index])
        if lowest >= index and ordered[index].at > ordered[index - 1].at:
            found.append(index)
    return found[::-1]


def _roles(said: Said) -> list[tuple[str, str]]:
    """("−" or "+", channel) of a movement; ("count", "") beside it or instead when it counts."""
    roles: list[tuple[str, str]] = []
    if said.nature == "move":
        roles.append(("-" if said.qty < 0 else "+", said.channel))
        if said.source not in {"camera", "scale"}:
            roles.append(("word", said.channel))
    if said.nature == "ask":
        # Which way it went is a person's to say.
        roles += [("-", said.channel), ("+", said.channel)]
    if (
        said.nature in {"count", "ask", "read", "there"}
        or said.count_before is not None
        or said.count_after is not None
    ):
        roles.append(("count", ""))
    return roles


def _touch(one: tuple[str, str], other: tuple[str, str]) -> bool:
    if one[0] in "-+" and other[0] in "-+":
        return one[0] == other[0] and one[1] != other[1]
    return {one[0], other[0]} == {"word", "count"} or (one[0] == other[0] == "word" and one[1] == other[1])
