"""*Journal*: who did what, searched by person, thing, date and action; exported; anchors, and whether it is whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import groupby
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from central.audit import anchors
from central.audit import service as audit
from central.audit.keeping import Keeper
from central.audit.service import AuditView, Search
from central.core.access import acting, need
from central.core.tables import XLSX, Cell, Table, csv_lines, xlsx
from central.core.uow import UnitOfWork
from central.people import service as people
from central.ui import journal_words
from central.ui.routing import PageRoute
from central.ui.shell import full_page
from central.ui.templating import render, units_of

router = APIRouter(route_class=PageRoute, include_in_schema=False, dependencies=[need("journal", "lire")])

_PAGE: Final = 100
_AT_ONCE: Final = 2000
_MOST_XLSX: Final = 200_000
_COLUMNS: Final = ("N°", "Date", "Qui", "Identifiant", "Action", "Verbe", "Sur", "Détail", "Empreinte")


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of the form, as typed."""

    qui: str
    quoi: str
    sur: str
    du: date | None
    au: date | None

    def search(self, zone: ZoneInfo) -> Search:
        return Search(
            who=self.qui.strip(),
            what=self.quoi.strip(),
            subject=self.sur.strip(),
            begin=None if self.du is None else _midnight(self.du, zone),
            end=None if self.au is None or self.au >= date.max else _midnight(self.au + timedelta(days=1), zone),
        )

    @property
    def query(self) -> str:
        fields = {"qui": self.qui, "quoi": self.quoi, "sur": self.sur, "du": self.du, "au": self.au}
        return urlencode({name: value for name, value in fields.items() if value})


Text = Annotated[str, Query(max_length=160)]


def asked(qui: Text = "", quoi: Text = "", sur: Text = "", du: str = "", au: str = "") -> Asked:
    """An empty date field is no date. Raises HTTPException."""
    try:
        return Asked(qui, quoi, sur, *(date.fromisoformat(d) if d else None for d in (du, au)))
    except ValueError as error:
        raise HTTPException(422, "Date attendue : année-mois-jour.") from error


Wanted = Annotated[Asked, Depends(asked)]


@router.get("/journal")
async def page(request: Request, wanted: Wanted) -> Response:
    async with units_of(request).reading() as uow:
        verbs = await audit.verbs(uow)
        persons = await people.persons(uow, active_only=False)
        newest = await anchors.anchors(uow, 1)
        return await full_page(
            request, uow, "journal.html", "Journal",
            **await _rows(uow, wanted),
            verbs=[(name, sorted(found, key=journal_words.verb)) for name, found in
                   groupby(verbs, key=lambda verb: verb.partition(".")[0])],
            persons=persons,
            anchor=newest[0] if newest else None,
            report=_keeper(request).report,
        )  # fmt: skip


@router.get("/parts/journal")
async def part(
    request: Request, wanted: Wanted, avant: Annotated[int | None, Query(ge=1, le=2**62)] = None
) -> Response:
    """A page of lines; the ones older than `avant`."""
    async with units_of(request).reading() as uow:
        return render(request, "parts/journal.html", **await _rows(uow, wanted, avant))


@router.post("/journal/verifier", dependencies=[need("journal", "valider")])
async def check(request: Request) -> Response:
    """Walk the whole journal now."""
    report = await _keeper(request).check()
    return render(request, "parts/journal_report.html", report=report)


@router.get("/journal/ancres.jsonl")
async def anchor_file(request: Request) -> Response:
    """To be kept elsewhere."""
    async with units_of(request).reading() as uow:
        lines = [anchor.line for anchor in reversed(await anchors.anchors(uow))]
    return PlainTextResponse("".join(f"{line}\n" for line in lines), headers=_download("copeau-journal-ancres.jsonl"))


@router.get("/journal/export.csv")
async def export_csv(request: Request, wanted: Wanted) -> Response:
    zone = units_of(request).settings.zone
    await _note_export(request, wanted, "csv")

    async def lines() -> AsyncIterator[str]:
        columns: Sequence[str] = _COLUMNS
        async for rows in _all(request, wanted):
            for piece in csv_lines(Table("Journal", columns, rows), zone):
                yield piece
            columns = ()

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=_download("copeau-journal.csv"))


@router.get("/journal/export.xlsx")
async def export_xlsx(request: Request, wanted: Wanted) -> Response:
    units = units_of(request)
    async with units.reading() as uow:
        count = await audit.count(uow, wanted.search(units.settings.zone))
    if count > _MOST_XLSX:
        raise HTTPException(413, f"{count} lignes : {_MOST_XLSX} au plus dans un classeur. Réduire la période, ou CSV.")
    await _note_export(request, wanted, "xlsx")
    rows = [row async for some in _all(request, wanted) for row in some]
    book = await asyncio.to_thread(xlsx, [Table("Journal", _COLUMNS, rows)], units.settings.zone)
    return Response(book, media_type=XLSX, headers=_download("copeau-journal.xlsx"))


async def _all(request: Request, wanted: Asked) -> AsyncIterator[list[list[Cell]]]:
    """Everything that matches, newest first, some lines at a time; at least once, be it empty."""
    units = units_of(request)
    search = wanted.search(units.settings.zone)
    before: int | None = None
    while True:
        async with units.reading() as uow:
            views = await audit.search(uow, search, before=before, limit=_AT_ONCE)
            names = await _names(uow, views)
            hashes = await audit.hashes(uow, [view.id for view in views])
        yield [_line(view, names, hashes[view.id]) for view in views]
        if len(views) < _AT_ONCE:
            return
        before = views[-1].id


def _line(view: AuditView, names: dict[str, str], found: str) -> list[Cell]:
    return [
        view.id, view.at, journal_words.actor(view.who, names), view.who, journal_words.verb(view.what), view.what,
        view.subject, json.dumps(view.detail, ensure_ascii=False), found,
    ]  # fmt: skip


async def _rows(uow: UnitOfWork, wanted: Asked, before: int | None = None) -> dict[str, Any]:
    search = wanted.search(uow.settings.zone)
    found = await audit.search(uow, search, before=before, limit=_PAGE + 1)
    return {
        "entries": found[:_PAGE],
        "more": found[_PAGE - 1].id if len(found) > _PAGE else None,
        "count": await audit.count(uow, search) if before is None else None,
        "names": await _names(uow, found),
        "asked": wanted,
        "say": journal_words,
    }


async def _names(uow: UnitOfWork, views: Sequence[AuditView]) -> dict[str, str]:
    persons = {view.who for view in views}
    persons |= {view.subject.removeprefix("person:") for view in views if view.subject.startswith("person:")}
    return await people.names(uow, persons)


async def _note_export(request: Request, wanted: Asked, form: str) -> None:
    async with units_of(request).begin() as uow:
        await audit.record(
            uow, who=acting(request), what="audit.export", subject="journal", form=form, asked=wanted.query
        )


def _keeper(request: Request) -> Keeper:
    keeper: Keeper = request.app.state.centre.journal
    return keeper


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _download(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
