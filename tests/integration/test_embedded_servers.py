"""PostgreSQL and Valkey from wheels, as child processes."""

from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from taskflow_dev.postgres import Postgres, running_postgres
from taskflow_dev.valkey import Valkey, running_valkey


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_postgresql_is_version_18_in_utc(empty_database_url: str) -> None:
    assert str(await fetch(empty_database_url, "SHOW server_version")).startswith("18.")
    assert await fetch(empty_database_url, "SHOW timezone") == "UTC"


async def test_a_test_has_a_database_of_its_own(empty_database_url: str) -> None:
    await fetch(empty_database_url, "CREATE TABLE only_here (id int)")
    assert (
        await fetch(empty_database_url, "SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'") == 1
    )


async def test_the_next_test_does_not_see_it(empty_database_url: str) -> None:
    assert (
        await fetch(empty_database_url, "SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'") == 0
    )


async def test_postgresql_asks_for_a_password(postgres: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url().replace(postgres.password, "wrong"))


def test_valkey_evicts_nothing_and_asks_for_a_password(redis_url: str, valkey: Valkey) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.dbsize() == 0
    with redis.Redis(port=valkey.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


async def test_data_is_there_after_a_restart(data_folder: Path) -> None:
    with running_postgres(data_folder) as first:
        await fetch(first.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    with running_postgres(data_folder) as second:
        assert await fetch(second.url(), "SELECT answer FROM kept") == 42


def test_nothing_runs_after_the_block(data_folder: Path) -> None:
    before = set(psutil.Process().children())
    with running_postgres(data_folder, durable=False), running_valkey(data_folder):
        servers = set(psutil.Process().children()) - before
        family = servers.union(*(server.children(recursive=True) for server in servers))
    assert len(servers) == 2
    # Those of PostgreSQL may need a moment to be gone altogether.
    _, left = psutil.wait_procs(family, timeout=20)
    assert not left
