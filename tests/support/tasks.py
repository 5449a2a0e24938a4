"""Short ways to make tasks and to run them by hand, one step at a time."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from taskflow_core.app import App
from taskflow_core.retry import RetryPolicy
from taskflow_core.sessions import TypeDefaults, open_session
from taskflow_core.tasks.claim import Claim, claim
from taskflow_core.tasks.create import NewTask
from taskflow_core.tasks.fail import Failure
from taskflow_core.tasks.read import PageRequest, get_task
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.settle import Settlement

TENANT = "default"


def new_task(**fields: Any) -> NewTask:
    """A task of no consequence, but for the fields given."""
    defaults: dict[str, Any] = {
        "tenant_id": TENANT,
        "actor": "tester",
        "name": "a task",
        "task_type": "echo",
        "queue": "default",
        "priority": "NORMAL",
        "payload": "{}",
        "payload_form": "JSON",
    }
    return NewTask(**(defaults | fields))


async def open_test_session(app: App, lease_seconds: float = 60, worker: str = "host:1") -> int:
    """A worker session that nobody renews."""
    return await open_session(
        app.database,
        worker,
        queues=["default"],
        priorities=["NORMAL"],
        types={"echo": TypeDefaults("Return the payload.", 60, RetryPolicy())},
        slots=10,
        lease_seconds=lease_seconds,
    )


async def claim_by_hand(app: App, session_id: int, *tasks: Row) -> list[Row]:
    """Claim tasks as a worker would, from the attempts that the rows say."""
    hints = [(task["id"], task["attempt"]) for task in tasks]
    return await claim(
        app.database, Claim(session_id, "host:1", uuid4(), hints, attempt_timeout=60, max_crashes=3)
    )


async def running_task(app: App, session_id: int, **fields: Any) -> Row:
    """A task that the session runs."""
    (claimed,) = await claim_by_hand(app, session_id, await app.creation.create(new_task(**fields)))
    return claimed


def settlement(task: Row, session_id: int, status: Any = "SUCCEEDED", **fields: Any) -> Settlement:
    """How the running attempt of a task ends."""
    outcomes = {"RETRYING": "FAILED", "QUEUED": "RELEASED"}
    values: dict[str, Any] = {
        "task_id": task["id"],
        "attempt": task["attempt"],
        "session_id": session_id,
        "worker": "host:1",
        "status": status,
        "outcome": outcomes.get(status, status),
    }
    if status == "SUCCEEDED":
        values["result"] = "{}"
    if status == "FAILED":
        values["error"] = Failure("ValueError", "no").as_error(task["attempt"])
        values |= {"dead_letter_reason": "EXHAUSTED", "error_fingerprint": "0123456789abcdef"}
    return Settlement(**(values | fields))


async def status_of(app: App, task: Row) -> str:
    row = await get_task(app.database, TENANT, task["id"])
    return str(row["status"])


async def result_of(app: App, task: Row) -> str:
    """The result as its readers get it."""
    return b"".join([chunk async for chunk in app.results.read(TENANT, task["id"])]).decode()


async def kinds_of(app: App, task: Row) -> Sequence[str]:
    """The kinds of a task's events, whose numbers must be 1, 2, 3 ..."""
    page = await app.reader.list_events(TENANT, task["id"], PageRequest(1000))
    assert [row["sequence"] for row in page.rows] == list(range(1, len(page.rows) + 1))
    return [row["kind"] for row in page.rows]
