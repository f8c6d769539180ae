"""The journal's own housekeeping: its last known end beside the database, an anchor and a whole check each day."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

from sqlalchemy.exc import DBAPIError

from central.audit import anchors, service
from central.audit.verifying import Check, Report, verify
from central.core.secrets import OpenFileError
from central.core.settings import Settings
from central.core.uow import UnitOfWork, Units

log = logging.getLogger(__name__)

Alarm: TypeAlias = Callable[[UnitOfWork, str, str, str], Awaitable[None]]
"""Key, title, text: an alert for a person."""
_EVERY_S: Final = 10.0
ALERT: Final = "audit.broken"
LOST: Final = "audit.lost"


class Keeper:
    """One per centre. `report` is the last whole check, for the page; `checks` are other features' part of it."""

    def __init__(self, units: Units, alarm: Alarm, checks: Sequence[Check] = ()) -> None:
        self._units = units
        self._alarm = alarm
        self._checks = checks
        self._signer: anchors.Signer | None = None
        self._day: date | None = None
        self._end: tuple[int, str] | None = None
        self._task: asyncio.Task[None] | None = None
        self.report: Report | None = None

    @property
    def settings(self) -> Settings:
        return self._units.settings

    async def open(self) -> None:
        """Compare the last known end with the database, before anything new is written.

        Raises OSError, `OpenFileError`.
        """
        self._signer = await asyncio.to_thread(anchors.Signer, self.settings)
        await self._compare()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="journal")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            with contextlib.suppress(DBAPIError, OSError):
                await self.keep_head()

    async def turn(self) -> None:
        """What is due now."""
        await self.keep_head()
        today = self._units.clock.now().astimezone(self.settings.zone).date()
        if today != self._day:
            await self.anchor()
            await self.check()
            self._day = today

    async def keep_head(self) -> None:
        """Write the end of the chain beside the database when it moved."""
        async with self._units.reading() as uow:
            end = await anchors.end_of_chain(uow)
        if end is not None and end != self._end:
            signed = self._signed().sign(self._units.clock.now(), *end)
            await asyncio.to_thread(anchors.write_head, self.settings, signed)
            self._end = end

    async def anchor(self) -> None:
        """Anchor the present end, and add to the exported files what they miss."""
        async with self._units.begin() as uow:
            await anchors.drop_anchor(uow, self._signed())
            lines = [anchor.line for anchor in reversed(await anchors.anchors(uow))]
        for failure in await asyncio.to_thread(anchors.export, self.folders, lines):
            log.warning("anchors of the journal are not exported to %s", failure)

    async def check(self) -> Report:
        """Walk the whole journal; what is wrong is an alert, and the check itself an entry."""
        before = self.report
        async with self._units.reading() as uow:
            self.report = report = await verify(uow, self.exported, self._checks)
        async with self._units.begin() as uow:
            await service.record(
                uow, who="system", what="audit.verify", subject="journal", entries=report.entries, hash=report.hash,
                findings=len(report.findings),
            )  # fmt: skip
            for loss in report.losses:
                if before is None or loss.entry > before.last:
                    text = f"Lignes {loss.after + 1} à {loss.upto} : voir la ligne {loss.entry} du journal."
                    await self._alarm(uow, f"{LOST}:{loss.entry}", "Une perte de lignes du journal est reconnue", text)
            if report.findings:
                text = "\n".join(finding.text for finding in report.findings[:20])
                await self._alarm(uow, ALERT, "Le journal a été modifié hors de Copeau", text)
        return report

    @property
    def folders(self) -> list[Path]:
        elsewhere = self.settings.audit_anchors_dir
        return [anchors.folder(self.settings), *([] if elsewhere is None else [elsewhere])]

    @property
    def exported(self) -> list[Path]:
        return [path for folder in self.folders if (path := folder / anchors.EXPORTED).is_file()]

    async def _compare(self) -> None:
        """A last known end that the database does not know stays as evidence: `verify` finds it each time."""
        try:
            head = await asyncio.to_thread(anchors.read_head, self.settings)
        except ValueError:
            head = None
        if head is None:
            return
        async with self._units.reading() as uow:
            known = await anchors.hash_of(uow, head.id)
        if known == head.hash:
            return
        log.error("the journal does not hold its last known end (entry %d): removed, or an older backup", head.id)
        await asyncio.to_thread(anchors.put_head_aside, self.settings, self._units.clock.now())

    def _signed(self) -> anchors.Signer:
        assert self._signer is not None, "open() comes first"
        return self._signer

    async def _run(self) -> None:
        while True:
            try:
                await self.turn()
            except (DBAPIError, OSError, OpenFileError) as error:
                log.warning("the journal's housekeeping waits: %s", str(error).partition("\n")[0])
            except Exception:
                # The next turn tries again; the journal itself is written by whoever acts.
                log.exception("the journal's housekeeping failed")
            await asyncio.sleep(_EVERY_S)
