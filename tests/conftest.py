"""Real servers for the tests: one PostgreSQL and one Valkey per run, a database of its own for each test."""

import contextlib
import itertools
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import hypothesis
import pytest
import redis

from taskflow_dev.postgres import Postgres, running_postgres
from taskflow_dev.valkey import DATABASES, Valkey, running_valkey

# On a busy machine any example may take long. What never ends, the timeout of tests finds.
hypothesis.settings.register_profile("taskflow", deadline=None)
hypothesis.settings.load_profile("taskflow")

_database_numbers = itertools.cycle(range(1, DATABASES))

# Text, because at run time asyncpg's class takes no parameter.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# A file system in memory, and how much of it must be free for the data of all servers of a run.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 1024**3


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with folder_for_servers() as folder, running_postgres(folder, durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    with folder_for_servers() as folder, running_valkey(folder) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: Postgres) -> str:
    """The name of a database with all tables, to copy."""
    from taskflow_core.migrate import upgrade  # noqa: PLC0415 - only tests that need tables pay for alembic

    postgres.create_database("taskflow_template")
    upgrade(postgres.url("taskflow_template"))
    return "taskflow_template"


@pytest.fixture(scope="session")
async def maintenance(postgres: Postgres) -> AsyncIterator[Connection]:
    """A connection on which databases are made and dropped."""
    connection = await asyncpg.connect(postgres.url("postgres"))
    yield connection
    await connection.close()


@pytest.fixture
async def database_url(
    postgres: Postgres, maintenance: Connection, migrated_template: str
) -> AsyncIterator[str]:
    """A migrated database with no rows, dropped after the test."""
    async with _database(maintenance, migrated_template) as name:
        yield postgres.url(name)


@pytest.fixture
async def empty_database_url(postgres: Postgres, maintenance: Connection) -> AsyncIterator[str]:
    """A database without tables, dropped after the test."""
    async with _database(maintenance, "template1") as name:
        yield postgres.url(name)


@contextlib.asynccontextmanager
async def _database(maintenance: Connection, template: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    await maintenance.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield name
    await maintenance.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """An empty Valkey database of this test's own."""
    url = valkey.url(next(_database_numbers))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """An empty folder in which servers can keep their data."""
    with folder_for_servers() as folder:
        yield folder


@contextlib.contextmanager
def folder_for_servers() -> Iterator[Path]:
    """In memory, if there is enough: to make and drop a database on a disk takes five times as long.

    Not pytest's own, which another run of pytest closes to the user that PostgreSQL runs as for root.
    """
    has_room = (
        MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
    )
    with tempfile.TemporaryDirectory(prefix="taskflow-test-", dir=MEMORY if has_room else None) as folder:
        yield Path(folder)
