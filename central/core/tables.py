"""Tables as files: CSV for machines, XLSX for people. Nothing in a cell is ever run as a formula."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import xlsxwriter

Cell: TypeAlias = str | int | float | bool | datetime | None
_RUNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection)."""
_MOST_ROWS: Final = 1_048_575
_MOST_CELL: Final = 32_767
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@dataclass(frozen=True, slots=True)
class Table:
    """One sheet."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Cell]]


def csv_lines(table: Table, zone: ZoneInfo) -> Iterator[str]:
    """As a French spreadsheet opens it by a double click: UTF-8 with its mark, semicolons, decimal comma, local time.

    A text that would be taken for a formula gets an apostrophe before it. Without columns: rows that follow others.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";", lineterminator="\r\n")
    if table.columns:
        buffer.write("\ufeff")
        writer.writerow([_plain(title, zone) for title in table.columns])
    for row in table.rows:
        writer.writerow([_plain(cell, zone) for cell in row])
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def xlsx(tables: Sequence[Table], zone: ZoneInfo) -> bytes:
    """A workbook; texts are texts, whatever they begin with. Times are local, without zone, as Excel has them.

    Raises ValueError when a table has more rows than a sheet holds.
    """
    with tempfile.TemporaryDirectory(prefix="copeau-xlsx-") as folder:
        path = Path(folder) / "table.xlsx"
        book = xlsxwriter.Workbook(
            path,
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
                "tmpdir": folder,
            },
        )
        bold = book.add_format({"bold": True})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        for table in tables:
            sheet = book.add_worksheet(_sheet_name(table.name))
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, len(table.columns) - 1, 22)
            for column, title in enumerate(table.columns):
                sheet.write_string(0, column, title, bold)
            for number, row in enumerate(table.rows, 1):
                if number > _MOST_ROWS:
                    raise ValueError(f"Plus de {_MOST_ROWS} lignes : réduire la période, ou exporter en CSV.")
                for column, cell in enumerate(row):
                    match cell:
                        case None:
                            pass
                        case bool():
                            sheet.write_boolean(number, column, cell)
                        case int() | float():
                            sheet.write_number(number, column, cell)
                        case datetime():
                            sheet.write_datetime(number, column, _local(cell, zone), moment)
                        case _:
                            sheet.write_string(number, column, _clean(str(cell))[:_MOST_CELL])
        book.close()
        return path.read_bytes()


def _plain(cell: Cell, zone: ZoneInfo) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "oui" if cell else "non"
        case int():
            return str(cell)
        case float():
            return f"{cell:.12g}".replace(".", ",")
        case datetime():
            return f"{_local(cell, zone):%Y-%m-%d %H:%M:%S}"
        case _:
            text = _clean(cell)
            return f"'{text}" if text.lstrip(" ").startswith(_RUNS) else text


def _clean(text: str) -> str:
    """Without the control characters that no XML may hold."""
    return "".join(c if c >= " " or c in "\t\n\r" else "\ufffd" for c in text).replace("\ufffe", "\ufffd")


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _sheet_name(name: str) -> str:
    """Excel's rule: 31 characters, none of brackets, colon, asterisk, question mark and slashes."""
    return "".join("-" if c in "[]:*?/\\" else c for c in name)[:31].strip("'") or "Feuille"
