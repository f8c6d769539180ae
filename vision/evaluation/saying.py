"""From what a watcher says to claims about places."""

from __future__ import annotations

from collections.abc import Iterable

from vision.evaluation.outcomes import Claim
from vision.watching.said import ModeChange, Reading, Said, SlotAsk, SlotChange


def claims_of(said: Iterable[Said]) -> list[Claim]:
    """The movements and questions in it."""
    claims = []
    for one in said:
        if isinstance(one, SlotChange):
            claims.append(Claim(one.slot, one.delta, one.mode, one.confidence, one.why, one.transfer))
        elif isinstance(one, SlotAsk):
            claims.append(Claim(one.slot, one.guess, "ask", one.confidence, f"{one.reason}: {one.why}"))
    return claims


def readings_of(said: Iterable[Said]) -> dict[str, int | None]:
    """Place → count, of the absolute readings in it; None where it could not be read."""
    return {seen.slot: seen.count for one in said if isinstance(one, Reading) for seen in one.places}


def modes_of(said: Iterable[Said]) -> list[tuple[float, str, str]]:
    """``(seconds, mode, code)`` of the changes of mode in it."""
    return [(one.at, one.mode, one.code) for one in said if isinstance(one, ModeChange)]
