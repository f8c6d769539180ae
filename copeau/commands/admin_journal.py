"""``copeau admin verify`` and ``copeau admin anchors``: the journal, checked from outside the centre."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from central.audit.rules import Loss

_LOST: Final = 3
"""Exit code: nothing is wrong but what was acknowledged."""
DATABASE = click.option("--database", "database_url", help="sqlite:///path or postgresql://user:password@host/name.")


@click.command()
@DATABASE
@click.option(
    "--anchors",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of anchors kept elsewhere; may be given again.",
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON line.")
def verify(database_url: str | None, files: tuple[Path, ...], as_json: bool) -> None:
    """Walk the whole journal: any change, removal, reordering or truncation is named, and any
    signature that is not what was signed; exits 1 then, and 3 when all that is missing was lost
    by a backup that was put back and is acknowledged (`copeau admin restored`).

    Reads only, and may run while the centre does. Without --anchors it trusts what lies on this machine.
    """
    from central.audit import anchors
    from central.audit.verifying import Report
    from central.audit.verifying import verify as walk
    from central.core.database import Database
    from central.core.uow import Units
    from central.signing.verifying import check as check_signatures

    settings = settings_of(database_url)

    async def run() -> Report:
        database = Database(settings.database_url)
        try:
            async with Units(database, settings).reading() as uow:
                own = anchors.folder(settings) / anchors.EXPORTED
                return await walk(uow, [*files, *([own] if own.is_file() else [])], [check_signatures])
        finally:
            await database.close()

    report = said(run())
    if as_json:
        click.echo(json.dumps(asdict(report), ensure_ascii=False, default=str))
    else:
        click.echo(
            f"{report.entries} lignes, {report.anchors} ancres, {report.beside['signatures']} signatures, "
            f"{report.notes_erased} textes effacés par un acte écrit."
        )
        for finding in report.findings:
            click.echo(f"✗ {finding.text}")
        for loss in report.losses:
            click.echo(f"! {loss_text(loss, settings.zone)}")
        if not report.findings:
            whole = "Le journal est entier" if report.is_whole else "Rien d'autre ne manque"
            click.echo(f"{whole}. Fin : ligne {report.last}, {report.hash}")
    sys.exit(1 if report.findings else _LOST if report.losses else 0)


def loss_text(loss: Loss, zone: ZoneInfo) -> str:
    return (
        f"Lignes perdues entre la ligne {loss.after + 1} et la ligne {loss.upto}, une sauvegarde ayant été remise : "
        f"reconnu le {loss.at.astimezone(zone):%d/%m/%Y} à la ligne {loss.entry} par {loss.who}."
    )


@click.command()
@DATABASE
def anchors(database_url: str | None) -> None:
    """Write the journal's anchors to the standard output, to be kept elsewhere: a stick, a share, another site."""
    from central.audit import anchors as kept
    from central.core.database import Database
    from central.core.uow import Units

    settings = settings_of(database_url)

    async def run() -> list[str]:
        database = Database(settings.database_url)
        try:
            async with Units(database, settings).reading() as uow:
                return [anchor.line for anchor in reversed(await kept.anchors(uow))]
        finally:
            await database.close()

    for line in said(run()):
        click.echo(line)


def settings_of(database_url: str | None) -> Any:
    from pydantic import ValidationError

    from central.core.settings import Settings

    try:
        settings = Settings() if database_url is None else Settings(database_url=database_url)
    except ValidationError as error:
        raise click.UsageError("; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())) from None
    file = Path(settings.database_url.removeprefix("sqlite:///"))
    if settings.database_url.startswith("sqlite:///") and not file.is_file():
        click.echo(f"copeau admin: {file}: no such database", err=True)
        sys.exit(2)
    return settings


def said(work: Any) -> Any:
    """What the database or the disk refuses, in one sentence; exit code 2."""
    from sqlalchemy.exc import DBAPIError

    from central.core.secrets import OpenFileError

    try:
        return asyncio.run(work)
    except DBAPIError as error:
        click.echo(f"copeau admin: {str(error.orig).strip()}", err=True)
    except (OSError, OpenFileError) as error:
        click.echo(f"copeau admin: {error}", err=True)
    sys.exit(2)
