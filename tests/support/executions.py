"""Executions in memory: the plans of the engine, with tasks that end as a test says."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from taskflow_core.executions.happen import (
    Happening,
    Started,
    Stepped,
    TaskEnded,
    advance,
)
from taskflow_core.executions.paths import is_under
from taskflow_core.executions.plan import Limits, Plan
from taskflow_core.executions.state import Execution, State
from taskflow_core.ids import new_id
from taskflow_core.payloads import canonical_json
from taskflow_core.service_tasks import STEP
from taskflow_core.states import NODE_RUN_MOVES, ExecutionStatus, TaskStatus
from taskflow_core.workflows.parse import parse_definition

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)


def task(node_id: str, payload: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A TASK node, as a definition has it."""
    computed = fields.pop("computed", {})
    template = {"task_type": "t", "payload": dict(payload or {}), "payload_expressions": computed}
    return {"id": node_id, "task": template, **fields}


def edge(source: str, target: str, **fields: Any) -> dict[str, Any]:
    return {"source": source, "target": target, **fields}


@dataclass
class Waiting:
    """A task that a plan created and that has not ended."""

    id: UUID
    path: str
    payload: str
    is_step: bool = False


@dataclass
class Simulation:
    """One execution whose every plan is applied at once."""

    definition: Mapping[str, Any]
    input: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    tasks: dict[UUID, Waiting] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)  # runs whose tasks were created
    events: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        execution = Execution(
            id=new_id(),
            tenant_id="default",
            workflow_id=new_id(),
            workflow_version=1,
            name="it",
            input=canonical_json(dict(self.input)),
            input_form="JSON",
            priority="NORMAL",
            queue="default",
            tags=[],
            status=ExecutionStatus.RUNNING,
            created_at=NOW,
        )
        self.state = State(execution, parse_definition(self.definition), NOW, complete=True, signals=[])
        self.happen(Started())

    @property
    def status(self) -> str:
        return self.state.execution.status

    @property
    def statuses(self) -> dict[str, str]:
        return {path: run.status.value for path, run in self.state.runs.items()}

    def waiting(self) -> list[Waiting]:
        return [waiting for waiting in self.tasks.values() if not waiting.is_step]

    def happen(self, *happenings: Happening) -> None:
        """Let it happen, with all that the engine itself does next."""
        queue: list[Happening] = list(happenings)
        while queue:
            plan = Plan(self.state, new_id, random.Random(0), self.limits)
            advance(plan, queue)
            queue = self._apply(plan)
            if not queue:
                steps = [waiting for waiting in self.tasks.values() if waiting.is_step]
                for step in steps:
                    del self.tasks[step.id]
                queue = [Stepped(step.path) for step in steps]

    def end(self, path: str, result: Any = None, *, fails: bool = False) -> None:
        """The task of a run ends."""
        self.end_all({path: (result, fails)})

    def end_all(self, ends: Mapping[str, tuple[Any, bool]]) -> None:
        """The tasks of several runs end in one batch."""
        by_path = {waiting.path: waiting for waiting in self.waiting()}
        self.happen(
            *(self.ended(by_path[path], result, fails=fails) for path, (result, fails) in ends.items())
        )

    def ended(self, waiting: Waiting, result: Any = None, *, fails: bool = False) -> TaskEnded:
        del self.tasks[waiting.id]
        error = {"type": "ValueError", "message": "no", "stack_trace": "", "attempt": 1} if fails else None
        status = TaskStatus.FAILED if fails else TaskStatus.SUCCEEDED
        return TaskEnded(
            path=waiting.path, task_id=waiting.id, status=status, attempt=1, result=result, error=error
        )

    def run(self, results: Callable[[str], Any] = lambda path: path) -> None:
        """End all tasks well, oldest first, until none is left."""
        while waiting := self.waiting():
            self.happen(self.ended(waiting[0], results(waiting[0].path)))

    def _apply(self, plan: Plan) -> list[Happening]:
        self._check(plan)
        state = self.state
        for place in plan.dropped:
            state.runs = {path: run for path, run in state.runs.items() if not is_under(run.scope, place)}
            state.scopes = {path: scope for path, scope in state.scopes.items() if not is_under(path, place)}
        state.execution = plan.execution
        state.runs |= plan.runs
        state.scopes |= plan.scopes
        state.results |= plan.results
        self.events += [event.kind.value for event in plan.events]
        by_task = {run.task_id: path for path, run in state.runs.items()}
        by_task |= {run.compensation_task_id: path for path, run in state.runs.items()}
        by_id = {run.id: path for path, run in state.runs.items()}
        for planned in plan.tasks:
            is_step = planned.new.task_type == STEP
            if is_step:
                run_id = UUID(planned.new.payload.split('"')[3])
                path = by_id[run_id]
            else:
                path = by_task[planned.id]
                self.started.append(path)
            self.tasks[planned.id] = Waiting(planned.id, path, planned.new.payload, is_step)
        cancelled = [self.tasks.pop(task_id) for task_id in plan.cancelled_tasks if task_id in self.tasks]
        return [
            TaskEnded(path=waiting.path, task_id=waiting.id, status=TaskStatus.CANCELLED)
            for waiting in cancelled
        ]

    def _check(self, plan: Plan) -> None:
        """Only moves that there are, events without gaps, and counters that say what is there."""
        for path, run in plan.runs.items():
            before = self.state.runs.get(path)
            if before is not None and before.status is not run.status:
                moves = NODE_RUN_MOVES[before.status]
                through_pending = {after for move in moves for after in NODE_RUN_MOVES[move]}
                assert run.status in moves | through_pending, (path, before.status, run.status)
        numbers = [event.sequence for event in plan.events]
        first = self.state.execution.last_sequence + 1
        assert numbers == list(range(first, first + len(numbers)))
        kept = {
            path: run
            for path, run in self.state.runs.items()
            if not any(is_under(run.scope, place) for place in plan.dropped)
        }
        runs = kept | plan.runs
        assert plan.execution.open_runs == sum(run.is_open for run in runs.values())


def definition(nodes: Sequence[Any], edges: Sequence[Any] = (), **fields: Any) -> dict[str, Any]:
    return {"nodes": list(nodes), "edges": list(edges), **fields}
