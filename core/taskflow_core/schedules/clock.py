"""What time it is: one clock for all processes, that of the database."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeAlias

import asyncpg

from taskflow_core.db import Connection

Asker: TypeAlias = "Connection | asyncpg.Pool[asyncpg.Record]"
Clock: TypeAlias = Callable[[Asker], Awaitable[datetime]]


async def database_time(asker: Asker) -> datetime:
    """Now, also within a transaction that began a while ago."""
    now: datetime = await asker.fetchval("SELECT clock_timestamp()")
    return now
