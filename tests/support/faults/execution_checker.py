"""What must hold of every execution, whatever was broken: each node once, each join once, one end, no gaps."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from support.waiting import until
from taskflow_core.service_tasks import STEP
from taskflow_core.states import EXECUTION_FINAL, NODE_RUN_OPEN

Row = Any
Connection = Any

EXECUTIONS = "SELECT * FROM workflow_executions WHERE tenant_id = $1"
RUNS = "SELECT * FROM node_runs WHERE tenant_id = $1"
EVENTS = """
SELECT execution_id, sequence, kind, data->'node_run'->>'path' AS path FROM execution_events
WHERE tenant_id = $1 ORDER BY execution_id, sequence
"""
TASKS = "SELECT id, execution_id, status FROM tasks WHERE tenant_id = $1 AND task_type <> $2"
OPEN = "SELECT count(*) FROM workflow_executions WHERE tenant_id = $1 AND finished_at IS NULL"
ENDS = {"NODE_SUCCEEDED", "NODE_FAILED", "NODE_SKIPPED", "NODE_CANCELLED"}


class Ended:
    """One execution with all that belongs to it."""

    def __init__(self, row: Row, runs: list[Row], events: list[Row], tasks: list[Row]) -> None:
        self.row = row
        self.runs = {run["path"]: run for run in runs}
        self.events = events
        self.tasks = tasks

    @property
    def statuses(self) -> dict[str, str]:
        return {path: run["status"] for path, run in self.runs.items()}

    def problems(self) -> Iterator[str]:
        """One line for each promise that was broken."""
        if self.row["status"] not in EXECUTION_FINAL or self.row["open_runs"]:
            yield f"stuck: it is {self.row['status']} with {self.row['open_runs']} open runs"
        yield from self._wrong_log()
        yield from self._wrong_runs()
        yield from self._wrong_tasks()

    def _wrong_log(self) -> Iterator[str]:
        numbers = [event["sequence"] for event in self.events]
        if numbers != list(range(1, self.row["last_sequence"] + 1)):
            yield f"events {numbers}, and the last should be {self.row['last_sequence']}"
        ends = [event["kind"] for event in self.events if event["kind"] in EXECUTION_FINAL]
        if ends != [self.row["status"]]:
            yield f"it is {self.row['status']}, and ended so: {ends}"

    def _wrong_runs(self) -> Iterator[str]:
        seen = Counter(
            (event["path"], event["kind"] in ENDS)
            for event in self.events
            if event["kind"] in {"NODE_STARTED", "NODE_WAITING", *ENDS}
        )
        for path, run in self.runs.items():
            if run["status"] in NODE_RUN_OPEN:
                yield f"stuck: {path} is {run['status']}"
            if seen[path, False] > 1 or seen[path, True] != 1:
                yield f"{path} started {seen[path, False]} times, and ended {seen[path, True]} times"
        for path in {path for path, _ in seen} - set(self.runs):
            yield f"unexpected: events of {path}, which is not there"

    def _wrong_tasks(self) -> Iterator[str]:
        wanted = Counter(run["task_id"] for run in self.runs.values() if run["task_id"])
        wanted += Counter(
            run["compensation_task_id"] for run in self.runs.values() if run["compensation_task_id"]
        )
        there = Counter(task["id"] for task in self.tasks)
        if wanted != there:
            yield f"doubled: {len(there)} tasks for {len(wanted)} runs"


async def read_ended(connection: Connection, tenant: str, seconds: float) -> dict[str, Ended]:
    """All executions of a tenant by their ids, once they have ended. Raises TimeoutError."""

    async def all_ended() -> bool:
        return not await connection.fetchval(OPEN, tenant)

    await until(all_ended, seconds, "all executions end")
    runs = _by_execution(await connection.fetch(RUNS, tenant))
    events = _by_execution(await connection.fetch(EVENTS, tenant))
    tasks = _by_execution(await connection.fetch(TASKS, tenant, STEP))
    return {
        str(row["id"]): Ended(row, runs.get(row["id"], []), events[row["id"]], tasks.get(row["id"], []))
        for row in await connection.fetch(EXECUTIONS, tenant)
    }


def _by_execution(rows: Iterable[Row]) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row["execution_id"], []).append(row)
    return found
