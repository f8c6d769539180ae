"""Fixtures for all rooms: databases."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from copeau.servers.postgres import Postgres, cluster

# No example is timed. The desk explores anew at each run; what CI judges is the same from run to run.
settings.register_profile("copeau", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("copeau")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One running cluster for the session; a test that kills it must restart it."""
    try:
        running = cluster()
        server = running.__enter__()
    except LookupError as missing:
        pytest.skip(str(missing))
    yield server
    running.__exit__(None, None, None)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'copeau.db'}"


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The same test on both databases."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url
