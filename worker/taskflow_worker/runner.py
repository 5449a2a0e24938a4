"""One attempt, from the claimed row to its settlement: call the handler, see how it ends, write it down."""

import asyncio
import json
import random
import traceback
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, TypeVar

import structlog

from taskflow_core.app import App
from taskflow_core.db import is_refusal
from taskflow_core.payloads import InvalidResult, ResultTooLarge
from taskflow_core.result_store import ResultStoreError
from taskflow_core.retry import RetryPolicy
from taskflow_core.tasks.fail import Failure, effective_policy, settle_failure
from taskflow_core.tasks.result import KeptResult
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.settle import Settlement
from taskflow_worker.context import TaskContext
from taskflow_worker.outcome import Fail, Retry
from taskflow_worker.processes import ProcessPool
from taskflow_worker.registry import Handler, Registry
from taskflow_worker.reporter import Pace, Reporter

log = structlog.get_logger()

Value = TypeVar("Value")


class Stop(StrEnum):
    """Why a running attempt is stopped from outside."""

    CANCEL = "cancelled"
    DRAIN = "the worker is draining"
    FENCED = "the worker lost its lease"


class AttemptTimeout(Exception):
    """The handler ran longer than an attempt may."""


class Attempt:
    """One run of one task by this worker."""

    def __init__(self, task: Row, session_id: int, worker: str) -> None:
        self.task = task
        self.session_id = session_id
        self.worker = worker
        self.run: asyncio.Task[None] | None = None
        self.stop_reason: Stop | None = None
        self._handling: asyncio.Task[Any] | None = None
        self._has_run_out = False

    def stop(self, reason: Stop) -> None:
        """Stop the handler; once it has ended, how it ended stands."""
        if self.stop_reason is None or reason is Stop.FENCED:
            self.stop_reason = reason
        if self._handling is not None:
            self._handling.cancel()

    async def within(self, seconds: float, work: Callable[[], Awaitable[Value]]) -> Value:
        """What the work returns. Raises what it raises, AttemptTimeout, or CancelledError after `stop`."""
        self._handling = asyncio.current_task()
        limit = asyncio.get_running_loop().call_later(seconds, self._run_out)
        try:
            if self.stop_reason is not None:
                raise asyncio.CancelledError
            return await work()
        finally:
            limit.cancel()
            self._handling = None
            # Also when the handler caught the cancellation and went on, or raised something else.
            if self._has_run_out:
                raise AttemptTimeout(f"the attempt ran longer than {seconds:g} s")

    def _run_out(self) -> None:
        self._has_run_out = True
        if self._handling is not None:
            self._handling.cancel()


class Runner:
    """Runs claimed tasks."""

    def __init__(self, app: App, registry: Registry, processes: ProcessPool, rng: random.Random) -> None:
        self._app = app
        self._registry = registry
        self._processes = processes
        self._rng = rng
        self._pace = Pace()

    async def run(self, attempt: Attempt) -> None:
        """Run one attempt to its end and settle it, unless the worker was fenced off meanwhile."""
        task = attempt.task
        reporter = Reporter(self._pace, self._app.reporting, task, attempt.session_id, attempt.worker)
        settlement = await self._outcome(attempt, reporter)
        if settlement is None:
            return
        await reporter.close()
        try:
            settled = await self._app.settlement.put(settlement)
        except Exception as error:
            # Anything else is a defect of ours: it is told loudly, and the attempt is left to its lease.
            if not is_refusal(error):
                raise
            log.exception("the end of an attempt was refused", task_id=str(task["id"]))
            refused = Failure("InvalidResult", f"the database refused it: {error}", final=True)
            settled = await self._app.settlement.put(self._failed(attempt, refused))
        if not settled:
            log.warning(
                "an attempt ended after it was fenced off", task_id=str(task["id"]), attempt=task["attempt"]
            )

    async def _outcome(self, attempt: Attempt, reporter: Reporter) -> Settlement | None:
        task = attempt.task
        handler = self._registry.get(task["task_type"])
        if handler is None:
            return self._failed(attempt, self._unknown_type(task["task_type"]))
        try:
            result = await attempt.within(_seconds_left(task), lambda: self._result(task, handler, reporter))
            return self._ended(attempt, "SUCCEEDED", "SUCCEEDED", result=result.text, result_url=result.url)
        except asyncio.CancelledError:
            return self._stopped(attempt)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a handler raises is recorded
            return self._failed(attempt, _failure(error))

    def _stopped(self, attempt: Attempt) -> Settlement | None:
        match attempt.stop_reason:
            case Stop.CANCEL:
                return self._ended(attempt, "CANCELLED", "CANCELLED", message=Stop.CANCEL.value)
            case Stop.DRAIN:
                return self._ended(attempt, "QUEUED", "RELEASED", message=Stop.DRAIN.value)
            case Stop.FENCED:
                return None
            case None:
                failure = Failure("CancelledError", "the handler cancelled itself")
                return self._failed(attempt, failure)

    async def _result(self, task: Row, handler: Handler, reporter: Reporter) -> KeptResult:
        """Call the handler and keep what it returns: both are part of the attempt, and of its time."""
        value = await handler(self._context(task, reporter), json.loads(task["payload"]))
        return await self._app.results.keep(task, value)

    def _unknown_type(self, task_type: str) -> Failure:
        known = ", ".join(sorted(handler.task_type for handler in self._registry))
        return Failure("UnknownTaskType", f"this worker has no handler for {task_type!r}; it has {known}")

    def _context(self, task: Row, reporter: Reporter) -> TaskContext:
        return TaskContext(
            task_id=str(task["id"]),
            attempt=task["attempt"],
            tenant_id=task["tenant_id"],
            task_type=task["task_type"],
            name=task["name"],
            queue=task["queue"],
            priority=task["priority"],
            tags=tuple(task["tags"]),
            deadline=task["attempt_deadline"],
            report=reporter.progress,
            write_log=reporter.log,
            processes=self._processes,
            settings=self._app.settings,
        )

    def _ended(self, attempt: Attempt, status: Any, outcome: Any, **fields: Any) -> Settlement:
        return Settlement(
            task_id=attempt.task["id"],
            attempt=attempt.task["attempt"],
            session_id=attempt.session_id,
            worker=attempt.worker,
            status=status,
            outcome=outcome,
            execution_id=attempt.task["execution_id"],
            **fields,
        )

    def _failed(self, attempt: Attempt, failure: Failure) -> Settlement:
        task = attempt.task
        handler = self._registry.get(task["task_type"])
        of_type = None if handler is None or handler.retry is None else vars(handler.retry)
        return settle_failure(
            failure,
            effective_policy(task["retry_policy"], of_type, RetryPolicy()),
            self._rng,
            task_id=task["id"],
            task_type=task["task_type"],
            attempt=task["attempt"],
            session_id=attempt.session_id,
            worker=attempt.worker,
            failed_attempts=task["failed_attempts"],
            execution_id=task["execution_id"],
        )


def _failure(error: Exception | SystemExit) -> Failure:
    match error:
        case Retry():
            return Failure("Retry", str(error), delay=error.delay)
        case Fail() | InvalidResult() | ResultTooLarge():
            return Failure(type(error).__name__, str(error), final=True)
        case AttemptTimeout() | ResultStoreError():
            return Failure(type(error).__name__, str(error))
    return Failure(type(error).__name__, str(error), "".join(traceback.format_exception(error)))


def _seconds_left(task: Row) -> float:
    """How long the attempt may still run."""
    left: float = (task["attempt_deadline"] - task["attempt_started_at"]).total_seconds()
    return left
