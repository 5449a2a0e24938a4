"""Short ways to make schedules and to let them fire at chosen times."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.paging import PageTokens
from taskflow_core.schedules.assembly import Schedules, assemble_schedules
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.rows import Row

MINUTE = timedelta(minutes=1)
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class SetClock:
    """A clock that stands until it is set on."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    async def __call__(self, _: object) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


def schedules_at(app: App, clock: SetClock) -> Schedules:
    """The schedules of an app, by a clock of our own."""
    return assemble_schedules(
        app.settings,
        app.database,
        app.queue,
        app.announcer,
        app.cancellation,
        PageTokens.of(app.settings),
        app.executions,
        clock=clock,
    )


def timing(**fields: Any) -> dict[str, Any]:
    """Every minute, but for the fields given."""
    return fields or {"cron_expression": "* * * * *"}


async def create(schedules: Schedules, **fields: Any) -> Row:
    """A schedule of no consequence, but for the fields given."""
    defaults: dict[str, Any] = {"name": "a schedule", "task_type": "echo", "timing": timing()}
    return await schedules.creation.create(TENANT, defaults | fields)


async def again(schedules: Schedules, schedule: Row) -> Row:
    return await schedules.reader.get(TENANT, schedule["id"])


async def fires_of(schedules: Schedules, schedule: Row) -> Sequence[Row]:
    """All fires, oldest first."""
    page = await schedules.reader.list_fires(
        TENANT, schedule["id"], PageRequest(1000), filter="", order_by="fire_time"
    )
    return page.rows


async def outcomes_of(schedules: Schedules, schedule: Row) -> list[str]:
    return [row["outcome"] for row in await fires_of(schedules, schedule)]


async def end_task(app: App, task_id: UUID, status: str = "SUCCEEDED") -> None:
    """Let a task be final without a worker."""
    await app.database.pool.execute(
        "UPDATE tasks SET status = $2, finished_at = now(),"
        " dead_letter_reason = CASE WHEN $2 = 'FAILED' THEN 'EXHAUSTED' END,"
        " error_fingerprint = CASE WHEN $2 = 'FAILED' THEN 'x' END WHERE id = $1",
        task_id,
        status,
    )
