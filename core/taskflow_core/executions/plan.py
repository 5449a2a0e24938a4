"""A plan: what changes about an execution, made over what was read of it, and written in one transaction.

Nothing here does I/O, and the state stays as it was read: a plan that raises Need is thrown away and made again.
"""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from taskflow_core.executions.paths import ROOT, branch_of, is_under, node_of, owner_of, run_path, scope_of
from taskflow_core.executions.planned import (
    SERVICE,
    PlannedChild,
    PlannedEvent,
    PlannedTask,
    engine_error,
    outline,
    step_task,
)
from taskflow_core.executions.state import Error, Execution, Need, Run, Scope, State, copy_of
from taskflow_core.payloads import canonical_json
from taskflow_core.states import (
    ExecutionEventKind,
    NodeRunStatus,
    ScopeStatus,
)
from taskflow_core.workflows.graph import Graph, Node, NodeType, Parallel

_ENDS = {
    NodeRunStatus.SUCCEEDED: ExecutionEventKind.NODE_SUCCEEDED,
    NodeRunStatus.FAILED: ExecutionEventKind.NODE_FAILED,
    NodeRunStatus.SKIPPED: ExecutionEventKind.NODE_SKIPPED,
    NodeRunStatus.CANCELLED: ExecutionEventKind.NODE_CANCELLED,
}


@dataclass(frozen=True)
class Limits:
    """How large things may get (bytes of JSON), and how many graphs of a map start in one transaction.

    `depth`: of executions inside executions. Definitions are checked when they are saved, but a node may name a
    workflow by what it is called later.
    """

    payload_bytes: int = 1024 * 1024
    result_bytes: int = 16 * 1024 * 1024
    items: int = 10_000
    slice: int = 500
    depth: int = 20


