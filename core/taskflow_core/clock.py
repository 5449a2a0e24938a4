"""What time it is: one clock for all processes, that of the database. Their own may be set wrong, or jump."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import asyncpg
import structlog

from taskflow_core.db import CONNECTION_ERRORS, Connection, Database

log = structlog.get_logger()

# Seconds after which the database is asked anew: it may have been set, and this machine may have slept.
ASK_EACH = 30.0

Asker: TypeAlias = "Connection | asyncpg.Pool[asyncpg.Record]"
Clock: TypeAlias = Callable[[Asker], Awaitable[datetime]]


async def database_time(asker: Asker) -> datetime:
    """Now, also within a transaction that began a while ago."""
    now: datetime = await asker.fetchval("SELECT clock_timestamp()")
    return now


class DatabaseClock:
    """The database's time without a trip: asked for now and then, and carried on by the monotonic clock.

    For checks of what callers say. What must be exact is compared in statements. Call `set` first.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._setting: asyncio.Task[None] | None = None

    async def set(self) -> None:
        """Ask the database. Raises CONNECTION_ERRORS."""
        self._time_then = await database_time(self._database.pool)
        # So it is slow by a part of the trip, and never fast: nothing may come early.
        self._set_at = time.monotonic()

    def now(self) -> datetime:
        """The time, to within a few milliseconds; it never waits and never fails."""
        passed = time.monotonic() - self._set_at
        if passed > ASK_EACH and self._setting is None:
            self._setting = asyncio.create_task(self._set_again())
        return self._time_then + timedelta(seconds=passed)

    async def drain(self) -> None:
        """Wait until the database has answered, or failed to."""
        while self._setting is not None:
            await asyncio.wait([self._setting])

    async def _set_again(self) -> None:
        try:
            await self.set()
        except CONNECTION_ERRORS as error:
            log.warning("the clock goes on as it was set", error=repr(error))
        finally:
            self._setting = None
