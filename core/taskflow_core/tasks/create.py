"""Nothing -> SCHEDULED | QUEUED: submitting tasks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import asyncpg

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.arrays import array_text, crossed, crossing
from taskflow_core.batching import Batcher
from taskflow_core.db import Connection, Database, is_outage, until_answered
from taskflow_core.errors import AlreadyExists, TaskFlowError, Unavailable
from taskflow_core.ids import new_id
from taskflow_core.repeats import digest_of
from taskflow_core.tasks.cancel import cancel_waiting
from taskflow_core.tasks.rows import COLUMNS, Row, columns, hint_if_near

# How long a submit outlives a database that is away, in seconds.
PATIENCE = 5.0


@dataclass(frozen=True)
class UniqueKey:
    """Keeps a second task with the same key out while the first is there."""

    key: str
    scope: Literal["UNFINISHED", "WAITING"] = "UNFINISHED"
    on_conflict: Literal["REJECT", "RETURN_EXISTING", "REPLACE_QUEUED"] = "REJECT"


class NewTask(NamedTuple):
    """A task to be created: checked, and with its defaults filled in."""

    tenant_id: str
    actor: str
    name: str
    task_type: str
    queue: str
    priority: str
    payload: str  # JSON text of an object
    payload_form: Literal["STRUCT", "JSON"]
    tags: tuple[str, ...] = ()
    retry_policy: dict[str, Any] | None = None
    attempt_timeout: float | None = None
    schedule_time: datetime | None = None
    expire_time: datetime | None = None
    unique_key: UniqueKey | None = None
    request_id: str | None = None
    schedule_id: UUID | None = None  # whose fire it is

    def digest(self) -> str:
        """Tells a repeated request from another one under the same request id."""
        content = {
            name: value
            for name, value in self._asdict().items()
            if name not in ("request_id", "actor") and value is not None
        }
        return digest_of(content, _plain)


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else vars(value)


_ACTOR = {"id": "uuid", "actor": "text"}
_NEW = _ACTOR | {
    "tenant_id": "text",
    "name": "text",
    "task_type": "text",
    "queue": "text",
    "priority": "text",
    "payload": "text",
    "payload_form": "text",
    "tags": "text",
    "retry_policy": "text",
    "attempt_timeout": "float8",
    "expire_at": "timestamptz",
    "unique_key": "text",
    "unique_scope": "text",
    "request_id": "text",
    "request_digest": "text",
    "schedule_at": "timestamptz",
    "schedule_id": "uuid",
}

INSERT = f"""
WITH created AS (
  INSERT INTO tasks (
    id, tenant_id, name, task_type, queue, priority, payload, payload_form, tags, retry_policy,
    attempt_timeout, expire_at, unique_key, unique_scope, request_id, request_digest, run_at, status,
    schedule_id)
  SELECT
    id, tenant_id, name, task_type, queue, priority, payload, payload_form, coalesce(tags, '{{}}')::text[], retry_policy::jsonb,
    attempt_timeout, expire_at, unique_key, unique_scope, request_id, request_digest,
    greatest(schedule_at, now()), CASE WHEN schedule_at > now() THEN 'SCHEDULED' ELSE 'QUEUED' END,
    schedule_id
  FROM {crossed(_NEW)} AS new
  ON CONFLICT DO NOTHING
  RETURNING id, tenant_id, status, run_at, created_at
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT created.id, 1, created.tenant_id, 'CREATED', created.status, 0, actors.actor,
    CASE created.status WHEN 'SCHEDULED' THEN jsonb_build_object('next_attempt_time', created.run_at) END
  FROM created JOIN {crossed(_ACTOR)} AS actors USING (id)
)
SELECT id, status, run_at, created_at FROM created
"""  # noqa: S608 - the columns are our own

# A row that was not inserted is here already: our own, after a commit whose answer was lost; or an
# earlier one with the same request id; or one that holds the unique key.
FIND_HOLDERS = f"""
SELECT {columns("t")} FROM tasks t WHERE t.id = $1
UNION
SELECT {columns("t")} FROM tasks t WHERE t.tenant_id = $2 AND t.request_id = $3
UNION
SELECT {columns("t")} FROM tasks t WHERE t.tenant_id = $2 AND t.unique_key = $4
  AND t.status NOT IN ('CANCELLED', 'FAILED', 'SUCCEEDED') AND (t.unique_scope = 'UNFINISHED' OR t.attempt = 0)
