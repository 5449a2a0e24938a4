"""The database: an engine for reads and migrations, pools of driver connections for transitions.

Transitions are SQL over arrays on asyncpg's own connections, because the path is hot: a trip costs
64 us there, 126 us through SQLAlchemy Core and 413 us through a session.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import asyncpg
import structlog
from asyncpg.transaction import Transaction
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from taskflow_core.settings import Settings

Result = TypeVar("Result")

# Text, because at run time asyncpg's class takes no parameter.
Connection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]"

log = structlog.get_logger()

# A stopped process must not hold row locks for ever; a lost host must be noticed.
SERVER_SETTINGS = {
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "5s",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

# Seconds for a new connection.
CONNECT_SECONDS = 10.0

# Small tables that grow: left alone, the planner chooses once, while they are empty, to read them whole for
# ever after.
NEVER_WHOLE = {"enable_seqscan": "off", "jit": "off"}

# The hot path finds its rows by arrays of keys, and says so (`id = ANY(...)`). The planner, which knows nothing of
# the arrays, would compare each row with each element, or walk the dead entries of a small index; and for
# small arrays it would plan anew with every call.
BY_KEY = NEVER_WHOLE | {
    "plan_cache_mode": "force_generic_plan",
    "enable_bitmapscan": "off",
    "enable_nestloop": "off",
}

# What says "the connection or the server failed", not "the statement is wrong".
CONNECTION_ERRORS = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection ended at the moment of its use
    asyncpg.OperatorInterventionError,  # shutdown, crash, not yet up, statement ended
    asyncpg.InsufficientResourcesError,  # of connections, memory or disk
    asyncpg.IdleInTransactionSessionTimeoutError,  # this process was frozen in the middle of one
    asyncpg.ReadOnlySQLTransactionError,  # a primary that no longer is
)
# An InterfaceError of asyncpg says that we use it wrongly, unless it has one of these words: then the connection went
# away under us. They have no class of their own.
GONE = (
    "connection is closed",
    "released back to the pool",
    "another operation is",  # it was cut while it waited for an answer
    "pool is closing",
    "pool is closed",
)
# What says "nothing is wrong, try again".
CONFLICT_ERRORS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)


@dataclass(frozen=True)
class Database:
    """One PostgreSQL, seen three ways.

    `by_key` is for statements that find every row by a key from an array: others it would plan badly.
    """

    engine: AsyncEngine
    pool: "asyncpg.Pool[asyncpg.Record]"
    by_key: "asyncpg.Pool[asyncpg.Record]"


@asynccontextmanager
async def open_database(settings: Settings, application: str) -> AsyncIterator[Database]:
    """Connect, and disconnect at the end. `application` shows in `pg_stat_activity`."""
    server_settings = SERVER_SETTINGS | {
        "application_name": application,
        # The server gives up first, if it is there.
        "statement_timeout": f"{int(settings.database_timeout * 900)}ms",
    }
    engine = create_async_engine(
        sqlalchemy_url(settings.database_url),
        pool_size=2,
        max_overflow=settings.database_pool_size,
        pool_pre_ping=True,
        isolation_level="AUTOCOMMIT",
        connect_args={"server_settings": server_settings, **_patience(settings)},
    )
    try:
        async with (
            _pool(settings, server_settings | NEVER_WHOLE) as pool,
            _pool(settings, server_settings | BY_KEY) as by_key,
        ):
            yield Database(engine, pool, by_key)
    finally:
        await engine.dispose()


def _pool(settings: Settings, server_settings: dict[str, str]) -> "asyncpg.Pool[asyncpg.Record]":
    return asyncpg.create_pool(
        settings.database_url,
        min_size=2,
        max_size=settings.database_pool_size,
        max_inactive_connection_lifetime=300,
        server_settings=server_settings,
        reset=_keep_as_it_is,
        init=_speak_json,
        **_patience(settings),
    )


def _patience(settings: Settings) -> dict[str, Any]:
    """How a connection notices a host that has vanished: it sends nothing, not even a refusal."""
    return {
        "timeout": min(CONNECT_SECONDS, settings.database_timeout),
        "command_timeout": settings.database_timeout,
        "connection_class": _Line,
    }


class _Transaction(Transaction):
    """A transaction over whose end a connection that was cut says nothing: why it was cut is the error."""

    def __init__(self, connection: "_Line", **options: Any) -> None:
        super().__init__(connection, **options)
        self._line = connection

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if error is None or not self._line.is_closed():
            await super().__aexit__(kind, error, trace)


class _Line(asyncpg.Connection):
    """A connection that is cut when nobody waits for its answer any more.

    Asyncpg would ask the server to cancel, and wait for an answer before it lets go of the connection: on a line
    that has gone silent for ever.
    """

    def _cancel_current_command(self, waiter: "asyncio.Future[None]", *_: object) -> None:
        if not waiter.done():
            waiter.set_result(None)
        # Once the caller has its error.
        asyncio.get_running_loop().call_soon(self.terminate)

    def transaction(self, **options: Any) -> Transaction:
        return _Transaction(self, **{"isolation": None, "readonly": False, "deferrable": False, **options})

    # A caller that is cancelled gives the connection back at once. If it were cut after that, the pool would
    # raise an error of its own, and the cancellation would be lost.

    async def execute(self, *args: Any, **options: Any) -> str:
        try:
            return await super().execute(*args, **options)
        except asyncio.CancelledError:
            self.terminate()
            raise

    async def _execute(self, *args: Any, **options: Any) -> Any:
        try:
            return await super()._execute(*args, **options)  # type: ignore[misc] # not in its stubs
        except asyncio.CancelledError:
            self.terminate()
            raise


def sqlalchemy_url(database_url: str) -> str:
    """The same address, in the form that names SQLAlchemy's driver."""
    _, _, rest = database_url.partition("://")
    return f"postgresql+asyncpg://{rest}"


