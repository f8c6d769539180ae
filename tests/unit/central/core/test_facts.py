from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from central.core.database import is_outage
from central.core.facts import Consumers, Fact
from central.core.uow import UnitOfWork

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


async def nothing(_uow: UnitOfWork, _facts: Sequence[Fact[Any]]) -> None: ...


def test_a_misspelt_kind_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        Consumers().on("machine.sate", nothing)


def test_consumers_keep_the_order_of_registration() -> None:
    consumers = Consumers()

    async def second(_uow: UnitOfWork, _facts: Sequence[Fact[Any]]) -> None: ...

    consumers.on("machine.state", nothing)
    consumers.on("machine.state", second)
    assert consumers.of("machine.state") == [nothing, second]
    assert consumers.of("stock.observed") == ()


def test_a_time_in_the_body_is_corrected_as_the_fact_was() -> None:
    late = timedelta(hours=2)
    fact = Fact(1, "atelier", "a", "machine.cycle", NOW, False, NOW + late, NOW, None)
    assert fact.corrected(NOW + late - timedelta(minutes=5)) == NOW - timedelta(minutes=5)


def test_a_lost_disk_is_an_outage_and_a_programming_error_is_not() -> None:
    assert is_outage(OSError("no route"))
    assert not is_outage(ValueError("boom"))
