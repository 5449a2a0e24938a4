"""Executions on a real worker, and short ways to start them and to look at them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from support.executions import definition
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.executions.start import NewExecution
from taskflow_core.queue import lanes
from taskflow_core.states import Priority
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.definitions import NewWorkflow
from taskflow_worker import Fail, TaskContext
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import Handler, Registry
from taskflow_worker.service_handlers import service_handlers

Json = dict[str, Any]


async def double(context: TaskContext, payload: Json) -> Any:
    return payload["n"] * 2


async def echo(context: TaskContext, payload: Json) -> Json:
    return payload


async def refuse(context: TaskContext, payload: Json) -> None:
    raise Fail("refused")


async def forever(context: TaskContext, payload: Json) -> None:
    await asyncio.Event().wait()


HANDLERS = {"double": double, "echo": echo, "refuse": refuse, "forever": forever}


@asynccontextmanager
async def working(app: App, **more: Callable[..., Any]) -> AsyncIterator[TaskWorker]:
    handlers = [Handler(name, function) for name, function in (HANDLERS | more).items()]
    registry = Registry([*handlers, *service_handlers(app)])
    worker = TaskWorker(app, registry, lanes(["default"], tuple(Priority)))
    main = asyncio.create_task(worker.main())
    try:
        # Definitions name task types that a worker must have registered.
        while not await app.database.pool.fetchval("SELECT count(*) FROM task_types"):
            await asyncio.sleep(0.01)
        yield worker
    finally:
        worker.drain()
        await main


def task(node_id: str, task_type: str = "echo", payload: Json | None = None, **fields: Any) -> Json:
    computed = fields.pop("computed", {})
    template = {"task_type": task_type, "payload": payload or {}, "payload_expressions": computed}
    return {"id": node_id, "task": template, **fields}


async def make(app: App, nodes: Sequence[Json], edges: Sequence[Json] = (), **fields: Any) -> UUID:
    content = definition(nodes, edges, **{"name": f"w-{uuid4().hex[:8]}"} | fields)
    row = await app.workflows.create(NewWorkflow(TENANT, content))
    workflow_id: UUID = row["id"]
    return workflow_id


async def start(app: App, workflow_id: UUID, input: Json | None = None, **fields: Any) -> Row:
    new = NewExecution(
        tenant_id=TENANT, actor="tester", workflow_id=workflow_id, input=json.dumps(input or {}), **fields
    )
    return await app.executions.start.start(new)


async def ended(app: App, execution: Row, seconds: float = 20) -> Row:
    row = await app.executions.watch.wait(TENANT, execution["id"], seconds)
    assert row["finished_at"] is not None, await statuses(app, execution)
    return row


async def run(app: App, workflow_id: UUID, input: Json | None = None, **fields: Any) -> Row:
    return await ended(app, await start(app, workflow_id, input, **fields))


async def runs(app: App, execution: Row) -> dict[str, Row]:
    whole = await app.executions.reader.whole(execution["tenant_id"], execution["id"])
    return {row["path"]: row for row in whole.runs}


async def statuses(app: App, execution: Row) -> dict[str, str]:
    return {path: row["status"] for path, row in (await runs(app, execution)).items()}


async def kinds(app: App, execution: Row) -> list[str]:
    page = await app.executions.reader.list_events(TENANT, execution["id"], PageRequest(1000))
    assert [row["sequence"] for row in page.rows] == list(range(1, len(page.rows) + 1))
    return [row["kind"] for row in page.rows]


async def until(app: App, execution: Row, path: str, status: str) -> Row:
    """The node run, once it is in a status."""
    async with asyncio.timeout(20):
        while (found := (await runs(app, execution)).get(path)) is None or found["status"] != status:
            await asyncio.sleep(0.01)
    return found
