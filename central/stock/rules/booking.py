"""From what should be in the ledger to the rows that bring it there. Rows are only ever appended.

An *account* is all rows of one event code. An account whose sources still tell of an event like it keeps its rows;
what is no longer told is compensated, what is newly told is added. So two arrival orders may give different rows,
never a different sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from central.stock.rules.counting import Adjustment
from central.stock.rules.matching import Event


@dataclass(slots=True)
class Account:
    """The rows of one event code, summed."""

    event: str
    place: int
    net: int
    at: datetime
    observations: frozenset[int]


@dataclass(frozen=True, slots=True)
class Row:
    event: str
    place: int
    qty: int
    at: datetime
    kind: str
    operation: str | None = None
    person: str | None = None
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Booking:
    rows: list[Row]
    links: dict[tuple[int, str], int]
    """(observation, event code) → signed quantity: all links of the accounts given, to replace those there were."""


def book(
    events: Iterable[Event], adjustments: Iterable[Adjustment], accounts: Sequence[Account], reach: timedelta
) -> Booking:
    """Rows to append so that `accounts` become `events` and `adjustments`.

    An account is kept for an event of its place and sign that shares an observation and lies within `reach`.
    """
    rows: list[Row] = []
    links: defaultdict[tuple[int, str], int] = defaultdict(int)
    left = {a.event: a.net for a in accounts}
    used = set(left)
    by_observation: defaultdict[int, list[Account]] = defaultdict(list)
    for account in sorted(accounts, key=lambda a: (a.at, a.event)):
        for observation in account.observations:
            by_observation[observation].append(account)

    for adjustment in adjustments:
        there = left.pop(adjustment.key, 0)
        links[adjustment.observation, adjustment.key] = adjustment.qty
        if adjustment.qty != there:
            kind = "compensate" if adjustment.key in used else "adjust"
            rows.append(
                Row(
                    adjustment.key, adjustment.place, adjustment.qty - there, adjustment.at, kind,
                    uncertain=adjustment.uncertain,
                )
            )  # fmt: skip

    unmet: list[tuple[Event, int]] = []
    # Events whose accounts are disputed least come first: those with all their observations in one account.
    for event in events:
        need = abs(event.qty)
        sign = 1 if event.qty > 0 else -1
        for account in _accounts(event, by_observation):
            there = left.get(account.event, 0) * sign
            if account.event.startswith("ecart:") or account.place != event.place or there <= 0:
                continue
            if abs(account.at - event.at) > reach:
                continue
            share = min(there, need)
            left[account.event] -= sign * share
            need -= share
            for observation in event.observations:
                links[observation, account.event] += sign * share
            if not need:
                break
        if need:
            unmet.append((event, sign * need))

    for event, qty in unmet:
        code = _free_code(event, used)
        used.add(code)
        kind = "pick" if qty < 0 else "return"
        rows.append(Row(code, event.place, qty, event.at, kind, event.operation, event.person, event.uncertain))
        for observation in event.observations:
            links[observation, code] += qty

    known = {a.event: a for a in accounts}
    for code, net in left.items():
        if net:
            rows.append(Row(code, known[code].place, -net, known[code].at, "compensate"))
    return Booking(rows, dict(links))


def _accounts(event: Event, by_observation: dict[int, list[Account]]) -> list[Account]:
    """Accounts that share an observation, those that share the most first."""
    found: dict[str, tuple[int, datetime, Account]] = {}
    for observation in event.observations:
        for account in by_observation.get(observation, ()):
            shared = found.get(account.event, (0, account.at, account))[0] - 1
            found[account.event] = (shared, account.at, account)
    return [account for _, _, account in sorted(found.values(), key=lambda f: (f[0], f[1], f[2].event))]


def _free_code(event: Event, used: set[str]) -> str:
    first = event.observations[0]
    number = 0
    while f"{first}.{number}" in used:
        number += 1
    return f"{first}.{number}"
