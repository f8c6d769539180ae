from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.people.rules import Presence, Scan

MORNING = datetime(2026, 5, 4, 6, tzinfo=UTC)
SHIFT = timedelta(hours=8)


def at(minutes: float) -> datetime:
    return MORNING + timedelta(minutes=minutes)


def test_the_last_badge_holds_the_post_until_the_next_one() -> None:
    presence = Presence([Scan(at(60), "p-2"), Scan(at(0), "p-1")], SHIFT)
    assert presence.at(at(-1)) is None
    assert presence.at(at(0)) == "p-1"
    assert presence.at(at(59)) == "p-1"
    assert presence.at(at(60)) == "p-2"


def test_a_badge_is_worth_one_shift() -> None:
    presence = Presence([Scan(at(0), "p-1")], SHIFT)
    assert presence.at(at(8 * 60 - 1)) == "p-1"
    assert presence.at(at(8 * 60)) is None


@given(st.permutations([Scan(at(m), f"p-{m % 3}") for m in range(0, 200, 20)]), st.integers(0, 300))
def test_the_order_of_arrival_is_without_effect(scans: list[Scan], minute: int) -> None:
    assert Presence(scans, SHIFT).at(at(minute)) == Presence(sorted(scans), SHIFT).at(at(minute))
