"""Reading executions, their node runs and their events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, case, func, literal, select

from taskflow_core.db import Database
from taskflow_core.errors import NotFound
from taskflow_core.filters import ENUM, INTEGER, TEXT, TEXT_LIST, TIMESTAMP, FilterField, compile_filter
from taskflow_core.filters import UUID as UUID_KIND
from taskflow_core.models import ExecutionEvent, NodeRun, Task, TaskResult, WorkflowExecution
from taskflow_core.paging import PageTokens, parse_order
from taskflow_core.states import ExecutionStatus, NodeRunStatus, Priority, TaskStatus
from taskflow_core.tasks.read import Page, PageRequest, fetch_page
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.graph import Graph, NodeType
from taskflow_core.workflows.parse import parse

# The node runs that come with an execution; ListNodeRuns has all.
FIRST_RUNS = 1000

GET = "SELECT * FROM workflow_executions WHERE id = $1 AND tenant_id = $2"
EXISTS = "SELECT 1 FROM workflow_executions WHERE id = $1 AND tenant_id = $2"
GRAPH = "SELECT graph FROM workflow_versions WHERE workflow_id = $1 AND version = $2"
NODE_STATUSES = "SELECT DISTINCT node_id, status FROM node_runs WHERE execution_id = $1"
# Of a node that runs several times, what a drawing shows.
URGENCY = [
    *("FAILED", "RETRYING", "RUNNING", "WAITING", "PENDING", "CANCELLED", "COMPENSATED", "SUCCEEDED"),
    "SKIPPED",
]
COUNTS = """
SELECT CASE WHEN t.status = 'RETRYING' AND n.status = 'RUNNING' THEN 'RETRYING' ELSE n.status END AS status, count(*)
FROM node_runs n LEFT JOIN tasks t ON t.id = n.task_id AND n.status = 'RUNNING'
WHERE n.execution_id = $1 GROUP BY 1
"""

FILTER_FIELDS = {
    "id": FilterField(WorkflowExecution.id, UUID_KIND),
    "name": FilterField(WorkflowExecution.name, TEXT),
    "workflow_id": FilterField(WorkflowExecution.workflow_id, UUID_KIND),
    "workflow_name": FilterField(WorkflowExecution.workflow_name, TEXT),
    "workflow_version": FilterField(WorkflowExecution.workflow_version, INTEGER),
    "status": FilterField(WorkflowExecution.status, ENUM(ExecutionStatus)),
    "priority": FilterField(WorkflowExecution.priority, ENUM(Priority)),
    "tags": FilterField(WorkflowExecution.tags, TEXT_LIST),
    "create_time": FilterField(WorkflowExecution.created_at, TIMESTAMP),
    "end_time": FilterField(WorkflowExecution.finished_at, TIMESTAMP),
    "schedule_id": FilterField(WorkflowExecution.schedule_id, UUID_KIND),
    "parent_execution_id": FilterField(WorkflowExecution.parent_execution_id, UUID_KIND),
    "source_execution_id": FilterField(WorkflowExecution.source_execution_id, UUID_KIND),
}
ORDER_FIELDS = {
    "create_time": WorkflowExecution.created_at,
    "end_time": WorkflowExecution.finished_at,
    "id": WorkflowExecution.id,
}
LARGE = ("input", "output")
BASIC_COLUMNS = [c for c in WorkflowExecution.__table__.columns if c.key not in LARGE]

# While its task waits for another attempt, a node run does too.
RUN_STATUS = case(
    (
        (NodeRun.status == NodeRunStatus.RUNNING) & (Task.status == TaskStatus.RETRYING),
        literal(NodeRunStatus.RETRYING.value),
    ),
    else_=NodeRun.status,
)
RUN_FILTER_FIELDS = {
    "node_id": FilterField(NodeRun.node_id, TEXT),
    "path": FilterField(NodeRun.path, TEXT),
    "parent_node_run_id": FilterField(NodeRun.parent_node_run_id, UUID_KIND),
    "type": FilterField(NodeRun.type, ENUM(NodeType)),
    "status": FilterField(NodeRun.status, ENUM(NodeRunStatus)),
    "task_id": FilterField(NodeRun.task_id, UUID_KIND),
}


@dataclass(frozen=True)
class Whole:
    """An execution at one instant: its row, its first node runs, and how many runs there are in each status."""

    row: Row
    runs: list[Row]
    counts: dict[str, int]


class ExecutionReader:
    """Gets and lists executions and what belongs to them, each of one tenant."""

    def __init__(self, database: Database, tokens: PageTokens) -> None:
        self._database = database
        self._tokens = tokens

    async def get(self, tenant_id: str, execution_id: UUID) -> Row:
        """One execution, without its node runs. Raises NotFound."""
        row: Row | None = await self._database.pool.fetchrow(GET, execution_id, tenant_id)
        if row is None:
            raise NotFound("execution", str(execution_id))
        return row

    async def counts(self, execution_id: UUID) -> dict[str, int]:
        """How many node runs there are in each status."""
        return _counts(await self._database.pool.fetch(COUNTS, execution_id))

    async def whole(self, tenant_id: str, execution_id: UUID) -> Whole:
        """One execution with its node runs in the order in which they were reached, at most FIRST_RUNS.

        All is read from one snapshot of the database: what it says is what its events up to `last_sequence` say.
        Raises NotFound.
        """
        async with self._database.engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            row = (await connection.execute(_one(tenant_id, execution_id))).mappings().first()
            if row is None:
                raise NotFound("execution", str(execution_id))
            runs = await connection.execute(_runs(execution_id).order_by(NodeRun.place).limit(FIRST_RUNS))
            counts = await connection.exec_driver_sql(COUNTS, (execution_id,))
            return Whole(row, list(runs.mappings()), _counts(list(counts.mappings())))

    async def graph(self, execution: Row) -> Graph:
        """The graph that an execution runs."""
        stored = await self._database.pool.fetchval(
            GRAPH, execution["workflow_id"], execution["workflow_version"]
        )
        return parse(stored)

    async def statuses(self, execution_id: UUID) -> dict[str, str]:
        """The status of each node; of one that runs several times, the status that matters most."""
        rows = await self._database.pool.fetch(NODE_STATUSES, execution_id)
        statuses: dict[str, str] = {}
        for row in sorted(rows, key=lambda row: URGENCY.index(row["status"]), reverse=True):
            statuses[row["node_id"]] = row["status"]
        return statuses

    async def list(
        self,
        tenant_id: str,
        page: PageRequest,
        *,
        workflow_id: UUID | None,
        filter: str,
        order_by: str,
        full: bool,
    ) -> Page:
        """Executions, of one workflow or of all; with input and output if `full`.

        Raises InvalidArgument (INVALID_FILTER, INVALID_ORDER_BY, INVALID_PAGE_TOKEN).
        """
        order = parse_order(order_by, ORDER_FIELDS, default="create_time desc")
        columns = list(WorkflowExecution.__table__.columns) if full else BASIC_COLUMNS
        query = select(*columns).where(WorkflowExecution.tenant_id == tenant_id)
        if workflow_id is not None:
            query = query.where(WorkflowExecution.workflow_id == workflow_id)
        condition = compile_filter(filter, FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        arguments = {
            "list": "executions",
            "tenant": tenant_id,
            "workflow": str(workflow_id),
            "filter": filter,
            "order": str(order),
        }
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def list_runs(self, tenant_id: str, execution_id: UUID, page: PageRequest, *, filter: str) -> Page:
        """Node runs, in the order in which they were reached.

        Raises NotFound, InvalidArgument (INVALID_FILTER, INVALID_PAGE_TOKEN).
        """
        await self._expect(tenant_id, execution_id)
        query = _runs(execution_id)
        condition = compile_filter(filter, RUN_FILTER_FIELDS)
        if condition is not None:
            query = query.where(condition)
        order = parse_order("", {"place": NodeRun.place}, "place", tie_breaker="place")
        arguments = {"list": "node runs", "execution": str(execution_id), "filter": filter}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def list_events(self, tenant_id: str, execution_id: UUID, page: PageRequest) -> Page:
        """The log, oldest first. Raises NotFound, InvalidArgument (INVALID_PAGE_TOKEN)."""
        await self._expect(tenant_id, execution_id)
        order = parse_order("", {"sequence": ExecutionEvent.sequence}, "sequence", tie_breaker="sequence")
        query = select(*ExecutionEvent.__table__.columns).where(ExecutionEvent.execution_id == execution_id)
        arguments = {"list": "execution events", "execution": str(execution_id)}
        return await fetch_page(self._database, self._tokens, query, order, page, arguments)

    async def _expect(self, tenant_id: str, execution_id: UUID) -> None:
        if await self._database.pool.fetchval(EXISTS, execution_id, tenant_id) is None:
            raise NotFound("execution", str(execution_id))


def _one(tenant_id: str, execution_id: UUID) -> Select[Any]:
    return select(*WorkflowExecution.__table__.columns).where(
        WorkflowExecution.id == execution_id, WorkflowExecution.tenant_id == tenant_id
    )


def _counts(rows: Sequence[Row]) -> dict[str, int]:
    return {row["status"]: row["count"] for row in rows}


def _runs(execution_id: UUID) -> Select[Any]:
    """Node runs, with what their tasks and children know of them."""
    own = [
        column
        for column in NodeRun.__table__.columns
        if column.key not in ("status", "result", "attempt", "started_at")
    ]
    child = WorkflowExecution
    is_task = NodeRun.type == NodeType.TASK
    # The attempts of the task count as they start; those of earlier tasks were added when these ended.
    running = case((is_task & (NodeRun.finished_at.is_(None)), func.coalesce(Task.attempt, 0)), else_=0)
    return (
        select(
            *own,
            RUN_STATUS.label("status"),
            (NodeRun.attempt + running).label("attempt"),
            func.coalesce(NodeRun.result, case((is_task, TaskResult.result))).label("result"),
            case((is_task, Task.started_at), else_=NodeRun.started_at).label("started_at"),
            case((is_task, Task.progress)).label("progress"),
            func.coalesce(case((is_task, Task.payload)), child.input).label("input"),
            case((is_task, Task.error)).label("task_error"),
        )
        .outerjoin(Task, Task.id == NodeRun.task_id)
        .outerjoin(TaskResult, (TaskResult.task_id == NodeRun.task_id) & is_task)
        .outerjoin(child, child.id == NodeRun.child_execution_id)
        .where(NodeRun.execution_id == execution_id)
    )
