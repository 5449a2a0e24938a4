"""Steering executions: cancel, signal, retry; and what their timeouts do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.errors import AlreadyExists, NotFound, WrongStatus
from taskflow_core.executions.advance import Advanced, Advancement
from taskflow_core.executions.happen import CancelRequested, Happening, RanOut, Retried, Signalled, TimedOut
from taskflow_core.executions.planned import SERVICE
from taskflow_core.executions.read import ExecutionReader
from taskflow_core.ids import new_id
from taskflow_core.repeats import digest_of
from taskflow_core.states import ExecutionStatus
from taskflow_core.tasks.rows import Row

PATIENCE = 5.0

IS_THERE = "SELECT status FROM workflow_executions WHERE id = $1 AND tenant_id = $2"

FIND_SIGNAL = "SELECT request_digest FROM execution_signals WHERE tenant_id = $1 AND request_id = $2"
ADD_SIGNAL = """
INSERT INTO execution_signals (
  id, execution_id, tenant_id, name, payload, sender, node_run_id, request_id, request_digest, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())
ON CONFLICT DO NOTHING
"""

# What is past its time. An execution that is ending already is left alone.
_NODE_OVERDUE = """
deadline_at <= now() AND deadline_at IS NOT NULL AND stop IS NULL
AND status IN ('PENDING', 'RETRYING', 'RUNNING', 'WAITING')
"""
_TIMED_OUT = "deadline_at <= now() AND deadline_at IS NOT NULL AND ending IS NULL AND finished_at IS NULL"
_EXPIRED = "expire_at <= now() AND expire_at IS NOT NULL AND ending IS NULL AND finished_at IS NULL"
OVERDUE = f"""
(SELECT execution_id, path, 'NODE' AS what FROM node_runs WHERE {_NODE_OVERDUE} ORDER BY deadline_at LIMIT $1)
UNION ALL
(SELECT id, '', 'TIMEOUT' FROM workflow_executions WHERE {_TIMED_OUT} ORDER BY deadline_at LIMIT $1)
UNION ALL
(SELECT id, '', 'EXPIRED' FROM workflow_executions WHERE {_EXPIRED} ORDER BY expire_at LIMIT $1)
"""  # noqa: S608 - the conditions are our own
ANY_OVERDUE = f"""
(EXISTS (SELECT FROM node_runs WHERE {_NODE_OVERDUE})
  OR EXISTS (SELECT FROM workflow_executions WHERE {_TIMED_OUT})
  OR EXISTS (SELECT FROM workflow_executions WHERE {_EXPIRED}))
