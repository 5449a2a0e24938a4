"""The migrations make exactly the tables that the models describe, and take them back."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.ext.asyncio import create_async_engine

from taskflow_core.db import sqlalchemy_url
from taskflow_core.migrate import downgrade, upgrade
from taskflow_core.models import Base
from taskflow_core.models.base import TransactionId

# SQLAlchemy knows it not, and would warn of the column that it finds.
ischema_names["xid8"] = TransactionId


async def inspect(database_url: str, look):
    engine = create_async_engine(sqlalchemy_url(database_url))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


def difference_to_models(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_server_default": True})
    return list(compare_metadata(context, Base.metadata))


def checks(connection: Connection) -> dict[str, str]:
    """What CHECK constraints say: alembic does not compare it."""
    return meanings(
        connection,
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'c' AND connamespace = 'public'::regnamespace",
    )


def predicates(connection: Connection) -> dict[str, str]:
    """What partial indexes are partial to: alembic does not compare it."""
    return meanings(
        connection,
        "SELECT c.relname, pg_get_expr(i.indpred, i.indrelid) FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indpred IS NOT NULL AND c.relnamespace = 'public'::regnamespace",
    )


def meanings(connection: Connection, query: str) -> dict[str, str]:
    return {name: meaning for name, meaning in connection.execute(text(query))}  # noqa: C416 - a row is no pair to dict()


def tables(connection: Connection) -> set[str]:
    return set(connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))


async def test_the_migrated_database_is_the_one_that_the_models_describe(database_url: str):
    assert await inspect(database_url, difference_to_models) == []


async def test_models_and_migrations_have_the_same_constraints_and_predicates(
    database_url: str, empty_database_url: str
):
    engine = create_async_engine(sqlalchemy_url(empty_database_url))
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    for look in (checks, predicates):
        migrated = await inspect(database_url, look)
        assert migrated == await inspect(empty_database_url, look)
        assert migrated


def test_the_schema_goes_up_and_down_again(empty_database_url: str):
    import asyncio  # noqa: PLC0415 - alembic runs a loop of its own, so this test has none

    for _ in range(2):
        upgrade(empty_database_url)
        assert "tasks" in asyncio.run(inspect(empty_database_url, tables))
        downgrade(empty_database_url, "base")
        assert asyncio.run(inspect(empty_database_url, tables)) == {"alembic_version"}


def test_an_upgrade_that_has_nothing_to_do_does_nothing(empty_database_url: str):
    upgrade(empty_database_url)
    upgrade(empty_database_url)