@dataclass
class Plan:
    """The changes so far, and the queues of what follows from them."""

    state: State
    new_id: Callable[[], UUID]
    rng: random.Random = field(default_factory=random.Random)
    limits: Limits = field(default_factory=Limits)
    actor: str = SERVICE

    execution: Execution = field(init=False)
    runs: dict[str, Run] = field(default_factory=dict)  # changed or new, by path
    scopes: dict[str, Scope] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)  # of runs that ended here
    tasks: list[PlannedTask] = field(default_factory=list)
    cancelled_tasks: dict[UUID, str] = field(default_factory=dict)  # with the paths of their runs
    children: list[PlannedChild] = field(default_factory=list)
    cancelled_children: list[UUID] = field(default_factory=list)
    resumed: list[Run] = field(default_factory=list)  # SUBWORKFLOW runs whose children are to run on
    tells_parent: bool = False  # again, how it has ended
    taken_signals: dict[UUID, UUID] = field(default_factory=dict)  # signal: node run
    dropped: list[str] = field(default_factory=list)  # PARALLEL runs whose graphs are forgotten
    events: list[PlannedEvent] = field(default_factory=list)

    ended: list[Run] = field(default_factory=list)
    looks: dict[tuple[str, str], None] = field(default_factory=dict)  # in order
    touched: dict[str, None] = field(default_factory=dict)
    openings: dict[str, None] = field(default_factory=dict)
    opened: int = 0
    steps: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.execution = copy_of(self.state.execution)

    @property
    def now(self) -> datetime:
        return self.state.now

    @cached_property
    def input(self) -> dict[str, Any]:
        """The input of the execution."""
        value: dict[str, Any] = json.loads(self.execution.input)
        return value

    @property
    def is_ending(self) -> bool:
        return self.execution.ending is not None

    # What is there

    def graph_of(self, scope: str) -> Graph:
        """The graph that runs in a scope."""
        if scope == ROOT:
            return self.state.definition.graph
        parallel = self.node_at(owner_of(scope)).work
        assert isinstance(parallel, Parallel)  # noqa: S101 - only PARALLEL nodes have graphs
        name = branch_of(scope)
        if name is None:
            assert parallel.body is not None  # noqa: S101 - a map
            return parallel.body
        return next(branch.graph for branch in parallel.branches if branch.name == name)

    def node_at(self, path: str) -> Node:
        """The node that a run is of."""
        _, node = self.state.definition.graph.find(node_of(path))
        return node

    def find(self, path: str) -> Run | None:
        """A run, if there is one."""
        run = self.runs.get(path) or self._read_runs.get(path)
        if run is not None:
            return run
        state = self.state
        if state.knows_all or path in state.absent or scope_of(path) in state.whole or self._is_new(path):
            return None
        raise Need(runs=frozenset([path]))

    def run(self, path: str) -> Run:
        """A run that there must be."""
        found = self.find(path)
        if found is None:
            raise LookupError(f"no run {path!r}")
        return found

    def scope(self, path: str) -> Scope:
        """A graph inside a PARALLEL node."""
        found = self.scopes.get(path) or self.read_scopes.get(path)
        if found is None:
            if self.state.knows_all or path in self.state.absent:
                raise LookupError(f"no graph {path!r}")
            raise Need(scopes=frozenset([path]))
        return found

    def require_whole(self, scopes: Iterable[str]) -> None:
        """See to it that all runs of these graphs are known."""
        if self.state.knows_all:
            return
        missing = {s for s in scopes if s not in self.state.whole and not self._is_new(f"{s}.")}
        if missing:
            raise Need(whole=frozenset(missing))

    def _is_new(self, path: str) -> bool:
        """Whether a run lies in a graph that this plan itself made, so that it cannot have been read."""
        scope = scope_of(path)
        return bool(scope) and scope in self.scopes and scope not in self.read_scopes

    def open_under(self, place: str) -> list[Run]:
        """The open runs in a graph, or in the graphs of a PARALLEL run, in the order in which they were reached."""
        state = self.state
        if not state.knows_all and not any(is_under(place, known) for known in state.open_known):
            if not self._is_flat(place):
                raise Need(open_under=place)
            self.require_whole([place])
        known = self._read_runs | self.runs
        return sorted(
            (run for run in known.values() if run.is_open and is_under(run.scope, place)),
            key=lambda run: run.place,
        )

    def _is_flat(self, place: str) -> bool:
        """Whether it is a graph in which no other lies."""
        if place != ROOT and place not in self.scopes and place not in self.read_scopes:
            return False
        return not any(isinstance(node.work, Parallel) for node in self.graph_of(place).nodes)

    def scopes_of(self, run: Run) -> list[Scope]:
        """All graphs of a PARALLEL run, in order."""
        state = self.state
        is_new = any(
            s.node_run_id == run.id and path not in self.read_scopes for path, s in self.scopes.items()
        )
        if not state.knows_all and run.id not in state.all_scopes_known and not is_new:
            raise Need(scopes_of=run.id)
        known = (self.read_scopes | self.scopes).values()
        return sorted((s for s in known if s.node_run_id == run.id), key=lambda scope: scope.place)

    def next_pending(self, run: Run, limit: int) -> list[Scope]:
        """The next graphs of a PARALLEL run that were not started."""
        waiting = (run.scopes or 0) - (run.scopes_opened or 0)
        wanted = min(limit, waiting)
        known = [
            scope
            for scope in (self.read_scopes | self.scopes).values()
            if scope.node_run_id == run.id and scope.status is ScopeStatus.PENDING
        ]
        if len(known) < wanted:
            raise Need(pending_of=run.id, pending_limit=limit + self.opened)
        return sorted(known, key=lambda scope: scope.place)[:wanted]

    def is_alive(self, scope: str) -> bool:
        """Whether what ends in a graph still leads on: neither it nor what it lies in has ended or is being stopped."""
        if self.is_ending:
            return False
        if scope == ROOT:
            return True
        if self.scope(scope).status is not ScopeStatus.RUNNING:
            return False
        owner = self.run(owner_of(scope))
        goes_on = owner.status is NodeRunStatus.RUNNING and owner.stop is None
        if not goes_on and owner.status is NodeRunStatus.SUCCEEDED:
            parallel = self.node_at(owner.path).work
            goes_on = isinstance(parallel, Parallel) and parallel.keep_rest
        return goes_on and self.is_alive(owner.scope)

    @property
    def _read_runs(self) -> dict[str, Run]:
        if not self.dropped:
            return self.state.runs
        return {path: run for path, run in self.state.runs.items() if not self._is_dropped(run.scope)}

    @property
    def read_scopes(self) -> dict[str, Scope]:
        """The graphs inside PARALLEL nodes that were read, without those that are forgotten."""
        if not self.dropped:
            return self.state.scopes
        return {path: scope for path, scope in self.state.scopes.items() if not self._is_dropped(path)}

    def _is_dropped(self, scope: str) -> bool:
        return any(is_under(scope, place) for place in self.dropped)

    # What changes

    def change(self, path: str, **values: Any) -> Run:
        """Give columns of a run other values."""
        run = self.runs.get(path)
        if run is None:
            # What was read stays as it was: the first change is made to a copy.
            run = self.runs[path] = copy_of(self.run(path))
        for name, value in values.items():
            setattr(run, name, value)
        return run

    def change_scope(self, path: str, **values: Any) -> Scope:
        """Give columns of a graph inside a PARALLEL node other values."""
        scope = self.scopes.get(path)
        if scope is None:
            scope = self.scopes[path] = copy_of(self.scope(path))
        for name, value in values.items():
            setattr(scope, name, value)
        return scope

    def reach(self, scope: str, node: Node) -> Run:
        """The run of a node that is reached, PENDING."""
        path = run_path(scope, node.id)
        found = self.find(path)
        if found is not None:
            return found
        self.execution.reached_runs += 1
        self.execution.open_runs += 1
        self.runs[path] = Run(
            id=self.new_id(),
            path=path,
            scope=scope,
            node_id=node.id,
            type=node.type.value,
            place=self.execution.reached_runs,
            status=NodeRunStatus.PENDING,
            created_at=self.now,
            parent_node_run_id=self.run(owner_of(scope)).id if scope else None,
        )
        return self.runs[path]

    def begin(self, path: str, status: NodeRunStatus, kind: ExecutionEventKind, **values: Any) -> Run:
        """PENDING | RETRYING -> RUNNING | WAITING | RETRYING: a run is under way."""
        run = self.run(path)
        run = self.change(path, status=status, started_at=run.started_at or self.now, **values)
        self.log(kind, run)
        return run

    def end(
        self,
        path: str,
        status: NodeRunStatus,
        *,
        result: Any = None,
        error: Error | None = None,
        **values: Any,
    ) -> Run:
        """An open run becomes SUCCEEDED, FAILED, SKIPPED or CANCELLED. What follows from it is queued."""
        if status is NodeRunStatus.SUCCEEDED and self.run(path).type != NodeType.TASK:
            values["result"] = canonical_json(result)
        self.results[path] = result
        return self._end(path, status, error, values)

    def end_with_text(self, path: str, result: str) -> Run:
        """An open run becomes SUCCEEDED with a result that is JSON text already."""
        return self._end(path, NodeRunStatus.SUCCEEDED, None, {"result": result})

    def _end(self, path: str, status: NodeRunStatus, error: Error | None, values: dict[str, Any]) -> Run:
        values |= {"status": status, "finished_at": self.now, "wake_at": None, "deadline_at": None}
        run = self.change(path, error=error or self.run(path).error, **values)
        self.execution.open_runs -= 1
        self.log(_ENDS[status], run)
        run = self.change(path, ended_sequence=self.execution.last_sequence)
        self.ended.append(run)
        return run

    def fail(self, path: str, kind: str, message: str) -> Run:
        """An open run becomes FAILED with an error of the engine."""
        return self.end(path, NodeRunStatus.FAILED, error=engine_error(kind, message, self.run(path).attempt))

    def log(
        self,
        kind: ExecutionEventKind,
        run: Run | None = None,
        *,
        error: Error | None = None,
        message: str = "",
    ) -> None:
        """Write a line of the log."""
        self.execution.last_sequence += 1
        data: dict[str, Any] = {}
        if run is not None:
            data["node_run"] = outline(run)
        if error is not None:
            data["error"] = error
        if message:
            data["message"] = message
        self.events.append(
            PlannedEvent(self.execution.last_sequence, kind, self.execution.status, self.actor, data or None)
        )

    def step(self, run: Run) -> None:
        """Go on with a run in another transaction, soon."""
        if run.path not in self.steps:
            self.steps.add(run.path)
            self.tasks.append(PlannedTask(self.new_id(), run.node_id, step_task(self.execution, run.id)))
