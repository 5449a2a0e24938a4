"""Advancing executions, in the transaction that settles, cancels or signals: plan, write, and on with what that ended.

The caller locks the executions first, before it moves any task of theirs: whoever holds an execution may move
its tasks, never the other way round. One execution in which planning fails by a defect of ours FAILED, and
leaves the others of its batch alone.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Connection
from taskflow_core.executions.children import child_row, insert_executions
from taskflow_core.executions.definitions import Definitions
from taskflow_core.executions.ended import read_ended
from taskflow_core.executions.happen import Happening, Started, TaskEnded, advance
from taskflow_core.executions.orders import orders_of
from taskflow_core.executions.paths import is_under
from taskflow_core.executions.plan import Limits, Plan
from taskflow_core.executions.planned import SERVICE, PlannedTask, engine_error, reserved_task
from taskflow_core.executions.reading import lock_executions, new_states, read_needs, read_states
from taskflow_core.executions.state import Need, State
from taskflow_core.executions.stop import fail_execution
from taskflow_core.executions.walk import walk_on
from taskflow_core.executions.writing import insert_tasks, write_plans
from taskflow_core.ids import new_id
from taskflow_core.queue import Queue
from taskflow_core.service_tasks import STEP
from taskflow_core.states import TASK_FINAL, TaskStatus
from taskflow_core.tasks.cancel import CANCEL, tell_workers
from taskflow_core.tasks.rows import Row, hint_if_near
from taskflow_core.workflows.evaluation import Expressions

log = structlog.get_logger()

# How often a plan may ask for more: far more than any needs.
MAX_QUESTIONS = 10_000


@dataclass
class Advanced:
    """What is to be said after the commit."""

    announcements: list[Announcement] = field(default_factory=list)
    running: list[Row] = field(default_factory=list)  # tasks whose workers are to be told to stop


class Advancement:
    """Moves executions on. Every method needs a transaction of the caller's."""

    def __init__(
        self,
        announcer: Announcer,
        queue: Queue,
        expressions: Expressions,
        limits: Limits,
        rng: random.Random,
    ) -> None:
        self.definitions = Definitions()
        self._expressions = expressions
        self._announcer = announcer
        self._queue = queue
        self._limits = limits
        self._rng = rng

    async def lock(self, connection: Connection, execution_ids: Iterable[UUID]) -> list[Row]:
        """Lock executions, before any of their tasks is moved."""
        return await lock_executions(connection, list(set(execution_ids)))

    async def say(self, advanced: Advanced) -> None:
        """Say what is due and what is new, and tell the workers what to stop; after the commit."""
        self._announcer.announce(advanced.announcements)
        if advanced.running:
            await tell_workers(self._queue, advanced.running)

    async def after_tasks(
        self, connection: Connection, locked: Sequence[Row], moved: Sequence[Row]
    ) -> Advanced:
        """Move executions on after some of their tasks were moved; needs their ids and statuses."""
        wanted = [row["id"] for row in moved if row["status"] in (*TASK_FINAL, TaskStatus.RETRYING)]
        if not wanted or not locked:
            return Advanced()
        states = await read_states(connection, locked, self.definitions)
        happenings = await read_ended(connection, states, wanted)
        return await self._advance(connection, states, happenings, Advanced())

    async def happen(
        self,
        connection: Connection,
        locked: Sequence[Row],
        happenings: Mapping[UUID, Sequence[Happening]],
        actor: str,
    ) -> Advanced:
        """Move locked executions on after something else has happened to them."""
        states = await read_states(connection, locked, self.definitions)
        return await self._advance(connection, states, happenings, Advanced(), actor)

    async def begin(
        self, connection: Connection, rows: Sequence[dict[str, Any]], actor: str
    ) -> tuple[list[Row], Advanced]:
        """Insert executions that have begun, and return their rows, without those whose request ids were taken."""
        states = await new_states(connection, rows, self.definitions)
        started = {execution_id: [Started()] for execution_id in states}
        plans = await self._plan_all(connection, states, started, actor)
        inserted = await insert_executions(
            connection, [row | vars(plans[row["id"]].execution) for row in rows]
        )
        done = Advanced()
        plans = {row["id"]: plans[row["id"]] for row in inserted}
        happenings = await self._write(connection, states, plans, done)
        return inserted, await self._advance(connection, states, happenings, done, actor)

    async def begin_from(self, connection: Connection, row: Row, actor: str) -> Advanced:
        """Start an execution that this transaction has inserted together with runs that it takes over."""
        states = await read_states(connection, [row], self.definitions)
        await read_needs(
            connection, states, {row["id"]: Need(everything=True)}, self.definitions, self._expressions
        )
        states[row["id"]].signals = []
        return await self._advance(connection, states, {row["id"]: [Started()]}, Advanced(), actor)

    async def _advance(
        self,
        connection: Connection,
        states: Mapping[UUID, State],
        happenings: Mapping[UUID, Sequence[Happening]],
        done: Advanced,
        actor: str = SERVICE,
    ) -> Advanced:
        """Plan and write, and on with what that ended."""
        while happenings:
            plans = await self._plan_all(connection, states, happenings, actor)
            happenings = await self._write(connection, states, plans, done)
        return done

    async def _write(
        self,
        connection: Connection,
        states: Mapping[UUID, State],
        plans: Mapping[UUID, Plan],
        done: Advanced,
    ) -> Mapping[UUID, Sequence[Happening]]:
        """Write plans, and return what happens next."""
        if not plans:
            return {}
        tasks = await write_plans(connection, plans)
        done.announcements += [Announcement(row["id"], hint_if_near(row, row["now"])) for row in tasks]
        done.announcements += [Announcement(execution_id) for execution_id in plans]
        await self._start_children(connection, plans, states, done)
        await _tell_relatives(connection, plans, done)
        happenings = await _cancel_tasks(connection, plans, done)
        for execution_id in happenings:
            _apply(states[execution_id], plans[execution_id])
        return happenings

    async def _plan_all(
        self,
        connection: Connection,
        states: Mapping[UUID, State],
        happenings: Mapping[UUID, Sequence[Happening]],
        actor: str,
    ) -> dict[UUID, Plan]:
        """A plan for each execution, with everything read that it asks for."""
        plans: dict[UUID, Plan] = {}
        waiting = dict(happenings)
        broken: dict[UUID, Exception] = {}
        for _ in range(MAX_QUESTIONS):
            needs: dict[UUID, Need] = {}
            for execution_id, happened in list(waiting.items()):
                plan = Plan(states[execution_id], new_id, self._rng, self._limits, actor)
                try:
                    if execution_id in broken:
                        _give_up(plan, broken[execution_id])
                    else:
                        advance(plan, happened)
                    plans[execution_id] = plan
                    del waiting[execution_id]
                except Need as need:
                    needs[execution_id] = need
                except Exception as error:
                    if execution_id in broken:
                        raise
                    log.exception("an execution cannot go on", execution_id=str(execution_id))
                    broken[execution_id] = error
            if not waiting:
                return plans
            await read_needs(connection, states, needs, self.definitions, self._expressions)
        raise RuntimeError(f"plans ask without end: {waiting}")

    async def _start_children(
        self,
        connection: Connection,
        plans: Mapping[UUID, Plan],
        states: Mapping[UUID, State],
        done: Advanced,
    ) -> None:
        rows = [
            child_row(states[execution_id], child)
            for execution_id, plan in plans.items()
            for child in plan.children
        ]
        if rows:
            _, begun = await self.begin(connection, rows, SERVICE)
            done.announcements += begun.announcements
            done.running += begun.running


