"""Executions stop wherever they are told to, and run on from wherever they failed, with all that lies in them."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest

from support.executions import definition, edge
from support.running import ended, kinds, make, run, runs, start, statuses, task, until, working
from support.tasks import TENANT
from taskflow_core.app import App
from taskflow_core.errors import WrongStatus
from taskflow_core.executions.steer import NewSignal
from taskflow_core.settings import Settings
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Event, Snapshot
from taskflow_worker import Fail, TaskContext

Json = dict[str, Any]
CHILD = ("c1", "c2")
INPUT = {"token": "input.token", "fails_at": "input.fails_at"}


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        heartbeat_seconds=0.05,
        worker_drain_grace=0.05,
        cancel_grace=0.5,
    )


class Steps:
    """A handler that fails where its execution is told to, once, and remembers what was done and undone."""

    def __init__(self) -> None:
        self.done: Counter[tuple[str, str]] = Counter()  # by execution and node
        self.undone: Counter[tuple[str, str]] = Counter()
        self._failed: set[tuple[str, str]] = set()

    async def do(self, context: TaskContext, payload: Json) -> str:
        key = (payload["token"], payload["node"])
        if payload["node"] == payload["fails_at"] and key not in self._failed:
            self._failed.add(key)
            raise Fail("not yet")
        self.done[key] += 1
        return str(payload["node"])

    async def undo(self, context: TaskContext, payload: Json) -> None:
        self.undone[payload["token"], payload["node"]] += 1

    def of(self, counts: Counter[tuple[str, str]], number: int) -> dict[str, int]:
        """Those of one execution, without those of its child, which undoes nothing."""
        return {
            node: count
            for (token, node), count in counts.items()
            if token == f"t{number}" and node not in CHILD
        }


def step(node_id: str, *, is_undone: bool = False, **fields: Any) -> Json:
    compensation = {
        "task_type": "undo",
        "payload": {"node": node_id},
        "payload_expressions": {"token": "input.token"},
    }
    more = {"compensation": compensation} if is_undone else {}
    return task(node_id, "do", {"node": node_id}, computed=INPUT, **more, **fields)


async def make_all_kinds(app: App, *, is_undone: bool) -> UUID:
    """A workflow with a node of every kind; every task of its own is undone if you like."""
    await make(app, [step("c1"), step("c2")], [edge("c1", "c2")], name="child")
    inner = {"map": {"items": "item", "graph": definition([step("x", is_undone=is_undone)])}}
    rows = {"map": {"items": "[[1], [2]]", "graph": definition([{"id": "row", "parallel": inner}])}}
    branches = [
        {"name": name, "graph": definition([step(f"{name}1", is_undone=is_undone)])}
        for name in ("left", "right")
    ]
    child = {"workflow_name": "child", "input_expressions": INPUT}
    nodes: list[Json] = [
        step("a", is_undone=is_undone),
        {"id": "way", "condition": {"branches": [{"name": "on", "condition": "nodes.a.result == 'a'"}]}},
        step("never"),
        {"id": "rows", "parallel": rows | {"max_concurrency": 1}},
        {"id": "fork", "parallel": {"branches": {"branches": branches}}},
        {"id": "sub", "subworkflow": child},
        {"id": "pause", "delay": {"duration": "0.02s"}},
        {"id": "word", "wait": {}},
        step("end", is_undone=is_undone),
    ]
    edges = [
        edge("a", "way"),
        edge("way", "never", branch="default"),
        *(edge("way", node_id, branch="on") for node_id in ("rows", "fork", "sub", "pause")),
        edge("pause", "word"),
        *(edge(node_id, "end") for node_id in ("rows", "fork", "sub", "word")),
    ]
    return await make(app, nodes, edges)


async def begin(app: App, workflow_id: UUID, token: str, fails_at: str = "") -> Row:
    execution = await start(app, workflow_id, {"token": token, "fails_at": fails_at})
    await signal(app, execution)
    return execution


async def signal(app: App, execution: Row) -> None:
    """Send what the WAIT node waits for, unless the execution has ended before."""
    word = NewSignal(name="word", payload="{}")
    with suppress(WrongStatus):
        await app.executions.steering.signal(TENANT, execution["id"], "tester", word)


async def cancel(app: App, execution_id: UUID) -> Row:
    return await app.executions.steering.cancel(TENANT, execution_id, "tester", "", skip_compensation=False)


async def retry(app: App, execution: Row) -> Row:
    return await app.executions.steering.retry(TENANT, execution["id"], "tester", "again")


async def children(app: App, execution: Row) -> Sequence[Row]:
    found: Sequence[Row] = await app.database.pool.fetch(
        "SELECT * FROM workflow_executions WHERE parent_execution_id = $1", execution["id"]
    )
    return found


@pytest.mark.parametrize("node_id", ["a", "x", "left1", "right1", "c1", "c2", "end"])
async def test_an_execution_runs_on_from_whatever_node_failed_and_does_nothing_twice(app: App, node_id: str):
    steps = Steps()
    async with working(app, do=steps.do, undo=steps.undo):
        workflow_id = await make_all_kinds(app, is_undone=False)
        failed = await ended(app, await begin(app, workflow_id, "t", node_id))
        assert failed["status"] == "FAILED"
        before = await children(app, failed)
        # The first signal may have come too late.
        await signal(app, await retry(app, failed))
        row = await ended(app, failed)
        assert row["status"] == "SUCCEEDED", row["error"]
        after = await children(app, row)
        found = await statuses(app, row)
    done = {node: count for (_, node), count in steps.done.items()}
    assert done == {"a": 1, "x": 2, "left1": 1, "right1": 1, "c1": 1, "c2": 1, "end": 1}
    assert set(found.values()) == {"SUCCEEDED", "SKIPPED"}
    # The child is the same, if there was one before.
    assert len(after) == 1
    assert not before or before[0]["id"] == after[0]["id"]
    assert (await kinds(app, row)).count("SUCCEEDED") == 1


async def test_a_cancellation_after_any_event_ends_everything_and_undoes_what_was_done(app: App):
    steps = Steps()

    async def cancel_after(workflow_id: UUID, sequence: int) -> Row:
        execution = await begin(app, workflow_id, f"t{sequence}")
        async for message in app.executions.watch.watch(TENANT, execution["id"]):
            seen = message.subject.row["last_sequence"] if isinstance(message, Snapshot) else 0
            seen = message.event["sequence"] if isinstance(message, Event) else seen
            if seen >= sequence:
                # It goes on meanwhile, and may be at its end.
                with suppress(WrongStatus):
                    await cancel(app, execution["id"])
                break
        return await ended(app, execution)

    async with working(app, do=steps.do, undo=steps.undo):
        workflow_id = await make_all_kinds(app, is_undone=True)
        whole = await ended(app, await begin(app, workflow_id, "whole"))
        assert whole["status"] == "SUCCEEDED", whole["error"]
        numbers = range(1, whole["last_sequence"])
        rows = await asyncio.gather(*(cancel_after(workflow_id, number) for number in numbers))
        cancelled = {number: row for number, row in enumerate(rows, 1) if row["status"] == "CANCELLED"}
        assert len(cancelled) >= 10
        assert {row["status"] for row in rows} <= {"CANCELLED", "SUCCEEDED"}
        for number, row in cancelled.items():
            found = set((await statuses(app, row)).values())
            assert found <= {"CANCELLED", "COMPENSATED", "SUCCEEDED", "SKIPPED"}, (number, found)
            assert (await kinds(app, row))[-1] == "CANCELLED"
            assert steps.of(steps.done, number) == steps.of(steps.undone, number)
            for child in await children(app, row):
                assert child["status"] in ("CANCELLED", "SUCCEEDED"), number
        for row in cancelled.values():
            # A wait that runs again wants another signal.
            await signal(app, await retry(app, row))
        for number, row in cancelled.items():
            again = await ended(app, row)
            assert again["status"] == "SUCCEEDED", (number, again["error"])


async def test_a_child_of_a_child_runs_on_from_where_it_failed(app: App):
    steps = Steps()
    async with working(app, do=steps.do):
        nodes, edges = [step("c1"), step("c2")], [edge("c1", "c2")]
        workflow_id = await make(app, nodes, edges)
        for _ in range(2):
            node = {"subworkflow": {"workflow_id": str(workflow_id), "input_expressions": INPUT}}
            workflow_id = await make(app, [{"id": "sub", **node}])
        failed = await run(app, workflow_id, {"token": "t", "fails_at": "c2"})
        row = await ended(app, await retry(app, failed))
        found = await runs(app, row)
        child = await app.executions.reader.get(TENANT, found["sub"]["child_execution_id"])
    assert (failed["status"], row["status"]) == ("FAILED", "SUCCEEDED")
    assert json.loads(row["output"]) == {"sub": {"sub": {"c2": "c2"}}}
    assert steps.done == {("t", "c1"): 1, ("t", "c2"): 1}
    assert found["sub"]["attempt"] == 2
    assert "RETRIED" in await kinds(app, child)


async def test_a_child_that_was_made_to_succeed_alone_gives_its_output_to_a_retry(app: App):
    steps = Steps()
    async with working(app, do=steps.do):
        child_id = await make(app, [step("c1")])
        node = {"id": "sub", "subworkflow": {"workflow_id": str(child_id), "input_expressions": INPUT}}
        failed = await run(app, await make(app, [node]), {"token": "t", "fails_at": "c1"})
        [child] = await children(app, failed)
        assert (await ended(app, await retry(app, child)))["status"] == "SUCCEEDED"
        row = await ended(app, await retry(app, failed))
    assert json.loads(row["output"]) == {"sub": {"c1": "c1"}}
    assert steps.done == {("t", "c1"): 1}


async def test_a_child_stops_though_its_parent_is_cancelled_as_soon_as_it_runs_on(app: App):
    async def hang_again(context: TaskContext, payload: Json) -> None:
        if context.attempt == 1 and payload["token"] not in failed:
            failed.add(payload["token"])
            raise Fail("not yet")
        await asyncio.Event().wait()

    failed: set[str] = set()
    async with working(app, do=hang_again):
        child_id = await make(app, [step("c1")])
        node = {"id": "sub", "subworkflow": {"workflow_id": str(child_id), "input_expressions": INPUT}}
        workflow_id = await make(app, [node])

        async def stop_at_once(token: str) -> None:
            row = await run(app, workflow_id, {"token": token, "fails_at": ""})
            await retry(app, row)
            await cancel(app, row["id"])
            assert (await ended(app, row))["status"] == "CANCELLED"
            [child] = await children(app, row)
            assert (await ended(app, child))["status"] in ("CANCELLED", "FAILED")
            # And once more, when the child has been told.
            await retry(app, row)
            await until(app, child, "c1", "RUNNING")
            await cancel(app, row["id"])
            assert (await ended(app, row))["status"] == "CANCELLED"
            assert (await ended(app, child))["status"] == "CANCELLED"

        await asyncio.gather(*(stop_at_once(f"t{number}") for number in range(10)))
