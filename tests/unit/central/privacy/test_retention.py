"""The retention table: one file, enforced line by line, which a shop changes within bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from central import schema
from central.privacy import forgetting, persons
from central.privacy.retention import OWN, RetentionError, rules


def test_every_line_of_the_table_is_enforced() -> None:
    found = rules()
    assert {rule.key for rule in found} == set(forgetting.BY_KEY)
    assert len({rule.key for rule in found}) == len(found)
    for rule in found:
        assert 1 <= rule.days <= rule.most
        assert rule.what
        assert rule.then
        assert rule.why
        assert len(rule.key) <= 24


def test_a_shop_changes_a_duration_within_its_bound(tmp_path: Path) -> None:
    (tmp_path / OWN).write_text("facts = 200\n")
    assert {rule.key: rule.days for rule in rules(tmp_path)}["facts"] == 200
    assert {rule.key: rule.days for rule in rules()}["facts"] == 365


@pytest.mark.parametrize("text", ["facts = 100000", "facts = 0", "facts = 1.5", "facts = true", "fact = 3", "facts ="])
def test_what_cannot_be_meant_is_refused_with_the_line(tmp_path: Path, text: str) -> None:
    (tmp_path / OWN).write_text(text)
    with pytest.raises(RetentionError, match=OWN):
        rules(tmp_path)


def test_no_column_that_holds_a_person_is_forgotten() -> None:
    """A new table that names a person must be in the copy that the person is given."""
    found = {(t.name, name) for t in schema.metadata().tables.values() for name in persons.person_like(t)}
    told = {(column.table, column.name) for column in persons.PERSON_COLUMNS}
    # The journal is searched by itself, and `erased_by` is the number of an entry.
    assert found - {("audit_entry", "who"), ("audit_note", "erased_by")} == told
