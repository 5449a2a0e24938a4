"""Random lives of tasks, and what they come to when they are counted one by one."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from support.tasks import TENANT, claim_by_hand, new_task, open_test_session, settlement
from taskflow_core.app import App
from taskflow_core.dead_letters.selection import Selection
from taskflow_core.stats.figures import TaskGroup
from taskflow_core.tasks.report import Report, Reports
from taskflow_core.tasks.rows import Row

GROUPS = [
    {"queue": queue, "priority": priority, "task_type": task_type}
    for queue, priority, task_type in (
        ("default", "NORMAL", "echo"),
        ("default", "LOW", "echo"),
        ("mail", "HIGH", "email"),
        ("mail", "HIGH", "echo"),
    )
]


@dataclass
class History:
    """Lives of tasks of a tenant, led step by step. `due` is what the task's row said after each event."""

    app: App
    rng: random.Random
    session_id: int
    tenant_id: str = TENANT
    task_ids: list[UUID] = field(default_factory=list)
    due: dict[tuple[UUID, int], datetime] = field(default_factory=dict)

    @classmethod
    async def begin(cls, app: App, seed: str, tenant_id: str = TENANT) -> "History":
        return cls(app, random.Random(seed), await open_test_session(app, lease_seconds=600), tenant_id)

    async def step(self) -> None:
        """Make something happen to some task, or make a task."""
        if not self.task_ids or self.rng.random() < 0.3:
            await self._create()
            return
        task = await self._row(self.rng.choice(self.task_ids))
        match task["status"]:
            case "RUNNING":
                await self._run_on(task)
            case "SUCCEEDED":
                return
            case "FAILED" | "CANCELLED":
                await self._after_the_end(task)
            case _:
                await self._wait_on(task)
        await self._note(task["id"])

    async def _create(self) -> None:
        now = await self.app.database.pool.fetchval("SELECT now()")
        delay = self.rng.choice([None, None, 0.03, 3600])
        row = await self.app.creation.create(
            new_task(
                tenant_id=self.tenant_id,
                schedule_time=None if delay is None else now + timedelta(seconds=delay),
                **self.rng.choice(GROUPS),
            )
        )
        self.task_ids.append(row["id"])
        await self._note(row["id"])

    async def _wait_on(self, task: Row) -> None:
        draw = self.rng.random()
        if draw < 0.1:
            await self.app.cancellation.cancel(task["tenant_id"], task["id"], "tester", "")
        elif draw < 0.2:
            # Of others, too, so all are noted.
            await self.app.sweep.come_due()
            for task_id in self.task_ids:
                await self._note(task_id)
        else:
            await claim_by_hand(self.app, self.session_id, task)

    async def _run_on(self, task: Row) -> None:
        if self.rng.random() < 0.2:
            lines = (Report("PROGRESS", {"progress": {"percent": 1.0}}), Report("LOG", {"message": "hello"}))
            await self.app.reporting.report(
                Reports(task["id"], task["attempt"], self.session_id, "host:1", lines)
            )
            return
        if self.rng.random() < 0.1:
            await self.app.cancellation.cancel(task["tenant_id"], task["id"], "tester", "")
            await self._note(task["id"])
        status = self.rng.choice(["SUCCEEDED", "SUCCEEDED", "RETRYING", "FAILED", "QUEUED", "CANCELLED"])
        fields: dict[str, Any] = {}
        if status == "RETRYING":
            error = {"type": "E", "message": "", "stack_trace": "", "attempt": task["attempt"]}
            fields = {"delay": self.rng.choice([-5, 0, 3600]), "error": error}
        assert await self.app.settlement.settle(settlement(task, self.session_id, status, **fields))

    async def _after_the_end(self, task: Row) -> None:
        draw = self.rng.random()
        if draw < 0.3:
            await self.app.retry.retry(task["tenant_id"], task["id"], "tester", "")
        elif draw < 0.5:
            await self.app.dead_letter_discard.discard(
                task["tenant_id"], Selection((task["id"],), ""), "tester", ""
            )

    async def _row(self, task_id: UUID) -> Row:
        row = await self.app.database.pool.fetchrow("SELECT * FROM tasks WHERE id = $1", task_id)
        assert row is not None
        return row

    async def _note(self, task_id: UUID) -> None:
        row = await self._row(task_id)
        self.due[task_id, row["last_sequence"]] = row["run_at"]


@dataclass
class Truth:
    """Counts by minute and group; all durations in microseconds by minute, group and measure; states by group."""

    counts: Counter[tuple[datetime, TaskGroup, str]] = field(default_factory=Counter)
    durations: defaultdict[tuple[datetime, TaskGroup, str], list[int]] = field(
        default_factory=lambda: defaultdict(list)
    )
    states: Counter[tuple[TaskGroup, str]] = field(default_factory=Counter)


NAMES = {
    "CREATED": "submitted",
    "STARTED": "attempts",
    "RETRYING": "retried",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}


async def count_one_by_one(history: History) -> Truth:
    """Walk through the whole life of every task."""
    truth = Truth()
    for task_id in history.task_ids:
        task = await history._row(task_id)  # noqa: SLF001 - they belong together
        group = TaskGroup(task["queue"], task["priority"], task["task_type"])
        truth.states[group, "DISCARDED" if task["discarded_at"] else task["status"]] += 1
        events = await history.app.database.pool.fetch(
            "SELECT * FROM task_events WHERE task_id = $1 ORDER BY sequence", task_id
        )
        _walk(truth, group, events, history.due)
    return truth


def _walk(truth: Truth, group: TaskGroup, events: Any, due: dict[tuple[UUID, int], datetime]) -> None:
    began = due_at = started = None
    running = False
    for event in events:
        at, kind = event["created_at"], event["kind"]
        minute = at.replace(second=0, microsecond=0)
        if kind in NAMES:
            truth.counts[minute, group, NAMES[kind]] += 1
        if kind == "STARTED":
            assert due_at is not None
            truth.durations[minute, group, "wait"].append(_microseconds(due_at, at))
            started, running = at, True
        if running and event["status"] != "RUNNING":
            truth.durations[minute, group, "run"].append(_microseconds(started, at))
            running = False
        if kind in ("SUCCEEDED", "FAILED", "CANCELLED"):
            truth.durations[minute, group, "total"].append(_microseconds(began, at))
        if kind in ("CREATED", "REPLAYED", "RETRYING", "RELEASED", "QUEUED"):
            due_at = due[event["task_id"], event["sequence"]]
        if kind in ("CREATED", "REPLAYED"):
            began = due_at


def _microseconds(start: datetime | None, end: datetime) -> int:
    assert start is not None
    return max(0, (end - start) // timedelta(microseconds=1))