"""  # noqa: S608 - the columns are our own

Numbered = tuple[UUID, NewTask]

BLANK: dict[str, Any] = dict.fromkeys(COLUMNS)


class TaskCreation:
    """Submits tasks; those that arrive together share one INSERT and one commit."""

    def __init__(self, database: Database, announcer: Announcer) -> None:
        self._database = database
        self._announcer = announcer
        self._batcher: Batcher[Numbered, Row] = Batcher(self._create_each)

    async def create(self, task: NewTask) -> Row:
        """Store one task and return its row; an earlier row if `request_id` or `unique_key` says so.

        Raises AlreadyExists (REQUEST_ID_REUSED, UNIQUE_KEY_HELD), Unavailable.
        """
        return await self._batcher.submit((new_id(), task))

    async def create_all(self, tasks: Sequence[NewTask]) -> list[Row]:
        """Store all of them or none, in one transaction. Raises as `create`, for the first at fault."""
        numbered = [(new_id(), task) for task in tasks]

        async def in_one_transaction() -> list[Row | TaskFlowError]:
            async with self._database.by_key.acquire() as connection, connection.transaction():
                outcomes = await self._insert(connection, numbered)
                for index, outcome in enumerate(outcomes):
                    if isinstance(outcome, TaskFlowError):
                        outcome.metadata["index"] = str(index)
                        raise outcome
                return outcomes

        outcomes = await self._until_stored(in_one_transaction)
        return [outcome for outcome in outcomes if not isinstance(outcome, TaskFlowError)]

    async def drain(self) -> None:
        """Wait until everything handed over is stored."""
        await self._batcher.drain()

    async def _create_each(self, batch: Sequence[Numbered]) -> Sequence[Row | Exception]:
        async def in_one_statement() -> list[Row | TaskFlowError]:
            async with self._database.by_key.acquire() as connection:
                return await self._insert(connection, batch)

        return await self._until_stored(in_one_statement)

    async def _until_stored(self, work: Any) -> list[Row | TaskFlowError]:
        try:
            outcomes: list[Row | TaskFlowError] = await until_answered(
                work, "create tasks", give_up_after=PATIENCE
            )
        except Exception as error:
            if not is_outage(error):
                raise
            raise Unavailable("the database is away; the task may or may not have been stored") from error
        self._announcer.announce(
            Announcement(row["id"], hint_if_near(row, row["created_at"]))
            for row in outcomes
            if not isinstance(row, TaskFlowError) and row["status"] in ("QUEUED", "SCHEDULED")
        )
        return outcomes

    async def _insert(self, connection: Connection, batch: Sequence[Numbered]) -> list[Row | TaskFlowError]:
        created = {record["id"]: record for record in await insert_rows(connection, batch)}
        outcomes: list[Row | TaskFlowError] = []
        refused: list[tuple[int, Numbered]] = []
        for index, (task_id, task) in enumerate(batch):
            if task_id in created:
                outcomes.append(_row(task_id, task, created[task_id]))
            else:
                refused.append((index, (task_id, task)))
                outcomes.append(Unavailable("the task was not stored"))
        for index, (task_id, task) in refused:
            outcomes[index] = await self._explain(connection, task_id, task)
        return outcomes

    async def _explain(self, connection: Connection, task_id: UUID, task: NewTask) -> Row | TaskFlowError:
        """The earlier task that a refused one stands for, or the error; or the row, once it could be stored."""
        for _ in range(3):
            holders = await connection.fetch(
                FIND_HOLDERS,
                task_id,
                task.tenant_id,
                task.request_id,
                task.unique_key and task.unique_key.key,
            )
            for holder in holders:
                if holder["id"] == task_id:
                    return holder
            for holder in holders:
                if task.request_id is not None and holder["request_id"] == task.request_id:
                    return _repeated(holder, task)
            if holders and task.unique_key is not None:
                holder = holders[0]
                if task.unique_key.on_conflict == "REJECT":
                    return AlreadyExists(
                        f"task {holder['id']} holds the unique key {task.unique_key.key!r}",
                        reason="UNIQUE_KEY_HELD",
                        unique_key=task.unique_key.key,
                        task_id=str(holder["id"]),
                    )
                if task.unique_key.on_conflict == "RETURN_EXISTING" or holder["attempt"] > 0:
                    return holder
                await cancel_waiting(connection, holder["id"], task.actor, reason="replaced by a newer task")
                self._announcer.announce([Announcement(holder["id"])])
            # Whoever was in the way has gone.
            for record in await insert_rows(connection, [(task_id, task)]):
                return _row(task_id, task, record)
        return Unavailable("other tasks with the same key come and go too fast; try again")


async def insert_rows(connection: Connection, batch: Sequence[Numbered]) -> list[asyncpg.Record]:
    """Store those of the tasks that nothing stands against: their ids, statuses and times."""
    tasks = [task for _, task in batch]
    columns: tuple[list[Any], ...] = (
        [task_id for task_id, _ in batch],
        [t.actor for t in tasks],
        [t.tenant_id for t in tasks],
        [t.name for t in tasks],
        [t.task_type for t in tasks],
        [t.queue for t in tasks],
        [t.priority for t in tasks],
        [t.payload for t in tasks],
        [t.payload_form for t in tasks],
        [array_text(t.tags) if t.tags else None for t in tasks],
        [None if t.retry_policy is None else json.dumps(t.retry_policy) for t in tasks],
        [t.attempt_timeout for t in tasks],
        [t.expire_time for t in tasks],
        [t.unique_key and t.unique_key.key for t in tasks],
        [t.unique_key and t.unique_key.scope for t in tasks],
        [t.request_id for t in tasks],
        [None if t.request_id is None else t.digest() for t in tasks],
        [t.schedule_time for t in tasks],
        [t.schedule_id for t in tasks],
    )
    rows = await connection.fetch(INSERT, *map(crossing, columns))
    return list(rows)


def _repeated(holder: Row, task: NewTask) -> Row | TaskFlowError:
    if holder["request_digest"] == task.digest():
        return holder
    return AlreadyExists(
        f"request id {task.request_id!r} was used before, with another request",
        reason="REQUEST_ID_REUSED",
        request_id=str(task.request_id),
        task_id=str(holder["id"]),
    )


def _row(task_id: UUID, task: NewTask, stored: Row) -> Row:
    """The whole row, without reading it back."""
    row = {
        **BLANK,
        "id": task_id,
        "tenant_id": task.tenant_id,
        "name": task.name,
        "task_type": task.task_type,
        "queue": task.queue,
        "priority": task.priority,
        "tags": task.tags,
        "payload": task.payload,
        "payload_form": task.payload_form,
        "retry_policy": task.retry_policy,
        "attempt_timeout": task.attempt_timeout,
        "expire_at": task.expire_time,
        "status": stored["status"],
        "run_at": stored["run_at"],
        "held": False,
        "attempt": 0,
        "failed_attempts": 0,
        "crashes": 0,
        "replays": 0,
        "last_sequence": 1,
        "request_id": task.request_id,
        "created_at": stored["created_at"],
    }
    if task.unique_key is not None:
        row |= {"unique_key": task.unique_key.key, "unique_scope": task.unique_key.scope}
    return row
