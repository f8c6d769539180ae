"""``copeau admin restored``: says in the journal that a backup was put back, and what was lost by it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from copeau.commands.admin_journal import DATABASE, said, settings_of

if TYPE_CHECKING:
    from central.audit.restoring import Lost


@click.command()
@DATABASE
@click.option(
    "--anchors",
    "files",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of anchors kept elsewhere; may be given again.",
)
@click.option("--who", "login", required=True, help="Log-in name of the person who answers for it.")
@click.option("--why", required=True, help="Why, in a sentence.")
@click.option("--yes", is_flag=True, help="Do not ask again.")
def restored(database_url: str | None, files: tuple[Path, ...], login: str, why: str, *, yes: bool) -> None:
    """Acknowledge in the journal that a backup was put back: one new line names who, why and
    which lines are lost. `copeau admin verify` goes on telling the loss, as acknowledged.

    Nothing is rewritten. Refused when something else is wrong with the journal.
    """
    from central.audit import anchors
    from central.audit.restoring import NoRestoreError, acknowledge, find_lost
    from central.core.database import Database
    from central.core.uow import Units

    settings = settings_of(database_url)
    own = anchors.folder(settings) / anchors.EXPORTED
    known = [*files, *([own] if own.is_file() else [])]
    if not why.strip():
        raise click.UsageError("--why: say why the backup was put back")

    async def run(*, write: bool) -> tuple[Lost, int]:
        database = Database(settings.database_url)
        try:
            units = Units(database, settings)
            async with units.begin() if write else units.reading() as uow:
                person = await _person(uow, login)
                lost = await find_lost(uow, known)
                return lost, await acknowledge(uow, lost, who=person, why=why.strip()) if write else 0
        finally:
            await database.close()

    try:
        lost, _ = said(run(write=False))
        for finding in lost.findings:
            click.echo(f"✗ {finding.text}")
        click.echo(lost.text)
        if not yes:
            click.confirm("Une ligne du journal le dira, avec votre nom, et ne s'efface pas. Continuer ?", abort=True)
        _, number = said(run(write=True))
    except NoRestoreError as error:
        click.echo(f"copeau admin: {error}", err=True)
        sys.exit(1)
    click.echo(f"Reconnu à la ligne {number}. « copeau admin verify » continue de le dire.")


async def _person(uow: Any, login: str) -> str:
    """The opaque id of an active account. Raises `NoRestoreError`."""
    from sqlalchemy import select

    from central.audit.restoring import NoRestoreError
    from central.people.account_models import Account
    from central.people.models import Person

    found: str | None = await uow.session.scalar(
        select(Account.person).join(Person, Person.id == Account.person).where(Account.login == login, Person.active)
    )
    if found is None:
        raise NoRestoreError(f"Aucun compte actif ne porte le nom de connexion « {login} ».")
    return found
