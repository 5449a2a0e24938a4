"""Fires as they are kept: read under the lock of their schedules, and written back in a few statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.states import ExecutionStatus, FireOutcome, TaskStatus
from taskflow_core.tasks.rows import Row

# OFFSET 0: tasks and executions are found one by one. The planner might think that to read all is cheaper.
WORK_OF = """LATERAL (
  SELECT status, cancel_requested_at FROM tasks WHERE id = {fire}.task_id
  UNION ALL SELECT status, cancel_requested_at FROM workflow_executions WHERE id = {fire}.execution_id OFFSET 0
)"""
OPEN = f"""
SELECT f.*, w.status AS work_status, w.cancel_requested_at IS NOT NULL AS cancelling
FROM schedule_fires f LEFT JOIN {WORK_OF.format(fire="f")} AS w ON true
WHERE f.open AND f.schedule_id = ANY($1::uuid[])
ORDER BY f.schedule_id, f.fire_time
"""  # noqa: S608 - the tables are our own

# Times that are there already, though the schedule has not come to them: it was changed, or a trigger was
# quicker.
TAKEN = """
SELECT due.schedule_id, f.fire_time FROM unnest($1::uuid[], $2::timestamptz[]) AS due (schedule_id, since)
CROSS JOIN LATERAL (
  SELECT fire_time FROM schedule_fires WHERE schedule_id = due.schedule_id AND fire_time >= due.since
) AS f
"""

IN_RANGE = "SELECT * FROM schedule_fires WHERE schedule_id = $1 AND fire_time >= $2 AND fire_time < $3"

INSERT = """
INSERT INTO schedule_fires (
  schedule_id, fire_time, tenant_id, trigger, outcome, overlap_policy, open, actual_time, start_time, run_number,
  task_id, execution_id, reason, request_id, request_digest)
SELECT * FROM unnest(
  $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::timestamptz[],
  $9::timestamptz[], $10::int[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[])
"""

# The moves of a fire. One that started its work is only closed, when that is final.
UPDATE = """
UPDATE schedule_fires f SET
  trigger = new.trigger, outcome = new.outcome, overlap_policy = new.overlap_policy, open = new.open,
  actual_time = new.actual_time, start_time = new.start_time, run_number = new.run_number,
  task_id = new.task_id, execution_id = new.execution_id, reason = new.reason
FROM unnest(
  $1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::timestamptz[],
  $9::timestamptz[], $10::int[], $11::uuid[], $12::uuid[], $13::text[], $14::text[], $15::text[]) AS new (
  schedule_id, fire_time, tenant_id, trigger, outcome, overlap_policy, open, actual_time, start_time, run_number,
  task_id, execution_id, reason, request_id, request_digest)
WHERE f.schedule_id = ANY($1::uuid[]) AND f.schedule_id = new.schedule_id AND f.fire_time = new.fire_time
  AND (f.outcome <> 'FIRED' OR (new.outcome = 'FIRED' AND NOT new.open))
"""

UNFINISHED = frozenset(
    {
        TaskStatus.SCHEDULED,
        TaskStatus.QUEUED,
        TaskStatus.RUNNING,
        TaskStatus.RETRYING,
        ExecutionStatus.COMPENSATING,
    }
)


@dataclass(kw_only=True)
class Fire:
    """One fire of a schedule that is locked. `stored` if the database has it already."""

    schedule_id: UUID
    tenant_id: str
    fire_time: datetime
    trigger: str
    overlap_policy: str
    actual_time: datetime
    start_time: datetime
    outcome: str = FireOutcome.BUFFERED
    open: bool = False
    run_number: int = 0
    task_id: UUID | None = None
    execution_id: UUID | None = None
    reason: str = ""
    request_id: str | None = None
    request_digest: str | None = None
    stored: bool = False
    work_status: str | None = None  # None if the work is gone
    cancelling: bool = False

    @property
    def is_unfinished(self) -> bool:
        """Whether its work is not final."""
        return self.work_status in UNFINISHED

    def row(self) -> Row:
        """As a row of the table."""
        return vars(self)


COLUMNS = (
    *("schedule_id", "fire_time", "tenant_id", "trigger", "outcome", "overlap_policy", "open", "actual_time"),
    *("start_time", "run_number", "task_id", "execution_id", "reason", "request_id", "request_digest"),
)


def stored_fire(row: Row) -> Fire:
    """A fire as it was read."""
    return Fire(**{column: row[column] for column in COLUMNS}, stored=True)


async def read_open(connection: Connection, schedule_ids: Sequence[UUID]) -> list[Fire]:
    """The fires that wait, or whose work was not final when somebody looked last, oldest first."""
    fires = []
    for row in await connection.fetch(OPEN, schedule_ids):
        fire = stored_fire(row)
        fire.work_status = row["work_status"]
        fire.cancelling = row["cancelling"]
        fires.append(fire)
    return fires


async def write_fires(connection: Connection, fires: Iterable[Fire]) -> None:
    """Store new fires, and the changes of others. A time that is there already is an error."""
    fires = list(fires)
    for statement, some in (
        (INSERT, [fire for fire in fires if not fire.stored]),
        (UPDATE, [fire for fire in fires if fire.stored]),
    ):
        if some:
            done = await connection.execute(
                statement, *([getattr(fire, column) for fire in some] for column in COLUMNS)
            )
            if not done.endswith(f" {len(some)}"):
                raise RuntimeError(f"{len(some)} fires were to be written, but {done}")
