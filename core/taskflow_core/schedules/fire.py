"""The tick: times that have come become fires and tasks, in one transaction, whoever ticks.

The row lock of a schedule, the key of its fires and the one commit each keep a second fire out; and nothing is
missed, because the next time of a schedule moves only together with the fire.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.clock import Clock
from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import TaskFlowError
from taskflow_core.executions.advance import Advanced
from taskflow_core.executions.start import NewExecution
from taskflow_core.schedules.catch_up import catch_up
from taskflow_core.schedules.fires import TAKEN, WORK_OF, Fire, read_open, write_fires
from taskflow_core.schedules.ledger import COUNTERS, Ledger
from taskflow_core.schedules.timing import jittered
from taskflow_core.schedules.timings import Timings
from taskflow_core.schedules.work import execution_of, task_of
from taskflow_core.schedules.workflows import WorkflowFires
from taskflow_core.states import CatchUpPolicy, ScheduleStatus, ScheduleType
from taskflow_core.tasks.cancel import TaskCancellation
from taskflow_core.tasks.create import NewTask, insert_rows
from taskflow_core.tasks.rows import Row, hint_if_near

log = structlog.get_logger()

SERVICE = "service"
# Schedules in one transaction, and times of one schedule.
BATCH = 300
TIMES = 100
# Tasks of which one process wants to hear.
MOST_AWAITED = 10_000
# How long a tick outlives a database that is away, in seconds: the next one follows.
PATIENCE = 5.0

DUE = """
SELECT * FROM schedules WHERE status = 'ACTIVE' AND next_fire_at <= $1
ORDER BY next_fire_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
LOCK = "SELECT * FROM schedules WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED"

# Open fires that have something to do: their work is final; or they wait, and nothing is in their way any more;
# or they wait for work that nobody has cancelled yet. Tasks are found one by one, as in OPEN.
CHANGED = f"""
SELECT DISTINCT f.schedule_id FROM schedule_fires f LEFT JOIN {WORK_OF.format(fire="f")} AS w ON true
WHERE f.open AND CASE f.outcome
  WHEN 'FIRED' THEN w.status IS NULL OR w.status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')
  ELSE NOT EXISTS (
      SELECT FROM schedule_fires r WHERE r.open AND r.schedule_id = f.schedule_id AND r.outcome = 'FIRED')
      AND (f.trigger IN ('BACKFILL', 'MANUAL')
        OR (SELECT status FROM schedules s WHERE s.id = f.schedule_id) <> 'PAUSED')
    OR f.overlap_policy = 'CANCEL_OTHER' AND EXISTS (
      SELECT FROM schedule_fires r CROSS JOIN {WORK_OF.format(fire="r")} AS o
      WHERE r.open AND r.schedule_id = f.schedule_id AND r.outcome = 'FIRED' AND o.cancel_requested_at IS NULL
        AND o.status NOT IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))
  END
LIMIT $1
"""  # noqa: S608 - the tables are our own

# An idle service pays for this one statement.
LOOK = """
SELECT (
    SELECT extract(epoch FROM next_fire_at - clock_timestamp())::float8 FROM schedules
    WHERE status = 'ACTIVE' ORDER BY next_fire_at LIMIT 1
  ) AS seconds_to_next,
  EXISTS (SELECT FROM schedule_fires WHERE open) AS any_open
"""

STATE = {
    "status": "text",
    "note": "text",
    "next_fire_at": "timestamptz",
    "last_fire_at": "timestamptz",
    "last_task_id": "uuid",
    "last_execution_id": "uuid",
    "buffered": "int",
    **dict.fromkeys(COUNTERS, "int"),
}
MOVE = f"""
UPDATE schedules s SET {", ".join(f"{name} = new.{name}" for name in STATE)}
FROM unnest(
  $1::uuid[], {", ".join(f"${number}::{kind}[]" for number, kind in enumerate(STATE.values(), start=2))}
) AS new (id, {", ".join(STATE)})
WHERE s.id = ANY($1::uuid[]) AND s.id = new.id
"""  # noqa: S608 - the columns are our own


class Look(NamedTuple):
    """How long until a schedule is due, if any is ACTIVE, and whether any fire is open."""

    seconds_to_next: float | None
    any_open: bool


