"""The centre under uvicorn: says why it cannot start, and stops although pages are listening."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import signal
import socket
import sys
from collections.abc import Iterator

import psycopg
import uvicorn
from sqlalchemy.exc import DBAPIError

from central.app import Centre, create_app
from central.core.database import DatabaseBusy
from central.core.settings import Settings
from central.listening import LOCAL, Listener, ListeningServer, PlainDoor, listeners
from central.live.service import Live

log = logging.getLogger(__name__)

_GRACE_S = 5
_PATIENCE_S = (0.5, 1.0, 2.0, 5.0)


class CannotStart(RuntimeError):
    """One sentence for the person who starts it."""


class _Server(ListeningServer):
    """Ends the open event streams first: they would otherwise be waited for."""

    def __init__(self, config: uvicorn.Config, more: list[Listener], live: Live) -> None:
        super().__init__(config, more)
        self._live = live

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, without raising the signal again at the end: a stop in order is exit code 0."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._live.hub.close()
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises `CannotStart` (a second centre on the database, a wrong setting)."""
    with asyncio.Runner(loop_factory=uvicorn.Config("", loop="auto").get_loop_factory()) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    if settings.access == "open" and settings.host not in LOCAL:
        raise CannotStart(
            f"a centre without passwords (COPEAU_ACCESS=open) listens on this machine only, not on {settings.host}: "
            "use 127.0.0.1, or COPEAU_ACCESS=accounts"
        )
    if settings.host not in LOCAL and settings.tls_port is None:
        log.warning(
            "whoever listens on the network of %s:%s reads pages and passwords: set COPEAU_TLS_PORT=8443",
            settings.host,
            settings.port,
        )
    app = create_app(settings)
    centre: Centre = app.state.centre
    await _open(centre)
    _tune()
    door = app if settings.host in LOCAL or settings.tls_port is None else PlainDoor(app, settings.tls_port)
    config = uvicorn.Config(
        door,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_GRACE_S,
        lifespan="on",
    )
    try:
        await _Server(config, listeners(settings, centre.trust), centre.live).serve()
    except SystemExit as error:  # uvicorn's word for a port that is taken; it has logged which
        raise CannotStart(f"cannot listen on {settings.host}:{settings.port}") from error
    except OSError as error:  # another listener's port, or a given certificate
        raise CannotStart(str(error)) from error
    finally:
        await centre.close()


def _tune() -> None:
    """For a process whose database driver works in a thread and whose batches are thousands of short-lived objects."""
    gc.freeze()  # what was imported lives as long as the process: not worth looking at in every collection
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(0.0005)  # the driver's thread would otherwise wait 5 ms for the loop at each statement


async def _open(centre: Centre) -> None:
    """Open the centre; a database server that is not there yet is waited for, anything else is said and final."""
    patience = itertools.chain(_PATIENCE_S, itertools.repeat(_PATIENCE_S[-1]))
    while True:
        try:
            await centre.open()
        except (DatabaseBusy, RuntimeError, OSError, DBAPIError) as error:
            await centre.close()
            said = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            if not (isinstance(error, DBAPIError) and _server_is_away(error)):
                raise CannotStart(said) from error
            log.warning("the database does not answer yet, trying again: %s", said.strip())
            await asyncio.sleep(next(patience))
        else:
            return


def _server_is_away(error: DBAPIError) -> bool:
    """No SQLSTATE: the server was not reached. 57P03: it is starting or recovering."""
    return isinstance(error.orig, psycopg.OperationalError) and error.orig.sqlstate in {None, "57P03"}
