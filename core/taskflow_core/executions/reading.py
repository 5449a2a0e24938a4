"""Reading what plans need. Every statement here runs after the executions were locked.

The keys stand in each statement twice, as arrays too: whatever the planner thinks of the tables, it finds rows by them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.executions.definitions import Definitions
from taskflow_core.executions.paths import node_of, owner_of, scope_of
from taskflow_core.executions.state import Execution, Need, Run, Scope, Signal, State, Unreadable
from taskflow_core.states import NODE_RUN_OPEN, ExecutionStatus, NodeRunStatus, ScopeStatus
from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.evaluation import Expressions
from taskflow_core.workflows.expression_syntax import ExpressionError
from taskflow_core.workflows.expressions import compile_expression

EXECUTION_COLUMNS = tuple(field.name for field in fields(Execution))
# Results may be large, and are read only when they are asked for.
RUN_COLUMNS = tuple(field.name for field in fields(Run) if field.name != "result")
_RUN = ", ".join(f"n.{name}" for name in RUN_COLUMNS)
_SCOPE = "s.execution_id, s.path, s.node_run_id, s.place, s.item, s.status"
_OPEN = ", ".join(f"'{status}'" for status in sorted(NODE_RUN_OPEN))

# In the order of their ids, so that two that meet on the same executions lock them in the same order.
LOCK = f"""
SELECT {", ".join(EXECUTION_COLUMNS)}, statement_timestamp() AS now
FROM workflow_executions WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE
"""  # noqa: S608 - the columns are our own

RUNS = f"""
SELECT n.execution_id, {_RUN} FROM node_runs n
JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (execution_id, scope, node_id)
  USING (execution_id, scope, node_id)
WHERE n.execution_id = ANY($1::uuid[]) AND n.scope = ANY($2::text[]) AND n.node_id = ANY($3::text[])
"""  # noqa: S608
WHOLE = f"""
SELECT n.execution_id, {_RUN} FROM node_runs n
JOIN unnest($1::uuid[], $2::text[]) AS wanted (execution_id, scope)
  ON n.execution_id = wanted.execution_id AND n.scope = wanted.scope
WHERE n.execution_id = ANY($1::uuid[]) AND n.scope = ANY($2::text[])
"""  # noqa: S608
OPEN_UNDER = f"""
SELECT n.execution_id, {_RUN} FROM node_runs n
WHERE n.execution_id = $1 AND n.status IN ({_OPEN})
  AND ($2 = '' OR n.scope = $2 OR starts_with(n.scope, $2 || '.') OR starts_with(n.scope, $2 || '['))
"""  # noqa: S608
UNDOABLE = f"""
SELECT n.execution_id, {_RUN} FROM node_runs n
WHERE n.execution_id = $1 AND n.status = 'SUCCEEDED' AND n.node_id = ANY($2::text[])
"""  # noqa: S608
ALL_RUNS = f"SELECT n.execution_id, {_RUN} FROM node_runs n WHERE n.execution_id = $1"  # noqa: S608

SCOPES = f"""
SELECT {_SCOPE} FROM execution_scopes s
JOIN unnest($1::uuid[], $2::text[]) AS wanted (execution_id, path)
  ON s.execution_id = wanted.execution_id AND s.path = wanted.path
WHERE s.execution_id = ANY($1::uuid[]) AND s.path = ANY($2::text[])
"""  # noqa: S608
SCOPES_OF = f"SELECT {_SCOPE}, s.result FROM execution_scopes s WHERE s.node_run_id = $1"  # noqa: S608
PENDING_OF = f"""
SELECT {_SCOPE} FROM execution_scopes s WHERE s.node_run_id = $1 AND s.status = 'PENDING' ORDER BY s.place LIMIT $2
"""  # noqa: S608
ALL_SCOPES = f"SELECT {_SCOPE}, s.result FROM execution_scopes s WHERE s.execution_id = $1"  # noqa: S608

RESULTS = """
SELECT n.execution_id, n.path,
  coalesce(n.result, (SELECT r.result FROM task_results r WHERE r.task_id = n.task_id)) AS result,
  (SELECT r.result_url FROM task_results r WHERE r.task_id = n.task_id) AS result_url
FROM node_runs n
JOIN unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (execution_id, scope, node_id)
  USING (execution_id, scope, node_id)
