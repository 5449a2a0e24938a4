"""Real servers for the tests: one PostgreSQL and one Valkey per run, a database of its own for each test."""

import contextlib
import itertools
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis

from taskflow_dev.postgres import Postgres, running_postgres
from taskflow_dev.valkey import DATABASES, Valkey, running_valkey

# On a busy machine any example may take long. What never ends, the timeout of tests finds.
hypothesis.settings.register_profile("taskflow", deadline=None)
hypothesis.settings.load_profile("taskflow")

_database_numbers = itertools.cycle(range(1, DATABASES))


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


@pytest.fixture
def database_url(postgres: Postgres, migrated_template: str) -> Iterator[str]:
    """A migrated database with no rows, dropped after the test."""
    yield from _database(postgres, migrated_template)


@pytest.fixture
def empty_database_url(postgres: Postgres) -> Iterator[str]:
    """A database without tables, dropped after the test."""
    yield from _database(postgres, "template1")


def _database(postgres: Postgres, template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    postgres.create_database(name, template=template)
    yield postgres.url(name)
    postgres.drop_database(name)


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
    """Not pytest's own, which another run of pytest closes to the user that PostgreSQL runs as for root."""
    with tempfile.TemporaryDirectory(prefix="taskflow-test-") as folder:
        yield Path(folder)
