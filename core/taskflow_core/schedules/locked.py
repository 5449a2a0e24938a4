"""One schedule under its lock: it fires what has come, and then is changed."""

from collections.abc import Awaitable, Callable
from typing import TypeVar
from uuid import UUID

from taskflow_core.db import Connection, Database, exactly_once
from taskflow_core.errors import NotFound
from taskflow_core.schedules.fire import Fired, Firing
from taskflow_core.schedules.ledger import Ledger
from taskflow_core.tasks.rows import Row

# How long a call outlives a database that is away, in seconds.
PATIENCE = 5.0
# Times that have come and fire before a change is made.
MOST_TIMES = 5000

Result = TypeVar("Result")

GET = "SELECT * FROM schedules WHERE id = $1 AND tenant_id = $2"
LOCK = f"{GET} FOR UPDATE"


async def with_ledger(
    database: Database,
    firing: Firing,
    tenant_id: str,
    schedule_id: UUID,
    work: Callable[[Connection, Ledger], Awaitable[Result]],
    what: str,
    *,
    keep: bool = True,
) -> Result:
    """Lock a schedule, let it fire what came until now, and do some work on its ledger; then write that, once.

    `what` is for the log. With `keep=False` nothing is written. Raises NotFound.
    """

    async def locked(connection: Connection) -> tuple[Result, Fired]:
        row: Row | None = await connection.fetchrow(LOCK, schedule_id, tenant_id)
        if row is None:
            raise NotFound("schedule", str(schedule_id))
        now = await firing.clock(connection)
        [ledger] = await firing.open(connection, [row], now, times=MOST_TIMES)
        result = await work(connection, ledger)
        # Until here nothing was written but by `work`.
        return result, await firing.write(connection, [ledger]) if keep else Fired()

    result, done = await exactly_once(database, locked, what, give_up_after=PATIENCE)
    await firing.say(done)
    return result
