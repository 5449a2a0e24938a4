"""What each kind of node promises beside its work: limits, times, versions, and what becomes of the rest."""

import json
from uuid import UUID

import pytest

from support.executions import definition, edge
from support.running import Json, ended, make, run, runs, start, statuses, task, until, working
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.executions.steer import NewSignal
from taskflow_core.settings import Settings
from taskflow_core.tasks.rows import Row

STARTED_AT_ONCE = """
SELECT max(started) FROM (
  SELECT count(*) AS started FROM execution_events WHERE execution_id = $1 AND kind = 'NODE_STARTED' GROUP BY xid
) AS transactions
"""


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        heartbeat_seconds=0.05,
        worker_drain_grace=0.05,
        cancel_grace=0.5,
        max_payload_bytes=50_000,
    )


def map_of(node_id: str, items: str, **fields: str) -> Json:
    body = definition([task("x", "double", computed={"n": "index"})])
    return {"id": node_id, "parallel": {"map": {"items": items, "graph": body}}, **fields}


async def cancel(app: App, execution: Row, *, skip_compensation: bool = False) -> None:
    await app.executions.steering.cancel(
        TENANT, execution["id"], "tester", "", skip_compensation=skip_compensation
    )


async def send(app: App, execution: Row, name: str, payload: str = "{}") -> None:
    await app.executions.steering.signal(
        TENANT, execution["id"], "tester", NewSignal(name=name, payload=payload)
    )


async def test_a_wide_map_starts_in_batches_and_joins_once(app: App):
    width = 1_200
    async with working(app):
        workflow_id = await make(app, [map_of("m", "input.all"), task("end")], [edge("m", "end")])
        row = await ended(app, await start(app, workflow_id, {"all": [0] * width}), 120)
        found = await runs(app, row)
    assert row["status"] == "SUCCEEDED", row["error"]
    assert json.loads(found["m"]["result"]) == [2 * n for n in range(width)]
    assert (await app.executions.reader.counts(row["id"])) == {"SUCCEEDED": width + 2}
    assert await app.database.pool.fetchval(STARTED_AT_ONCE, row["id"]) <= 501


async def test_a_map_over_too_many_items_fails_before_it_starts_any(app: App):
    async with working(app):
        row = await run(app, await make(app, [map_of("m", "input.all")]), {"all": [0] * 10_001})
    assert (row["status"], row["error"]["type"]) == ("FAILED", "TooManyItems")
    assert await statuses(app, row) == {"m": "FAILED"}


async def test_a_payload_that_grows_too_large_fails_its_node(app: App):
    async with working(app):
        node = task("a", computed={"twice": "input.text + input.text"})
        row = await run(app, await make(app, [node]), {"text": "x" * 30_000})
    assert row["error"]["type"] == "PayloadTooLarge"
    assert "at most 50000 are allowed" in row["error"]["message"]


async def test_an_expression_that_takes_too_much_fails_its_node(app: App):
    async with working(app):
        node = task("a", computed={"n": "input.all.map(a, input.all.map(b, a * b)).size()"})
        row = await run(app, await make(app, [node]), {"all": [7] * 10_000})
    assert row["error"]["type"] == "BadExpression", row["error"]


async def test_what_a_child_gets_and_an_execution_gives_must_fit_their_schemas(app: App):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    async with working(app):
        child_id = await make(app, [task("x")], input_schema=schema)
        parent_id = await make(app, [{"id": "sub", "subworkflow": {"workflow_id": str(child_id)}}])
        no_input = await run(app, parent_id)
        no_output = await run(app, await make(app, [task("a")], output_schema=schema))
    assert no_input["error"]["type"] == "InvalidInput"
    assert no_output["error"]["type"] == "InvalidOutput"