async def _cancel_tasks(
    connection: Connection, plans: Mapping[UUID, Plan], done: Advanced
) -> dict[UUID, list[Happening]]:
    """Cancel the tasks that plans want stopped, and return what follows from those that stopped at once."""
    places = {
        task_id: (execution_id, path)
        for execution_id, plan in plans.items()
        for task_id, path in plan.cancelled_tasks.items()
    }
    happenings: defaultdict[UUID, list[Happening]] = defaultdict(list)
    if not places:
        return happenings
    reason = "the execution no longer needs it"
    for row in await connection.fetch(CANCEL, sorted(places), None, SERVICE, reason, True, None):
        done.announcements.append(Announcement(row["id"]))
        execution_id, path = places[row["id"]]
        if row["status"] == TaskStatus.RUNNING:
            done.running.append(row)
        else:
            ended = TaskEnded(
                path=path, task_id=row["id"], status=TaskStatus.CANCELLED, attempt=row["attempt"]
            )
            happenings[execution_id].append(ended)
    return happenings


async def _tell_relatives(connection: Connection, plans: Mapping[UUID, Plan], done: Advanced) -> None:
    """Tell parents of children that have ended, and children that they are to stop or to run on."""
    tasks = [
        (relative_id, PlannedTask(new_id(), "", reserved_task(plan.execution, STEP, order)))
        for plan in plans.values()
        for relative_id, order in orders_of(plan)
    ]
    rows = await insert_tasks(connection, tasks)
    done.announcements += [Announcement(row["id"], hint_if_near(row, row["now"])) for row in rows]


def _give_up(plan: Plan, error: Exception) -> None:
    fail_execution(plan, engine_error("EngineError", f"the engine has a defect: {error!r}"))
    walk_on(plan)


def _apply(state: State, plan: Plan) -> None:
    """What was written is what there is."""
    for path in plan.dropped:
        _forget(state, path)
    new = plan.scopes.keys() - state.scopes.keys()
    state.whole |= new
    state.all_scopes_known |= {plan.scopes[path].node_run_id for path in new}
    state.execution = plan.execution
    state.is_new = False
    state.runs |= plan.runs
    state.scopes |= plan.scopes
    state.results |= {path: value for path, value in plan.results.items() if value is not None}
    if state.signals is not None:
        state.signals = [signal for signal in state.signals if signal.id not in plan.taken_signals]


def _forget(state: State, path: str) -> None:
    state.runs = {key: run for key, run in state.runs.items() if not is_under(run.scope, path)}
    state.scopes = {key: scope for key, scope in state.scopes.items() if not is_under(key, path)}
    state.results = {key: value for key, value in state.results.items() if key in state.runs}
