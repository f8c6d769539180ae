"""An enrolled agent keeps its certificate good: another one at two thirds of its life, without anybody."""

from __future__ import annotations

import asyncio
import logging
import random
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.facts import SourceStatus
from edge_agents.identity import Identity, IdentityError, renew
from edge_agents.outbox import Fact, Outbox, OutboxError

_log = logging.getLogger(__name__)

_LOOK_S: Final = 3600.0
_AGAIN_S: Final = 600.0
_ALERT_BEFORE: Final = timedelta(days=14)
"""A renewal that failed until then is said as a fact: there is still time for a person."""


class Renewal:
    def __init__(
        self, identity: Identity, outbox: Outbox, *, look_s: float = _LOOK_S, again_s: float = _AGAIN_S
    ) -> None:
        self._identity = identity
        self._outbox = outbox
        self._look_s, self._again_s = look_s, again_s
        self._alerted = False

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause = self._look_s
            try:
                if datetime.now(UTC) >= self._identity.renew_at():
                    await renew(self._identity)
                    _log.info("certificate renewed, good until %s", self._identity.until())
                await self._say(None)
            except (IdentityError, OSError, ValueError) as error:
                _log.error("certificate not renewed: %s", error)
                await self._say(str(error))
                pause = self._again_s
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311  # nosec B311  # jitter, not a secret

    async def _say(self, trouble: str | None) -> None:
        """Once when the end comes near, once when it is over."""
        try:
            near = trouble is not None and self._identity.until() - datetime.now(UTC) < _ALERT_BEFORE
        except (OSError, ValueError):
            near = True
        if near == self._alerted:
            return
        message = (
            f"Le certificat de cet agent arrive à sa fin et n'a pas pu être renouvelé. {trouble} Sinon, l'enrôler de "
            "nouveau depuis la page Agents : ce qu'il a enregistré l'attend."
            if near
            else "Le certificat de cet agent est renouvelé."
        )
        status = SourceStatus(
            source="certificate",
            status="error" if near else "ok",
            code="cert_expiring" if near else "ok",
            message=message,
        )
        try:
            await self._outbox.put([Fact(status)])
            self._alerted = near
        except OutboxError as error:
            _log.error("%s", error)