WHERE n.execution_id = ANY($1::uuid[]) AND n.scope = ANY($2::text[]) AND n.node_id = ANY($3::text[])
"""
# How many executions lie above one, from its parent on. It ends: an execution is younger than its parent.
DEPTH = """
WITH RECURSIVE above AS (
  SELECT $1::uuid AS id
  UNION ALL
  SELECT parent.id FROM above CROSS JOIN LATERAL (
    SELECT e.parent_execution_id AS id FROM workflow_executions e
    WHERE e.id = above.id AND e.parent_execution_id IS NOT NULL OFFSET 0) AS parent
)
SELECT count(*) FROM above
"""
SIGNALS = """
SELECT id, name, payload, sender, node_run_id, created_at FROM execution_signals
WHERE execution_id = $1 AND taken_by IS NULL ORDER BY created_at, id
"""


async def lock_executions(connection: Connection, execution_ids: Sequence[UUID]) -> list[Row]:
    """Keep others from moving anything of these executions until the transaction ends."""
    return list(await connection.fetch(LOCK, execution_ids))


async def read_states(
    connection: Connection, rows: Sequence[Row], definitions: Definitions
) -> dict[UUID, State]:
    """The states of locked executions, with nothing of their runs yet."""
    keys = [(row["workflow_id"], row["workflow_version"]) for row in rows]
    found = await definitions.get(connection, keys)
    return {
        row["id"]: State(_execution(row), found[key], row["now"]) for row, key in zip(rows, keys, strict=True)
    }


async def new_states(
    connection: Connection, rows: Sequence[Mapping[str, Any]], definitions: Definitions
) -> dict[UUID, State]:
    """The states of executions that are yet to be inserted. What is missing in a row takes its default."""
    keys = [(row["workflow_id"], row["workflow_version"]) for row in rows]
    found = await definitions.get(connection, keys)
    return {
        row["id"]: State(
            Execution(**{name: row[name] for name in EXECUTION_COLUMNS if name in row}),
            found[key],
            row["created_at"],
            signals=[],
            complete=True,
            is_new=True,
        )
        for row, key in zip(rows, keys, strict=True)
    }


def _execution(row: Row) -> Execution:
    values = {name: row[name] for name in EXECUTION_COLUMNS}
    values["status"] = ExecutionStatus(values["status"])
    values["ending"] = None if values["ending"] is None else ExecutionStatus(values["ending"])
    return Execution(**values)


def run_of(row: Row) -> Run:
    """A node run of a row."""
    values = {name: row[name] for name in RUN_COLUMNS}
    values["status"] = NodeRunStatus(values["status"])
    return Run(**values)


def add_graphs(states: Mapping[UUID, State], rows: Sequence[Row]) -> None:
    """Take in runs that are all there are in their graphs."""
    for row in rows:
        state = states[row["execution_id"]]
        state.whole.add(row["scope"])
        _add_runs(state, [row])


async def read_around(
    connection: Connection, states: Mapping[UUID, State], graphs: Iterable[tuple[UUID, str]]
) -> None:
    """What graphs lie in: the PARALLEL runs around them."""
    scopes: set[tuple[UUID, str]] = set()
    owners: set[tuple[UUID, str]] = set()
    for execution_id, inner in graphs:
        scope = inner
        while scope:
            scopes.add((execution_id, scope))
            owners.add((execution_id, owner_of(scope)))
            scope = scope_of(owner_of(scope))
    if scopes:
        await _read_scopes(connection, states, scopes)
        await _read_runs(connection, states, owners)


async def read_needs(
    connection: Connection,
    states: Mapping[UUID, State],
    needs: Mapping[UUID, Need],
    definitions: Definitions,
    expressions: Expressions,
) -> None:
    """Read what plans asked for: what many ask for in one statement."""
    await _read_whole(connection, states, {(key, s) for key, need in needs.items() for s in need.whole})
    await _read_runs(connection, states, {(key, path) for key, need in needs.items() for path in need.runs})
    await _read_scopes(connection, states, {(key, s) for key, need in needs.items() for s in need.scopes})
    await _read_results(
        connection, states, {(key, path) for key, need in needs.items() for path in need.results}
    )
    for execution_id, need in needs.items():
        await _read_one(connection, states[execution_id], need, definitions, expressions)


async def _read_one(
    connection: Connection,
    state: State,
    need: Need,
    definitions: Definitions,
    expressions: Expressions,
) -> None:
    execution_id = state.execution.id
    if need.open_under is not None:
        _add_runs(state, await connection.fetch(OPEN_UNDER, execution_id, need.open_under))
        state.open_known.add(need.open_under)
    if need.undoable is not None:
        _add_runs(state, await connection.fetch(UNDOABLE, execution_id, list(need.undoable)))
        state.undoable_known = True
    if need.scopes_of is not None:
        _add_scopes(state, await connection.fetch(SCOPES_OF, need.scopes_of), with_results=True)
        state.all_scopes_known.add(need.scopes_of)
    if need.pending_of is not None:
        _add_scopes(state, await connection.fetch(PENDING_OF, need.pending_of, need.pending_limit))
    if need.everything:
        _add_runs(state, await connection.fetch(ALL_RUNS, execution_id))
        _add_scopes(state, await connection.fetch(ALL_SCOPES, execution_id), with_results=True)
        state.everything_known = True
    if need.signals:
        state.signals = [Signal(**row) for row in await connection.fetch(SIGNALS, execution_id)]
    if need.workflow is not None:
        found = await definitions.find(connection, state.execution.tenant_id, need.workflow)
        state.workflows[need.workflow] = found
        if state.execution.parent_execution_id is not None:
            state.depth = await connection.fetchval(DEPTH, state.execution.parent_execution_id)
    if need.value is not None:
        state.values[need.value] = await _value(expressions, need.value[1], need.value_scope)


async def _value(expressions: Expressions, source: str, variables: dict[str, Any]) -> Any:
    try:
        return await expressions.evaluate(compile_expression(source), variables)
    except ExpressionError as error:
        return error


async def _read_whole(
    connection: Connection, states: Mapping[UUID, State], wanted: set[tuple[UUID, str]]
) -> None:
    if not wanted:
        return
    for row in await connection.fetch(WHOLE, *_columns(wanted)):
        _add_runs(states[row["execution_id"]], [row])
    for execution_id, scope in wanted:
        states[execution_id].whole.add(scope)


async def _read_runs(
    connection: Connection, states: Mapping[UUID, State], wanted: set[tuple[UUID, str]]
) -> None:
    if not wanted:
        return
    for row in await connection.fetch(RUNS, *_places(wanted)):
        _add_runs(states[row["execution_id"]], [row])
    for execution_id, path in wanted:
        if path not in states[execution_id].runs:
            states[execution_id].absent.add(path)


async def _read_scopes(
    connection: Connection, states: Mapping[UUID, State], wanted: set[tuple[UUID, str]]
) -> None:
    if not wanted:
        return
    for row in await connection.fetch(SCOPES, *_columns(wanted)):
        _add_scopes(states[row["execution_id"]], [row])
    for execution_id, path in wanted:
        if path not in states[execution_id].scopes:
            states[execution_id].absent.add(path)


async def _read_results(
    connection: Connection, states: Mapping[UUID, State], wanted: set[tuple[UUID, str]]
) -> None:
    if not wanted:
        return
    for row in await connection.fetch(RESULTS, *_places(wanted)):
        states[row["execution_id"]].results[row["path"]] = result_value(row)


def result_value(row: Row) -> Any:
    """A result as expressions see it."""
    if row["result"] is not None:
        return json.loads(row["result"])
    if row["result_url"] is not None:
        return Unreadable(f"is too large for expressions: it lies at {row['result_url']}")
    return None


def _add_runs(state: State, rows: Sequence[Row]) -> None:
    for row in rows:
        state.runs.setdefault(row["path"], run_of(row))


def _add_scopes(state: State, rows: Sequence[Row], *, with_results: bool = False) -> None:
    for row in rows:
        known = state.scopes.get(row["path"])
        if known is not None and (known.result is not None or not with_results):
            continue
        state.scopes[row["path"]] = Scope(
            path=row["path"],
            node_run_id=row["node_run_id"],
            place=row["place"],
            item=row["item"],
            status=ScopeStatus(row["status"]),
            result=row["result"] if with_results else None,
        )


def _columns(wanted: set[tuple[UUID, str]]) -> tuple[list[UUID], list[str]]:
    ordered = sorted(wanted)
    return [execution_id for execution_id, _ in ordered], [text for _, text in ordered]


def _places(wanted: set[tuple[UUID, str]]) -> tuple[list[UUID], list[str], list[str]]:
    """Executions with paths of runs, as the index of node runs has them."""
    executions, paths = _columns(wanted)
    return executions, [scope_of(path) for path in paths], [node_of(path) for path in paths]