@dataclass
class Fired:
    """What is to be said and done after the commit."""

    schedules: int = 0
    announcements: list[Announcement] = field(default_factory=list)
    to_cancel: list[UUID] = field(default_factory=list)
    executions_to_cancel: list[tuple[str, UUID]] = field(default_factory=list)
    advanced: Advanced = field(default_factory=Advanced)
    # Tasks and executions for whose end a fire waits, and their schedules.
    awaited: dict[UUID, UUID] = field(default_factory=dict)


class Firing:
    """Fires what is due, and follows up what was fired."""

    def __init__(
        self,
        database: Database,
        announcer: Announcer,
        cancellation: TaskCancellation,
        clock: Clock,
        workflows: WorkflowFires,
        *,
        max_payload_bytes: int,
    ) -> None:
        self._database = database
        self._announcer = announcer
        self._cancellation = cancellation
        self._max_payload_bytes = max_payload_bytes
        self._workflows = workflows
        self.clock = clock
        self.timings = Timings()
        # Tasks for whose end a fire waits: whoever hears of one should follow up at once.
        self.awaited: dict[UUID, UUID] = {}

    async def look(self) -> Look:
        """What there is to do, and when."""
        [row] = await self._database.pool.fetch(LOOK)
        return Look(row["seconds_to_next"], row["any_open"])

    async def fire_due(self) -> int:
        """Fire all that is due and that nobody else fires now; the number of schedules."""
        count = 0
        while True:
            done = await until_answered(self._fire_some, "fire schedules", give_up_after=PATIENCE)
            await self.say(done)
            count += done.schedules
            # One that has more due times than fit is due again.
            if done.schedules == 0:
                return count

    async def follow_up(self) -> int:
        """Close fires whose work is final, and start what waited for it; the number of schedules."""
        count = 0
        while True:
            changed = await self._database.pool.fetch(CHANGED, BATCH)
            done = await self._follow_up([row["schedule_id"] for row in changed])
            count += done
            # What others are at they finish.
            if len(changed) < BATCH or not done:
                return count

    async def follow_up_tasks(self, task_ids: Sequence[UUID]) -> int:
        """Do that where these awaited tasks have ended."""
        schedules = {self.awaited[task_id] for task_id in task_ids if task_id in self.awaited}
        return await self._follow_up(list(schedules))

    async def _follow_up(self, schedule_ids: Sequence[UUID]) -> int:
        if not schedule_ids:
            return 0

        async def once() -> Fired:
            async with self._database.pool.acquire() as connection, connection.transaction():
                rows = await connection.fetch(LOCK, schedule_ids)
                return await self._process(connection, rows, await self.clock(connection))

        done = await until_answered(once, "follow up fires", give_up_after=PATIENCE)
        for task_id in [
            task_id for task_id, schedule_id in self.awaited.items() if schedule_id in schedule_ids
        ]:
            del self.awaited[task_id]
        await self.say(done)
        return done.schedules

    async def _fire_some(self) -> Fired:
        async with self._database.pool.acquire() as connection, connection.transaction():
            now = await self.clock(connection)
            rows = await connection.fetch(DUE, now, BATCH)
            return await self._process(connection, rows, now)

    async def _process(self, connection: Connection, rows: Sequence[Row], now: datetime) -> Fired:
        if not rows:
            return Fired()
        return await self.write(connection, await self.open(connection, rows, now))

    async def open(
        self, connection: Connection, rows: Sequence[Row], now: datetime, *, times: int = TIMES
    ) -> list[Ledger]:
        """The ledgers of schedules that are locked, with all that has happened and has come due until now.

        Of each at most so many times; the next tick takes the others.
        """
        ids = [row["id"] for row in rows]
        fires: dict[UUID, list[Fire]] = {schedule_id: [] for schedule_id in ids}
        for fire in await read_open(connection, ids):
            fires[fire.schedule_id].append(fire)
        taken = await self._taken(connection, [row for row in rows if _is_due(row, now)])
        ledgers = []
        for row in rows:
            ledger = Ledger(row, fires[row["id"]], now, self._work_of)
            ledger.close_ended()
            ledger.release()
            if ledger.status == ScheduleStatus.ACTIVE and _is_due(row, now):
                self._come_due(ledger, taken.get(row["id"], set()), times)
            ledgers.append(ledger)
        return ledgers

    async def write(self, connection: Connection, ledgers: Sequence[Ledger]) -> Fired:
        """Store what was decided. Call `say` with the answer after the commit."""
        tasks = [task for ledger in ledgers for task in ledger.tasks]
        announcements: list[Announcement] = []
        if tasks:
            stored = {record["id"]: record for record in await insert_rows(connection, tasks)}
            for task_id, task in tasks:
                record = stored[task_id]
                row = {**record, "queue": task.queue, "priority": task.priority, "attempt": 0}
                announcements.append(Announcement(task_id, hint_if_near(row, record["created_at"])))
        advanced = await self._start_executions(connection, ledgers)
        await write_fires(connection, (fire for ledger in ledgers for fire in ledger.written.values()))
        await connection.execute(MOVE, *_columns_of(ledgers))
        return Fired(
            len(ledgers),
            announcements,
            [fire.task_id for ledger in ledgers for fire in ledger.to_cancel if fire.task_id],
            [
                (fire.tenant_id, fire.execution_id)
                for ledger in ledgers
                for fire in ledger.to_cancel
                if fire.execution_id
            ],
            advanced,
            {
                work_id: ledger.schedule["id"]
                for ledger in ledgers
                if ledger.waiting
                for fire in ledger.running
                if (work_id := fire.task_id or fire.execution_id) is not None
            },
        )

    async def say(self, done: Fired) -> None:
        """Tell the workers of the tasks, and cancel those in whose place others wait to start.

        If the process dies before, the sweep and the next follow-up do it.
        """
        if len(self.awaited) >= MOST_AWAITED:
            # Others ended up following these up; what is forgotten here the next look finds.
            self.awaited.clear()
        self.awaited |= done.awaited
        self._announcer.announce(done.announcements)
        await self._workflows.say(done.advanced)
        reason = "a newer fire of its schedule takes its place"
        if done.to_cancel:
            await self._cancellation.cancel_all(None, done.to_cancel, SERVICE, reason)
        await self._workflows.cancel(done.executions_to_cancel, SERVICE, reason)

    async def _start_executions(self, connection: Connection, ledgers: Sequence[Ledger]) -> Advanced:
        """Start the executions of fires; fires whose workflow cannot start are REFUSED."""
        wanted = [(ledger, fire, new) for ledger in ledgers for fire, new in ledger.executions]
        batch = [(fire.execution_id, new) for _, fire, new in wanted if fire.execution_id is not None]
        if not batch:
            return Advanced()
        outcomes, advanced = await self._workflows.start(connection, batch)
        for (ledger, fire, _), outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, TaskFlowError):
                ledger.refuse(fire, outcome.message)
        return advanced

    async def _taken(self, connection: Connection, due: Sequence[Row]) -> dict[UUID, set[datetime]]:
        taken: dict[UUID, set[datetime]] = {}
        if due:
            since = [row["next_fire_at"] for row in due]
            for row in await connection.fetch(TAKEN, [row["id"] for row in due], since):
                taken.setdefault(row["schedule_id"], set()).add(row["fire_time"])
        return taken

    def _come_due(self, ledger: Ledger, taken: set[datetime], limit: int) -> None:
        schedule, now = ledger.schedule, ledger.now
        timing = self.timings.of(schedule)
        since: datetime = schedule["next_fire_at"]
        times: list[datetime] = []
        time: datetime | None = since
        while time is not None and time <= now and len(times) < limit:
            times.append(time)
            time = timing.next_after(time)
        more = time is not None and time <= now
        policy = schedule["catch_up_policy"]
        if schedule["schedule_type"] == ScheduleType.ONE_TIME and since < schedule["updated_at"]:
            # It was asked for when its time had passed.
            policy = CatchUpPolicy.ALL
        window = timedelta(seconds=schedule["catch_up_window"])
        due = catch_up(times, now, window, policy, more=more)
        ledger.come_due([one for one in due if one.time not in taken], _start_time(schedule, timing.jitter))
        ledger.expect(time)

    def _work_of(self, schedule: Row, fire: Fire) -> NewTask | NewExecution:
        of = task_of if schedule["workflow_id"] is None else execution_of
        return of(schedule, fire, self._max_payload_bytes)


def _is_due(schedule: Row, now: datetime) -> bool:
    return bool(schedule["status"] == ScheduleStatus.ACTIVE and schedule["next_fire_at"] <= now)


def _start_time(schedule: Row, jitter: float) -> Callable[[datetime], datetime]:
    if not jitter:
        return lambda time: time
    return lambda time: jittered(time, schedule["id"], jitter)


def _columns_of(ledgers: Sequence[Ledger]) -> list[list[Any]]:
    """What MOVE takes."""
    states = [ledger.state() for ledger in ledgers]
    return [
        [ledger.schedule["id"] for ledger in ledgers],
        *([state[name] for state in states] for name in STATE),
    ]