"""  # noqa: S608


@dataclass(frozen=True, kw_only=True)
class NewSignal:
    """A signal to be sent."""

    name: str
    payload: str  # JSON text of an object
    node_run_id: UUID | None = None
    request_id: str | None = None

    def digest(self, execution_id: UUID) -> str:
        """Tells a repeated request from another one under the same request id."""
        return digest_of([execution_id, self.name, self.payload, self.node_run_id])


class ExecutionSteering:
    """Changes the course of executions. Each call is one transaction that holds the execution."""

    def __init__(self, database: Database, advancement: Advancement, reader: ExecutionReader) -> None:
        self._database = database
        self._advancement = advancement
        self._reader = reader

    async def cancel(
        self, tenant_id: str, execution_id: UUID, actor: str, reason: str, *, skip_compensation: bool
    ) -> Row:
        """Cancel an execution and return it: what runs is asked to stop, then what was done is undone.

        Repeating it changes nothing. Raises NotFound, and WrongStatus if it SUCCEEDED or FAILED.
        """

        async def once() -> Advanced:
            async with self._database.pool.acquire() as connection, connection.transaction():
                [row] = await self._lock(connection, tenant_id, execution_id)
                if row["status"] in (ExecutionStatus.SUCCEEDED, ExecutionStatus.FAILED):
                    raise WrongStatus("execution", str(execution_id), row["status"], ["RUNNING"])
                wish = CancelRequested(reason, skip_compensation)
                return await self._advancement.happen(connection, [row], {execution_id: [wish]}, actor)

        await self._advancement.say(await until_answered(once, "cancel", give_up_after=PATIENCE))
        return await self._reader.get(tenant_id, execution_id)

    async def retry(self, tenant_id: str, execution_id: UUID, actor: str, reason: str) -> Row:
        """Run a FAILED or CANCELLED execution on and return it. Raises NotFound, WrongStatus."""
        tries = 0

        async def once() -> Advanced:
            nonlocal tries
            tries += 1
            async with self._database.pool.acquire() as connection, connection.transaction():
                [row] = await self._lock(connection, tenant_id, execution_id)
                if row["status"] not in (ExecutionStatus.FAILED, ExecutionStatus.CANCELLED):
                    if tries > 1:
                        return Advanced()  # the answer to the first commit was lost
                    raise WrongStatus("execution", str(execution_id), row["status"], ["FAILED", "CANCELLED"])
                return await self._advancement.happen(
                    connection, [row], {execution_id: [Retried(reason)]}, actor
                )

        await self._advancement.say(await until_answered(once, "retry", give_up_after=PATIENCE))
        return await self._reader.get(tenant_id, execution_id)

    async def signal(self, tenant_id: str, execution_id: UUID, actor: str, signal: NewSignal) -> Row:
        """Send a signal and return the execution. Raises NotFound, WrongStatus, AlreadyExists (REQUEST_ID_REUSED)."""
        signal_id = new_id()

        async def once() -> Advanced:
            async with self._database.pool.acquire() as connection, connection.transaction():
                [row] = await self._lock(connection, tenant_id, execution_id)
                if signal.request_id is not None:
                    known = await connection.fetchval(FIND_SIGNAL, tenant_id, signal.request_id)
                    if known is not None:
                        return _repeated(known, execution_id, signal)
                if row["status"] != ExecutionStatus.RUNNING:
                    raise WrongStatus("execution", str(execution_id), row["status"], ["RUNNING"])
                added = await connection.execute(
                    ADD_SIGNAL,
                    signal_id,
                    execution_id,
                    tenant_id,
                    signal.name,
                    signal.payload,
                    actor,
                    signal.node_run_id,
                    signal.request_id,
                    None if signal.request_id is None else signal.digest(execution_id),
                )
                if added.endswith(" 0"):
                    return Advanced()  # the answer to the first commit was lost
                return await self._advancement.happen(
                    connection, [row], {execution_id: [Signalled(signal.name)]}, actor
                )

        await self._advancement.say(await until_answered(once, "signal", give_up_after=PATIENCE))
        return await self._reader.get(tenant_id, execution_id)

    async def end_overdue(self, limit: int = 500) -> int:
        """End node runs and executions whose time is up, and return how many there were."""
        happenings: dict[UUID, list[Happening]] = {}
        for row in await self._database.pool.fetch(OVERDUE, limit):
            happenings.setdefault(row["execution_id"], []).append(_overdue(row))
        if happenings:
            await self._happen(happenings)
        return sum(len(happened) for happened in happenings.values())

    async def _happen(self, happenings: Mapping[UUID, Sequence[Happening]]) -> None:
        async def once() -> Advanced:
            async with self._database.pool.acquire() as connection, connection.transaction():
                rows = await self._advancement.lock(connection, happenings)
                live = {row["id"]: happenings[row["id"]] for row in rows if row["finished_at"] is None}
                return await self._advancement.happen(connection, rows, live, SERVICE)

        await self._advancement.say(await until_answered(once, "end what is overdue"))

    async def _lock(self, connection: Connection, tenant_id: str, execution_id: UUID) -> list[Row]:
        if await connection.fetchval(IS_THERE, execution_id, tenant_id) is None:
            raise NotFound("execution", str(execution_id))
        return await self._advancement.lock(connection, [execution_id])


def _overdue(row: Row) -> Happening:
    match row["what"]:
        case "NODE":
            return RanOut(row["path"])
        case "TIMEOUT":
            return TimedOut()
    return CancelRequested("expire_time has passed")


def _repeated(digest: str, execution_id: UUID, signal: NewSignal) -> Advanced:
    if digest != signal.digest(execution_id):
        raise AlreadyExists(
            f"request id {signal.request_id!r} was used before, with another request",
            reason="REQUEST_ID_REUSED",
            request_id=str(signal.request_id),
        )
    return Advanced()
