"""What must hold whatever was broken, after the model of Jepsen's checker for queues.

Three witnesses are compared: what the client was told, what the handlers wrote down, and the rows.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg

from support.faults import executions
from support.faults.executions import Execution
from support.faults.load import Submission
from taskflow_core.service_tasks import is_reserved
from taskflow_core.states import TASK_FINAL, TASK_MOVES, TaskStatus

Row = Any
Connection = Any

# Events that leave the status as it is.
STAY = ("PROGRESS", "LOG", "CANCEL_REQUESTED")
TASKS = """
SELECT t.*, r.result FROM tasks t LEFT JOIN task_results r ON r.task_id = t.id WHERE t.tenant_id = $1
"""
UNFINISHED = """
SELECT count(*) FROM tasks WHERE tenant_id = $1 AND status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED')
"""


@dataclass(frozen=True)
class History:
    """Everything that is known of the tasks of one tenant."""

    submissions: list[Submission]
    executions: list[Execution]
    tasks: dict[str, Row]
    attempts: dict[str, list[Row]]
    events: dict[str, list[Row]]

    def runs(self, task_id: str) -> list[int]:
        """The attempts of a task that began, in the order in which they did."""
        return [e.attempt for e in self.executions if e.task_id == task_id and e.step == "begin"]

    def longest_gap(self, task_id: str) -> float:
        """Seconds between the beginnings of two attempts of a task; 0 if it needed one."""
        begun = [e.at for e in self.executions if e.task_id == task_id and e.step == "begin"]
        return max((after - before for before, after in pairwise(begun)), default=0.0)

    @property
    def statuses(self) -> Counter[str]:
        return Counter(task["status"] for task in self.tasks.values())

    @property
    def crashes(self) -> int:
        return sum(task["crashes"] for task in self.tasks.values())

    @property
    def failures(self) -> int:
        return sum(task["failed_attempts"] for task in self.tasks.values())


async def wait_until_final(connection: Connection, tenant: str, seconds: float) -> None:
    """Wait until nothing of the tenant waits or runs, or the time is over: then the checker finds it stuck."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while await connection.fetchval(UNFINISHED, tenant) and clock() < end:
        await asyncio.sleep(0.05)


async def read_history(
    connection: Connection, tenant: str, submissions: list[Submission], log: Path
) -> History:
    tasks = await connection.fetch(TASKS, tenant)
    attempts = await connection.fetch(
        "SELECT * FROM task_attempts WHERE tenant_id = $1 ORDER BY task_id, attempt", tenant
    )
    events = await connection.fetch(
        "SELECT * FROM task_events WHERE tenant_id = $1 ORDER BY task_id, sequence", tenant
    )
    return History(
        submissions,
        list(executions.read(log, tenant)),
        {str(row["id"]): row for row in tasks},
        _by_task(attempts),
        _by_task(events),
    )


def problems(history: History) -> Iterator[str]:
    """One line for each promise that was broken."""
    yield from _lost(history)
    yield from task_problems(history)


def task_problems(history: History) -> Iterator[str]:
    """One line for each promise about a task of a handler that was broken, whoever created it."""
    yield from _doubled(history)
    for task_id, task in history.tasks.items():
        if is_reserved(task["task_type"]):
            continue
        for problem in (
            *_stuck(task),
            *_wrong_result(task, history),
            *_wrong_attempts(task, history.attempts.get(task_id, [])),
            *_wrong_events(task, history.events.get(task_id, [])),
        ):
            yield f"{task_id}: {problem}"


def _lost(history: History) -> Iterator[str]:
    for submission in history.submissions:
        if submission.task_id is not None and submission.task_id not in history.tasks:
            yield f"lost: {submission} was acked and is not there"
    requests = Counter(task["request_id"] for task in history.tasks.values())
    sent = {submission.request_id for submission in history.submissions}
    for request_id, count in requests.items():
        if request_id not in sent:
            yield f"unexpected: nobody sent {request_id}"
        if count > 1:
            yield f"doubled: {request_id} became {count} tasks"
    for task_id in {execution.task_id for execution in history.executions} - set(history.tasks):
        yield f"unexpected: {task_id} ran and is not there"


def _doubled(history: History) -> Iterator[str]:
    begun = Counter((e.task_id, e.attempt) for e in history.executions if e.step == "begin")
    for (task_id, attempt), count in begun.items():
        if count > 1:
            yield f"doubled: attempt {attempt} of {task_id} began {count} times"


def _stuck(task: Row) -> Iterator[str]:
    if task["status"] not in TASK_FINAL:
        yield f"stuck: it is {task['status']} in attempt {task['attempt']}"


def _wrong_result(task: Row, history: History) -> Iterator[str]:
    """A result must come from the attempt that the row names, from the process that ran it, and from its end."""
    if (task["result"] is not None) != (task["status"] == "SUCCEEDED"):
        yield f"it is {task['status']} with the result {task['result']}"
        return
    if task["result"] is None:
        return
    result = json.loads(task["result"])
    if result["attempt"] != task["attempt"]:
        yield f"zombie write: attempt {task['attempt']} has the result of {result['attempt']}"
    ended = [
        e.pid
        for e in history.executions
        if e.task_id == str(task["id"]) and e.attempt == task["attempt"] and e.step == "end"
    ]
    if ended != [result["pid"]]:
        yield f"zombie write: the result is of process {result['pid']}, but {ended} ended that attempt"


def _wrong_attempts(task: Row, attempts: list[Row]) -> Iterator[str]:
    numbers = [attempt["attempt"] for attempt in attempts]
    if numbers != list(range(1, task["attempt"] + 1)):
        yield f"attempts {numbers} are recorded, and it is in attempt {task['attempt']}"
    outcomes = Counter(attempt["outcome"] for attempt in attempts)
    if outcomes["FAILED"] != task["failed_attempts"] or outcomes["LOST"] != task["crashes"]:
        yield f"{dict(outcomes)}, but {task['failed_attempts']} failures and {task['crashes']} crashes counted"
    if outcomes["SUCCEEDED"] != (task["status"] == "SUCCEEDED"):
        yield f"{outcomes['SUCCEEDED']} attempts succeeded, and it is {task['status']}"


def _wrong_events(task: Row, events: list[Row]) -> Iterator[str]:
    numbers = [event["sequence"] for event in events]
    if numbers != list(range(1, task["last_sequence"] + 1)):
        yield f"events {numbers}, and the last should be {task['last_sequence']}"
        return
    if events[0]["kind"] != "CREATED" or events[-1]["status"] != task["status"]:
        yield f"its events say {[event['kind'] for event in events]}, and it is {task['status']}"
    for before, after in pairwise(events):
        stays = after["kind"] in STAY and before["status"] == after["status"]
        if not stays and after["status"] not in TASK_MOVES[TaskStatus(before["status"])]:
            yield f"illegal: from {before['status']} to {after['status']} with {after['kind']}"
    ends = [event["kind"] for event in events if event["status"] in TASK_FINAL]
    replays = sum(event["kind"] == "REPLAYED" for event in events)
    if len(ends) != replays + (task["status"] in TASK_FINAL):
        yield f"it ended {len(ends)} times: {ends}"


def _by_task(rows: Iterable["asyncpg.Record"]) -> dict[str, list[Row]]:
    by_task: dict[str, list[Row]] = {}
    for row in rows:
        by_task.setdefault(str(row["task_id"]), []).append(row)
    return by_task