async def _keep_as_it_is(_: object) -> None:
    """Statements here leave no session state behind, so a released connection needs no reset trip."""


async def _speak_json(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.set_type_codec(
        "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog", format="text"
    )


def is_outage(error: Exception) -> bool:
    """Whether an error says nothing about the statement: the same may work a little later."""
    if isinstance(error, asyncpg.InterfaceError):
        return is_gone(error)
    return isinstance(error, CONNECTION_ERRORS)


def is_gone(error: asyncpg.InterfaceError) -> bool:
    """Whether asyncpg says that the connection went away, and not that the statement or its arguments are wrong."""
    return type(error) is asyncpg.InterfaceError and any(words in str(error) for words in GONE)


def _may_pass(error: Exception) -> bool:
    """Whether work that ended so may be tried again: an outage, or a conflict that nobody is to blame for."""
    return is_outage(error) or isinstance(error, CONFLICT_ERRORS)


def is_refusal(error: Exception) -> bool:
    """Whether an error says that a value cannot be stored: the same would be refused again."""
    if isinstance(error, asyncpg.InterfaceError):
        return isinstance(error, ValueError)  # the driver could not even send it
    return isinstance(error, asyncpg.DataError | asyncpg.ProgramLimitExceededError)


@asynccontextmanager
async def alone(database: Database, lock: int) -> AsyncIterator[bool]:
    """Whether no other process is in a block with the same lock. Holds one connection meanwhile.

    For work that may be done twice: PostgreSQL takes the lock from a process that is frozen, or busy
    elsewhere, for as long as a transaction may be idle.
    """
    async with database.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        is_alone: bool = await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", lock)
        try:
            yield is_alone
        finally:
            try:
                await transaction.rollback()
            except CONNECTION_ERRORS as error:
                log.warning("work took so long that it lost its lock", lock=lock, error=repr(error))


async def until_answered(
    work: Callable[[], Awaitable[Result]], what: str, *, give_up_after: float | None = None
) -> Result:
    """Repeat `work` while the database is away or reports a conflict, with a growing, bounded wait.

    Only for work that may run twice: when a connection breaks nobody knows whether the commit took.
    After `give_up_after` seconds the last error is raised; `None` goes on for ever.
    """
    loop = asyncio.get_running_loop()
    last_try = None if give_up_after is None else loop.time() + give_up_after
    pause = 0.02
    while True:
        try:
            return await work()
        except Exception as error:
            if not _may_pass(error) or (last_try is not None and loop.time() + pause > last_try):
                raise
            log.warning("database: trying again", work=what, error=repr(error), seconds=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, 1.0)


async def exactly_once(
    database: Database, work: Callable[[Connection], Awaitable[Result]], what: str, *, give_up_after: float
) -> Result:
    """Do `work` in a transaction that takes once, and answer as that one did, also if its own answer was lost.

    PostgreSQL remembers of each transaction whether it took. Otherwise as `until_answered`.
    """
    tried: tuple[str, Result] | None = None

    async def once() -> Result:
        nonlocal tried
        if tried is not None:
            transaction_id, result = tried
            if await _took(database, transaction_id):
                return result
            tried = None
        async with database.pool.acquire() as connection, connection.transaction():
            result = await work(connection)
            transaction_id = await connection.fetchval("SELECT pg_current_xact_id()::text")
            tried = transaction_id, result
        return result

    return await until_answered(once, what, give_up_after=give_up_after)


async def _took(database: Database, transaction_id: str) -> bool:
    """Whether a transaction was committed, once it is over."""
    while True:
        status = await database.pool.fetchval("SELECT pg_xact_status($1::text::xid8)", transaction_id)
        if status != "in progress":
            return bool(status == "committed")
        await asyncio.sleep(0.02)
