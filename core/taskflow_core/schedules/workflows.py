"""Workflows as the work of fires: what schedules need of executions."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from taskflow_core.db import Connection, Database
from taskflow_core.errors import InvalidArgument, NotFound, TaskFlowError, WrongStatus
from taskflow_core.executions.advance import Advanced
from taskflow_core.executions.assembly import Executions
from taskflow_core.executions.start import NewExecution
from taskflow_core.executions.state import WorkflowRef
from taskflow_core.tasks.rows import Row


class WorkflowFires:
    """Checks, starts and cancels the workflows of schedules."""

    def __init__(self, database: Database, executions: Executions) -> None:
        self._database = database
        self._executions = executions

    async def check(self, tenant_id: str, workflow_id: UUID, version: int | None) -> None:
        """Raise InvalidArgument if the tenant has no such workflow, or not this version of it."""
        async with self._database.pool.acquire() as connection:
            ref = WorkflowRef(workflow_id, None, version)
            found = await self._executions.advancement.definitions.find(connection, tenant_id, ref)
        if found.definition is None:
            field = "workflow_id" if version is None else "workflow_version"
            raise InvalidArgument.at(
                f"schedule.{field}", found.why_not or f"there is no such workflow {workflow_id}"
            )

    async def start(
        self, connection: Connection, batch: Sequence[tuple[UUID, NewExecution]]
    ) -> tuple[list[Row | TaskFlowError], Advanced]:
        """Start executions in the caller's transaction: a row or an error for each. Call `say` after the commit."""
        return await self._executions.start.start_in(connection, batch)

    async def say(self, advanced: Advanced) -> None:
        """Tell the workers."""
        await self._executions.advancement.say(advanced)

    async def cancel(self, executions: Iterable[tuple[str, UUID]], actor: str, reason: str) -> None:
        """Cancel executions, by tenant and id, that have not ended meanwhile."""
        for tenant_id, execution_id in executions:
            try:
                await self._executions.steering.cancel(
                    tenant_id, execution_id, actor, reason, skip_compensation=False
                )
            except (NotFound, WrongStatus):
                continue
