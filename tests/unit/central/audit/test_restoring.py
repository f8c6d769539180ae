"""Which missing ends a backup that was put back explains, and which it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from central.audit.restoring import NoRestoreError, judge
from central.audit.rules import RESTORED, Entry, Finding, Loss, Mark, canonical, loss_in

NOW = datetime(2026, 5, 4, 6, 0, tzinfo=UTC)


def day(number: int) -> datetime:
    return NOW + timedelta(days=number)


def missing(number: int, at: datetime) -> Finding:
    return Finding("truncated", number, "La fin a été supprimée.", at)


def kept(number: int, at: datetime) -> Mark:
    return Mark(number, "0" * 64, "l'ancre", at)


def test_the_range_begins_after_the_last_end_that_agrees() -> None:
    lost = judge([missing(30, day(3)), missing(40, day(4))], [kept(10, day(1)), kept(20, day(2))])
    assert (lost.after, lost.upto, lost.known_at) == (20, 40, day(4))


def test_lines_written_since_the_backup_do_not_hide_the_loss() -> None:
    lost = judge([missing(30, day(3))], [kept(20, day(2)), kept(25, day(5)), kept(35, day(6))])
    assert (lost.after, lost.upto) == (20, 30)


def test_a_hole_in_the_middle_is_no_backup() -> None:
    with pytest.raises(NoRestoreError, match="n'explique pas"):
        judge([missing(20, day(2))], [kept(10, day(1)), kept(30, day(1))])


def test_what_is_changed_is_no_backup() -> None:
    with pytest.raises(NoRestoreError, match="modifiée"):
        judge([missing(20, day(2)), Finding("changed", 3, "La ligne 3 a été modifiée.")], [])


def test_nothing_is_missing() -> None:
    with pytest.raises(NoRestoreError, match="Rien ne manque"):
        judge([], [kept(10, day(1))])


def test_a_loss_explains_only_what_was_known_before_it() -> None:
    loss = Loss(21, day(4), "p-1", 20, 40, day(3))
    assert loss.explains(missing(40, day(3)))
    assert not loss.explains(missing(40, day(5)))
    assert not loss.explains(missing(41, day(3)))
    assert not loss.explains(missing(20, day(3)))
    assert not loss.explains(Finding("changed", 30, "La ligne 30 a été modifiée."))


@pytest.mark.parametrize(
    "detail", ["", "[]", "{}", '{"after":1}', '{"after":"x","upto":2,"known_at":""}',
               '{"after":1,"upto":2,"known_at":"2026-05-04T06:00:00"}']
)  # fmt: skip
def test_an_illegible_acknowledgement_explains_nothing(detail: str) -> None:
    assert loss_in(Entry(1, NOW, "p-1", RESTORED, "journal", detail, "")) is None


def test_only_its_own_act_is_an_acknowledgement() -> None:
    detail = canonical({"after": 1, "upto": 2, "known_at": NOW.isoformat()})
    assert loss_in(Entry(9, NOW, "p-1", RESTORED, "journal", detail, "")) == Loss(9, NOW, "p-1", 1, 2, NOW)
    assert loss_in(Entry(9, NOW, "p-1", "stock.receive", "journal", detail, "")) is None
