"""Executions run on real workers: each node once per attempt, each join once, each execution to one end."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from support.executions import definition, edge
from support.running import ended, kinds, make, run, runs, start, statuses, task, until, working
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.errors import AlreadyExists, InvalidArgument, NotFound, PartOfExecution, WrongStatus
from taskflow_core.executions.read import Whole
from taskflow_core.executions.rerun import RerunOrder
from taskflow_core.executions.steer import NewSignal
from taskflow_core.settings import Settings
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.retry import NewPayload
from taskflow_core.watch import Closing, Event, Snapshot
from taskflow_worker import Fail, TaskContext

Json = dict[str, Any]


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        heartbeat_seconds=0.05,
        worker_drain_grace=0.05,
        cancel_grace=0.5,
    )


async def test_a_chain_hands_results_on_and_its_last_result_is_the_output(app: App):
    async with working(app):
        workflow_id = await make(
            app,
            [
                task("a", "double", computed={"n": "input.n"}),
                task("b", "double", computed={"n": "nodes.a.result"}),
                task("c", "double"),
            ],
            [edge("a", "b"), edge("b", "c", input_expressions={"n": "nodes.a.result + nodes.b.result"})],
        )
        row = await run(app, workflow_id, {"n": 5})
    assert (row["status"], json.loads(row["output"])) == ("SUCCEEDED", {"c": 60})
    assert await kinds(app, row) == [
        "CREATED",
        *(["NODE_STARTED", "NODE_SUCCEEDED"] * 3),
        "SUCCEEDED",
    ]
    assert (await runs(app, row))["b"]["input"] == '{"n":10}'


async def test_a_diamond_joins_once_and_conditions_skip_whole_branches(app: App):
    async with working(app):
        workflow_id = await make(
            app,
            [
                task("a", payload={"score": 7}),
                {
                    "id": "way",
                    "condition": {"branches": [{"name": "high", "condition": "nodes.a.result.score > 5"}]},
                },
                task("h1"),
                task("h2", "double", payload={"n": 1}),
                task("l1"),
                task("l2"),
                task("end", computed={"h": "nodes.h2.result", "l": "nodes.l2.status"}),
            ],
            [
                edge("a", "way"),
                edge("way", "h1", branch="high"),
                edge("way", "l1", branch="default"),
                *(edge("h1", "h2"), edge("l1", "l2"), edge("h2", "end"), edge("l2", "end")),
            ],
        )
        row = await run(app, workflow_id)
    assert json.loads(row["output"]) == {"end": {"h": 2, "l": "SKIPPED"}}
    found = await statuses(app, row)
    assert {path for path, status in found.items() if status == "SKIPPED"} == {"l1", "l2"}


async def test_a_map_in_a_map_keeps_the_order_of_its_items(app: App):
    async with working(app):
        inner = {"items": "item", "graph": definition([task("x", "double", computed={"n": "item"})])}
        body = definition([{"id": "inner", "parallel": {"map": inner}}])
        outer = {"map": {"items": "input.rows", "graph": body}, "max_concurrency": 2}
        workflow_id = await make(
            app,
            [{"id": "outer", "parallel": outer}, task("end", computed={"all": "nodes.outer.result"})],
            [edge("outer", "end")],
        )
        row = await run(app, workflow_id, {"rows": [[1, 2, 3], [], [4]]})
    assert json.loads(row["output"]) == {"end": {"all": [[2, 4, 6], [], [8]]}}


async def test_a_failed_node_fails_the_execution_which_can_run_on_from_there(app: App):
    tries: list[int] = []

    async def second(context: TaskContext, payload: Json) -> str:
        tries.append(1)
        if len(tries) == 1:
            raise Fail("not yet")
        return "done"

    async with working(app, second=second):
        workflow_id = await make(
            app, [task("a"), task("b", "second"), task("c")], [edge("a", "b"), edge("b", "c")]
        )
        row = await run(app, workflow_id)
        assert (row["status"], row["failed_node_id"]) == ("FAILED", "b")
        assert row["error"]["message"] == "not yet"
        failed = (await runs(app, row))["b"]
        with pytest.raises(PartOfExecution):
            await app.retry.retry(TENANT, failed["task_id"], "tester", "")
        await app.executions.steering.retry(TENANT, row["id"], "tester", "again")
        row = await ended(app, row)
    assert (row["status"], row["error"]) == ("SUCCEEDED", None)
    assert set((await statuses(app, row)).values()) == {"SUCCEEDED"}
    assert (await runs(app, row))["b"]["attempt"] == 2
    assert "RETRIED" in await kinds(app, row)


async def test_what_was_done_is_undone_last_first(app: App):
    undone: list[str] = []

    async def undo(context: TaskContext, payload: Json) -> None:
        undone.append(payload["what"])

    def with_undo(node_id: str) -> Json:
        return task(
            node_id,
            payload={"id": node_id},
            compensation={
                "task_type": "undo",
                "payload_expressions": {"what": f"nodes.{node_id}.result.id"},
            },
        )

    async with working(app, undo=undo):
        workflow_id = await make(
            app,
            [with_undo("a"), with_undo("b"), task("c", "refuse")],
            [edge("a", "b"), edge("b", "c")],
        )
        row = await run(app, workflow_id)
    assert (row["status"], undone) == ("FAILED", ["b", "a"])
    assert await statuses(app, row) == {"a": "COMPENSATED", "b": "COMPENSATED", "c": "FAILED"}
    assert (await kinds(app, row))[-4:] == ["COMPENSATING", "NODE_COMPENSATED", "NODE_COMPENSATED", "FAILED"]


async def test_a_cancelled_execution_stops_what_runs(app: App):
    async with working(app):
        workflow_id = await make(app, [task("a", "forever"), task("b")], [edge("a", "b")])
        execution = await start(app, workflow_id)
        await until(app, execution, "a", "RUNNING")
        await app.executions.steering.cancel(
            TENANT, execution["id"], "tester", "enough", skip_compensation=False
        )
        row = await ended(app, execution)
        again = await app.executions.steering.cancel(
            TENANT, execution["id"], "tester", "enough", skip_compensation=False
        )
    assert row["status"] == again["status"] == "CANCELLED"
    assert await statuses(app, row) == {"a": "CANCELLED"}


async def test_a_delay_and_early_and_late_signals(app: App):
    async with working(app):
        workflow_id = await make(
            app,
            [
                {"id": "wait_a_little", "delay": {"duration": "0.2s"}},
                {"id": "early", "wait": {}},
                {"id": "late", "wait": {"mode": "APPROVAL", "condition": "signal.payload.by == 'boss'"}},
            ],
            [edge("wait_a_little", "early"), edge("early", "late")],
        )
        execution = await start(app, workflow_id)
        send = app.executions.steering.signal
        early = NewSignal(name="early", payload='{"n": 1}', request_id="once")
        for _ in range(2):
            await send(TENANT, execution["id"], "tester", early)
        await until(app, execution, "late", "WAITING")
        await send(TENANT, execution["id"], "tester", NewSignal(name="late", payload='{"by": "me"}'))
        await send(
            TENANT,
            execution["id"],
            "tester",
            NewSignal(name="late", payload='{"by": "boss", "approved": true}'),
        )
        row = await ended(app, execution)
        with pytest.raises(WrongStatus):
            await send(TENANT, execution["id"], "tester", NewSignal(name="x", payload="{}"))
    assert json.loads(row["output"]) == {"late": {"by": "boss", "approved": True}}
    assert (await runs(app, row))["early"]["result"] == '{"n":1}'


async def test_a_rejected_approval_and_a_wait_that_times_out_fail_with_their_reasons(app: App):
    async with working(app):
        approval = await make(app, [{"id": "ok", "wait": {"mode": "APPROVAL"}}])
        execution = await start(app, approval)
        await app.executions.steering.signal(
            TENANT, execution["id"], "boss", NewSignal(name="ok", payload='{"approved": false}')
        )
        rejected = await ended(app, execution)
        slow = await start(app, await make(app, [{"id": "ok", "wait": {}, "timeout": "0.001s"}]))
        while not await app.executions.steering.end_overdue():
            await asyncio.sleep(0.01)
        late = await ended(app, slow)
    assert rejected["error"]["type"] == "Rejected"
    assert late["error"]["type"] == "NodeTimeout"


async def test_a_subworkflow_gives_its_output_and_is_cancelled_with_its_parent(app: App):
    async with working(app):
        child = await make(app, [task("x", "double", computed={"n": "input.n"})], name="child")
        assert child
        node = {"id": "sub", "subworkflow": {"workflow_name": "child", "input_expressions": {"n": "input.n"}}}
        parent = await make(
            app, [node, task("end", computed={"r": "nodes.sub.result.x"})], [edge("sub", "end")]
        )
        row = await run(app, parent, {"n": 4})
        assert json.loads(row["output"]) == {"end": {"r": 8}}

        endless = await make(app, [task("x", "forever")])
        node = {"id": "sub", "subworkflow": {"workflow_id": str(endless)}}
        execution = await start(app, await make(app, [node]))
        sub = await until(app, execution, "sub", "RUNNING")
        await app.executions.steering.cancel(TENANT, execution["id"], "tester", "", skip_compensation=False)
        row = await ended(app, execution)
        of_child = await app.executions.reader.get(TENANT, sub["child_execution_id"])
    assert (row["status"], of_child["status"]) == ("CANCELLED", "CANCELLED")


async def test_starting_twice_with_one_request_id_starts_once(app: App):
    async with working(app):
        workflow_id = await make(app, [task("a")])
        first = await start(app, workflow_id, {"n": 1}, request_id="r")
        second = await start(app, workflow_id, {"n": 1}, request_id="r")
        assert first["id"] == second["id"]
        with pytest.raises(AlreadyExists):
            await start(app, workflow_id, {"n": 2}, request_id="r")


async def test_input_that_does_not_fit_is_refused_with_its_place(app: App):
    async with working(app):
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
        workflow_id = await make(app, [task("a")], input_schema=schema)
        with pytest.raises(InvalidArgument) as refused:
            await start(app, workflow_id, {"n": "x"})
    assert refused.value.fields[0].field == "execution.input.n"


async def test_an_expression_that_fails_fails_its_node_alone(app: App):
    async with working(app):
        workflow_id = await make(
            app,
            [
                task("a", computed={"x": "input.nothing"}, on_error="CONTINUE"),
                task("b", computed={"why": "nodes.a.error.type"}),
            ],
            [edge("a", "b")],
        )
        row = await run(app, workflow_id)
    assert json.loads(row["output"]) == {"b": {"why": "BadExpression"}}


async def test_a_snapshot_says_what_its_events_so_far_say(app: App):
    tasks = [task(f"n{number}") for number in range(8)]
    async with working(app):
        workflow_id = await make(app, tasks, [edge(a["id"], b["id"]) for a, b in pairwise(tasks)])
        execution = await start(app, workflow_id)
        seen: list[Whole] = []
        while not seen or seen[-1].row["finished_at"] is None:
            seen.append(await app.executions.reader.whole(TENANT, execution["id"]))
    page = await app.executions.reader.list_events(TENANT, execution["id"], PageRequest(1000))
    for whole in seen:
        so_far = page.rows[: whole.row["last_sequence"]]
        ended_runs = [row for row in whole.runs if row["status"] == "SUCCEEDED"]
        assert len(ended_runs) == sum(row["kind"] == "NODE_SUCCEEDED" for row in so_far)
        assert whole.counts.get("SUCCEEDED", 0) == len(ended_runs)


async def test_a_watch_sees_every_event_once_and_resumes(app: App):
    async with working(app):
        workflow_id = await make(app, [task("a"), task("b")], [edge("a", "b")])
        execution = await start(app, workflow_id)
        messages = [m async for m in app.executions.watch.watch(TENANT, execution["id"])]
        assert isinstance(messages[0], Snapshot)
        assert isinstance(messages[-1], Closing)
        assert messages[-1].reason == "FINISHED"
        events = [m for m in messages if isinstance(m, Event)]
        resumed = [m async for m in app.executions.watch.watch(TENANT, execution["id"], messages[0].token)]
    assert [m.event["sequence"] for m in resumed if isinstance(m, Event)] == [
        m.event["sequence"] for m in events
    ]


async def test_two_parents_that_end_at_once_start_their_child_once(app: App):
    async with working(app):
        width = 200
        nodes = [task(f"p{n}", "double", payload={"n": n}) for n in range(width)]
        workflow_id = await make(app, [*nodes, task("end")], [edge(f"p{n}", "end") for n in range(width)])
        row = await run(app, workflow_id)
    assert row["status"] == "SUCCEEDED"
    assert (await kinds(app, row)).count("NODE_STARTED") == width + 1


async def test_a_rerun_takes_over_what_does_not_come_after_its_node(app: App):
    async with working(app):
        workflow_id = await make(
            app,
            [
                task("a", "double", computed={"n": "input.n"}),
                task("b", "double", computed={"n": "nodes.a.result"}),
                task("c", "double", computed={"n": "nodes.b.result"}),
            ],
            [edge("a", "b"), edge("b", "c")],
        )
        first = await run(app, workflow_id, {"n": 1})
        order = RerunOrder(node_id="b", input=NewPayload('{"n": 100}', "JSON"), request_id="r")
        second = await app.executions.rerun.rerun(TENANT, first["id"], "tester", order)
        again = await app.executions.rerun.rerun(TENANT, first["id"], "tester", order)
        row = await ended(app, second)
        with pytest.raises(InvalidArgument):
            await app.executions.rerun.rerun(TENANT, first["id"], "tester", RerunOrder(node_id="x"))
        anew = await app.executions.rerun.rerun(
            TENANT, first["id"], "tester", RerunOrder(input=NewPayload('{"n": 2}', "JSON"))
        )
        assert json.loads((await ended(app, anew))["output"]) == {"c": 16}
    assert second["id"] == again["id"]
    assert json.loads(row["output"]) == {"c": 400}
    found = await runs(app, row)
    assert [found[path]["taken_over"] for path in "abc"] == [True, False, False]
    assert found["a"]["result"] == "2"
    assert await kinds(app, row) == ["CREATED", *(["NODE_STARTED", "NODE_SUCCEEDED"] * 2), "SUCCEEDED"]


async def test_old_executions_are_deleted_and_the_tasks_of_running_ones_are_kept(app: App):
    async with working(app):
        await make(app, [task("a")], name="child")
        old = await run(app, await make(app, [{"id": "sub", "subworkflow": {"workflow_name": "child"}}]))
        waiting = await start(app, await make(app, [task("a"), {"id": "w", "wait": {}}], [edge("a", "w")]))
        await until(app, waiting, "w", "WAITING")
        past = "SET finished_at = finished_at - interval '1 year' WHERE finished_at IS NOT NULL"
        await app.database.pool.execute(f"UPDATE tasks {past}")
        await app.database.pool.execute(f"UPDATE workflow_executions {past}")
        # The task of the child, and the one that told the parent of its end.
        assert (await app.retention.run())["tasks"] == 2
        assert await app.executions.retention.run() == 2
        with pytest.raises(NotFound):
            await app.executions.reader.get(TENANT, old["id"])
        assert (await runs(app, waiting))["a"]["result"] == "{}"


async def test_a_thousand_parents_and_a_capped_map_join_once(app: App):
    async with working(app):
        width = 999
        body = definition([task("x", "double", computed={"n": "index"})])
        nodes = [
            {"id": "m", "parallel": {"map": {"items": "input.all", "graph": body}, "max_concurrency": 50}}
        ]
        edges = [edge("m", "end")]
        nodes += [task(f"p{n}") for n in range(width - 2)]
        edges += [edge(f"p{n}", "end") for n in range(width - 2)]
        workflow_id = await make(app, [*nodes, task("end", computed={"all": "nodes.m.result"})], edges)
        row = await ended(app, await start(app, workflow_id, {"all": [0] * 300}), 60)
    assert row["status"] == "SUCCEEDED", row["error"]
    assert json.loads(row["output"])["end"]["all"] == [2 * n for n in range(300)]
    counts = await app.executions.reader.counts(row["id"])
    assert counts == {"SUCCEEDED": width + 300}


async def test_any_and_count_joins_let_the_rest_go(app: App):
    async with working(app):
        branches = [
            {"name": "quick", "graph": definition([task("q", payload={"n": 1})])},
            {"name": "never", "graph": definition([task("n", "forever")])},
        ]
        node = {"id": "race", "parallel": {"branches": {"branches": branches}, "join": {"mode": "ANY"}}}
        row = await run(app, await make(app, [node]))
    assert json.loads(row["output"]) == {"race": {"quick": {"n": 1}, "never": None}}
    assert (await statuses(app, row))["race.never.n"] == "CANCELLED"


async def test_a_task_that_is_cancelled_alone_fails_its_node(app: App):
    async with working(app):
        node = {"id": "pause", "delay": {"duration": "3600s"}, "on_error": "GO_TO", "error_node_id": "plan_b"}
        workflow_id = await make(app, [node, task("plan_b", computed={"why": "nodes.pause.error.type"})])
        execution = await start(app, workflow_id)
        pause = await until(app, execution, "pause", "WAITING")
        await app.cancellation.cancel(TENANT, pause["task_id"], "tester", "I can wait no longer")
        row = await ended(app, execution)
    assert json.loads(row["output"])["plan_b"] == {"why": "TaskCancelled"}


async def test_a_failed_child_is_started_again(app: App):
    tries: list[int] = []

    async def second(context: TaskContext, payload: Json) -> str:
        tries.append(1)
        if len(tries) == 1:
            raise Fail("not yet")
        return "done"

    async with working(app, second=second):
        child = await make(app, [task("x", "second")])
        policy = {"max_attempts": 2, "initial_backoff": "0.01s"}
        node = {"id": "sub", "subworkflow": {"workflow_id": str(child), "retry_policy": policy}}
        row = await run(app, await make(app, [node]))
    assert json.loads(row["output"]) == {"sub": {"x": "done"}}
    assert (await runs(app, row))["sub"]["attempt"] == 2
    assert "NODE_RETRYING" in await kinds(app, row)


async def test_a_subworkflow_fails_when_it_would_lie_too_deep(app: App):
    async with working(app):
        innermost = await make(app, [task("x")])
        # The last but one still fits: 20 executions lie above the innermost.
        for _ in range(20):
            innermost = await make(app, [{"id": "sub", "subworkflow": {"workflow_id": str(innermost)}}])
        row = await run(app, innermost)
        deeper = await make(app, [{"id": "sub", "subworkflow": {"workflow_id": str(innermost)}}])
        too_deep = await run(app, deeper)
    assert row["status"] == "SUCCEEDED"
    assert (too_deep["status"], too_deep["error"]["type"]) == ("FAILED", "TooDeep")
    assert "at most 20 are allowed" in too_deep["error"]["message"]


async def test_a_running_execution_keeps_its_version(app: App):
    async with working(app):
        workflow_id = await make(app, [{"id": "w", "wait": {}}, task("old")], [edge("w", "old")])
        execution = await start(app, workflow_id)
        changes = {"nodes": [task("new")], "edges": []}
        await app.workflows.update(TENANT, workflow_id, changes, "")
        await app.executions.steering.signal(
            TENANT, execution["id"], "tester", NewSignal(name="w", payload="{}")
        )
        row = await ended(app, execution)
        newer = await run(app, workflow_id)
    assert (row["workflow_version"], json.loads(row["output"])) == (1, {"old": {}})
    assert (newer["workflow_version"], json.loads(newer["output"])) == (2, {"new": {}})


async def test_an_execution_that_runs_too_long_fails_and_one_that_expires_is_cancelled(app: App):
    async with working(app):
        slow = await make(app, [{"id": "w", "wait": {}}], execution_timeout="0.001s")
        late = await start(app, slow)
        soon = datetime.now(UTC) + timedelta(seconds=0.05)
        expiring = await start(app, await make(app, [{"id": "w", "wait": {}}]), expire_time=soon)
        async with asyncio.timeout(20):
            while not (await app.executions.reader.get(TENANT, expiring["id"]))["finished_at"]:
                await app.executions.steering.end_overdue()
                await asyncio.sleep(0.01)
        late, expiring = await ended(app, late), await ended(app, expiring)
    assert (late["status"], late["error"]["type"]) == ("FAILED", "ExecutionTimeout")
    assert (expiring["status"], expiring["cancel_reason"]) == ("CANCELLED", "expire_time has passed")