async def test_a_signal_from_before_the_look_back_is_left_for_others(app: App):
    async with working(app):
        nodes = [
            {"id": "pause", "delay": {"duration": "0.2s"}},
            {"id": "fresh", "wait": {"signal": "s", "look_back": "0.05s"}},
            {"id": "any", "wait": {"signal": "s"}},
        ]
        workflow_id = await make(app, nodes, [edge("pause", "fresh"), edge("fresh", "any")])
        execution = await start(app, workflow_id)
        await send(app, execution, "s", '{"n": "early"}')
        await until(app, execution, "fresh", "WAITING")
        await send(app, execution, "s", '{"n": "late"}')
        row = await ended(app, execution)
        found = await runs(app, row)
    assert [json.loads(found[path]["result"])["n"] for path in ("fresh", "any")] == ["late", "early"]


async def test_a_delay_to_a_time_that_has_passed_is_none_and_one_may_be_computed(app: App):
    async with working(app):
        nodes = [
            {"id": "past", "delay": {"until_time": "2020-01-01T00:00:00Z"}},
            {"id": "computed", "delay": {"expression": "duration(input.pause)"}},
        ]
        row = await run(app, await make(app, nodes, [edge("past", "computed")]), {"pause": "0.05s"})
        found = await runs(app, row)
    assert row["status"] == "SUCCEEDED"
    assert (found["past"]["task_id"], found["computed"]["task_id"] is None) == (None, False)


async def test_a_task_that_runs_past_the_timeout_of_its_node_is_stopped(app: App):
    async with working(app):
        node = task("a", "forever", timeout="0.3s", on_error="CONTINUE")
        workflow_id = await make(
            app, [node, task("b", computed={"why": "nodes.a.error.type"})], [edge("a", "b")]
        )
        execution = await start(app, workflow_id)
        await until(app, execution, "a", "RUNNING")
        while not await app.executions.steering.end_overdue():
            await app.executions.watch.wait(TENANT, execution["id"], 0.05)
        row = await ended(app, execution)
        task_id = (await runs(app, row))["a"]["task_id"]
    assert json.loads(row["output"]) == {"b": {"why": "NodeTimeout"}}
    assert await app.database.pool.fetchval("SELECT status FROM tasks WHERE id = $1", task_id) == "CANCELLED"


async def test_an_abandoned_child_goes_on_without_its_parent(app: App):
    async with working(app):
        child_id = await make(app, [{"id": "word", "wait": {}}])
        node = {"id": "sub", "subworkflow": {"workflow_id": str(child_id), "cancel_policy": "ABANDON"}}
        execution = await start(app, await make(app, [node]))
        sub = await until(app, execution, "sub", "RUNNING")
        await cancel(app, execution)
        assert (await ended(app, execution))["status"] == "CANCELLED"
        child = await app.executions.reader.get(TENANT, sub["child_execution_id"])
        assert child["status"] == "RUNNING"
        await send(app, child, "word")
        assert (await ended(app, child))["status"] == "SUCCEEDED"


async def test_nothing_is_undone_by_a_cancellation_that_says_so(app: App):
    async with working(app):
        nodes = [task("a", compensation={"task_type": "forever"}), {"id": "word", "wait": {}}]
        execution = await start(app, await make(app, nodes, [edge("a", "word")]))
        await until(app, execution, "word", "WAITING")
        await cancel(app, execution, skip_compensation=True)
        row = await ended(app, execution)
    assert await statuses(app, row) == {"a": "SUCCEEDED", "word": "CANCELLED"}


async def test_a_child_is_of_the_pinned_version_or_of_the_latest(app: App):
    async def outcome(parent_id: UUID) -> str:
        return str(json.loads((await run(app, parent_id))["output"])["sub"])

    async with working(app):
        child_id = await make(app, [task("old")])
        pinned, latest = [
            await make(app, [{"id": "sub", "subworkflow": {"workflow_id": str(child_id), **version}}])
            for version in ({"version": 1}, {})
        ]
        await app.workflows.update(TENANT, child_id, {"nodes": [task("new")], "edges": []}, "")
        assert (await outcome(pinned), await outcome(latest)) == ("{'old': {}}", "{'new': {}}")
