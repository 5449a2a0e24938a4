"""Executions come to their one right end, whatever is killed in the middle of them."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from support.executions import definition, edge
from support.faults.execution_checker import read_ended
from support.faults.story import Story
from support.faults.workflows import WorkflowClient
from taskflow_dev.ports import LOOPBACK

# A diamond whose one side is a map of two items.
TASKS_EACH = 3 + 2
RUNS_EACH = 4 + 2
# Seconds: thousands of tasks, on a machine that may be busy.
PATIENCE = 120


def work(node_id: str, **computed: str) -> dict[str, Any]:
    return {
        "id": node_id,
        "task": {
            "task_type": "faults.work",
            "payload": {"seconds": 0.05},
            "payload_expressions": computed,
        },
    }


def diamond() -> dict[str, Any]:
    body = definition([work("x", item="item")])
    return definition(
        [
            work("a"),
            work("b"),
            {"id": "m", "parallel": {"map": {"items": "[1, 2]", "graph": body}}},
            work("d", first="nodes.m.result[0].attempt"),
        ],
        [edge("a", "b"), edge("a", "m"), edge("b", "d"), edge("m", "d")],
        name="diamond",
    )


async def run_all(story: Story, count: int, break_something: Callable[[Story], Awaitable[None]]) -> None:
    """Start so many executions, break something in the middle of them, and judge their ends."""
    cluster, tenant = story.cluster, story.load.tenant
    async with (
        grpc.aio.insecure_channel(f"{LOOPBACK}:{cluster.grpc_port}") as channel,
        cluster.supervised("worker"),
    ):
        client = WorkflowClient(channel, tenant)
        workflow_id = await client.create(diamond())
        starts = asyncio.gather(*(client.start(workflow_id, f"e{number}") for number in range(count)))
        await story.until_begun(count, PATIENCE)
        await break_something(story)
        await starts
        async with cluster.sql() as connection:
            ended = await read_ended(connection, tenant, PATIENCE)
    assert len(ended) == count
    for execution in ended.values():
        assert list(execution.problems()) == []
        assert execution.row["status"] == "SUCCEEDED", execution.row["error"]
        assert list(execution.statuses.values()) == ["SUCCEEDED"] * RUNS_EACH
        assert Counter(task["status"] for task in execution.tasks) == {"SUCCEEDED": TASKS_EACH}
        assert set(json.loads(execution.row["output"])) == {"d"}


async def test_workers_and_the_server_are_killed_in_the_middle_of_five_hundred_executions(story: Story):
    async def kill(story: Story) -> None:
        for _ in range(2):
            (await story.busy_worker(100, PATIENCE)).kill()
            story.cluster.server.kill()
            await asyncio.to_thread(story.cluster.start_server)

    await run_all(story, 500, kill)


async def test_the_server_and_all_workers_are_killed_at_once_while_executions_start(story: Story):
    async def kill_all(story: Story) -> None:
        for process in (story.cluster.server, *story.cluster.workers):
            process.kill()
        await asyncio.to_thread(story.cluster.start_server)

    await run_all(story, 100, kill_all)


async def test_postgresql_restarts_in_the_middle_of_executions(story: Story):
    async def restart(story: Story) -> None:
        await asyncio.to_thread(story.cluster.restart_postgres_immediately)

    await run_all(story, 100, restart)
