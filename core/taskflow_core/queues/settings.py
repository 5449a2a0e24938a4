"""Reading and changing the settings of queues."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, Subquery, Text, cast, func, literal, select, union
from sqlalchemy.orm import aliased

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.etags import check_etag, etag_of
from taskflow_core.filters import ENUM, TEXT, TIMESTAMP, FilterField, compile_filter
from taskflow_core.models import Queue, WorkerSession
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.queues.held import HeldTasks
from taskflow_core.queues.rooms import QueueKey
from taskflow_core.states import TASK_FINAL, QueueStatus, TaskStatus
from taskflow_core.stats.now import snapshot, standings
from taskflow_core.tasks.read import Page, PageRequest, fetch_page
from taskflow_core.tasks.rows import Row

# How long a change outlives a database that is away, in seconds.
PATIENCE = 5.0

UNFINISHED = frozenset(TaskStatus) - TASK_FINAL

GET = "SELECT * FROM queues WHERE tenant_id = $1 AND name = $2"

SET_STATUS = """
INSERT INTO queues AS q (tenant_id, name, status, note) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, name) DO UPDATE SET
  status = excluded.status, note = excluded.note, revision = q.revision + 1, updated_at = now()
RETURNING *
"""

# The row to lock, also where there was none.
MAKE = "INSERT INTO queues (tenant_id, name, revision) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING"
LOCK = f"{GET} FOR UPDATE"

SET_LIMITS = """
UPDATE queues SET max_concurrency = $3, max_rate = $4, task_type_limits = $5,
  revision = revision + 1, updated_at = now()
WHERE tenant_id = $1 AND name = $2 RETURNING *
"""


class QueueSettings:
    """The settings of each tenant's queues. One that nobody has set anything for has the defaults."""

    def __init__(self, database: Database, held: HeldTasks, tokens: PageTokens) -> None:
        self._database = database
        self._held = held
        self._tokens = tokens

    async def get(self, tenant_id: str, name: str) -> Row:
        """The settings of one queue."""
        row: Row | None = await self._database.pool.fetchrow(GET, tenant_id, name)
        return _unset(tenant_id, name) if row is None else row

    async def list(self, tenant_id: str, page: PageRequest, *, filter: str) -> Page:
        """The queues that have settings, unfinished tasks or live workers, by name.

        Raises InvalidArgument (INVALID_FILTER, INVALID_PAGE_TOKEN).
        """
        known = _known(tenant_id, await _queues_at_work(self._database, tenant_id))
        queue = aliased(Queue, known, adapt_on_names=True)
        order = parse_order("", {"name": queue.name}, "name", tie_breaker="name")
        query = select(known)
        fields = {
            "name": FilterField(queue.name, TEXT),
            "status": FilterField(queue.status, ENUM(QueueStatus)),
            "update_time": FilterField(queue.updated_at, TIMESTAMP),
        }
        condition = compile_filter(filter, fields)
        if condition is not None:
            query = query.where(condition)
        arguments = {"list": "queues", "tenant": tenant_id, "filter": filter}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def set_status(self, tenant_id: str, name: str, status: QueueStatus, note: str) -> Row:
        """Pause or resume a queue, and return its settings. What is held starts as soon as it may."""
        [row] = await until_answered(
            lambda: self._database.pool.fetch(SET_STATUS, tenant_id, name, status, note),
            "pause or resume a queue",
            give_up_after=PATIENCE,
        )
        self._held.release([QueueKey(tenant_id, name)])
        return row

    async def set_limits(self, tenant_id: str, name: str, changes: Mapping[str, Any], etag: str) -> Row:
        """Change limits of a queue, and return its settings.

        `changes` has new values of `max_concurrency`, `max_rate` and `task_type_limits`; `None` lifts a
        limit. They hold for attempts that start from now on. Raises EtagMismatch.
        """
        async with self._database.pool.acquire() as connection, connection.transaction():
            row = await _change_limits(connection, tenant_id, name, changes, etag)
        self._held.release([QueueKey(tenant_id, name)])
        return row


async def _change_limits(
    connection: Connection, tenant_id: str, name: str, changes: Mapping[str, Any], etag: str
) -> Row:
    await connection.execute(MAKE, tenant_id, name)
    [present] = await connection.fetch(LOCK, tenant_id, name)
    check_etag("queue", name, etag, etag_of(present))
    limits = [
        changes.get(limit, present[limit]) for limit in ("max_concurrency", "max_rate", "task_type_limits")
    ]
    [row] = await connection.fetch(SET_LIMITS, tenant_id, name, *limits)
    return row


def _unset(tenant_id: str, name: str) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "name": name,
        "status": QueueStatus.ACTIVE,
        "note": "",
        "max_concurrency": None,
        "max_rate": None,
        "task_type_limits": {},
        "revision": 0,
        "updated_at": None,
    }


async def _queues_at_work(database: Database, tenant_id: str) -> list[str]:
    """The queues that have unfinished tasks, as statistics have counted them: nobody reads the tasks for it."""
    async with snapshot(database, tenant_id) as seen:
        found = await standings(seen)
    return sorted({group.queue for group, standing in found.items() if UNFINISHED & standing.states.keys()})


def _known(tenant_id: str, at_work: Sequence[str]) -> Subquery:
    """Every queue of a tenant that anybody has named, with its settings."""
    live = WorkerSession.ended_at.is_(None) & (WorkerSession.lease_until > func.now())
    names = union(
        select(Queue.name).where(Queue.tenant_id == tenant_id),
        select(func.unnest(cast(list(at_work), ARRAY(Text)))),
        select(func.unnest(WorkerSession.queues)).where(live),
    ).subquery()
    name = names.c[0]
    settings = Queue.__table__
    return (
        select(
            literal(tenant_id).label("tenant_id"),
            name.label("name"),
            func.coalesce(settings.c.status, QueueStatus.ACTIVE.value).label("status"),
            func.coalesce(settings.c.note, "").label("note"),
            settings.c.max_concurrency,
            settings.c.max_rate,
            settings.c.task_type_limits,
            func.coalesce(settings.c.revision, 0).label("revision"),
            settings.c.updated_at,
        )
        .select_from(
            names.outerjoin(settings, (settings.c.tenant_id == tenant_id) & (settings.c.name == name))
        )
        .subquery()
    )
