"""Executions come to their one right end, whatever is killed in the middle of them."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf import json_format

from support.executions import definition, edge
from support.faults.cluster import Cluster, until
from support.faults.load import AGAIN
from support.faults.story import Story
from taskflow_dev.ports import LOOPBACK
from taskflow_proto.v1 import workflow_pb2, workflow_service_pb2
from taskflow_proto.v1.workflow_service_pb2_grpc import WorkflowServiceStub

COUNT = 200
# A diamond whose one side is a map of three items of two nodes each.
TASKS_EACH = 3 + 3 * 2
RUNS_EACH = 4 + 3 * 2

RIGHT = """
SELECT e.id, e.status, e.error, e.open_runs, e.output,
  (SELECT count(*) FROM node_runs n WHERE n.execution_id = e.id AND n.status = 'SUCCEEDED') AS runs,
  (SELECT count(*) FROM tasks t WHERE t.execution_id = e.id AND t.status = 'SUCCEEDED') AS tasks,
  (SELECT array_agg(v.sequence ORDER BY v.sequence) FROM execution_events v WHERE v.execution_id = e.id) AS sequences,
  (SELECT count(*) FROM execution_events v WHERE v.execution_id = e.id AND v.kind = 'NODE_STARTED') AS started,
  (SELECT count(*) FROM execution_events v WHERE v.execution_id = e.id AND v.kind = 'SUCCEEDED') AS ends
FROM workflow_executions e WHERE e.tenant_id = $1
"""
OPEN = "SELECT count(*) FROM workflow_executions WHERE tenant_id = $1 AND finished_at IS NULL"


def work(node_id: str, **computed: str) -> dict[str, Any]:
    return {
        "id": node_id,
        "task": {
            "task_type": "faults.work",
            "payload": {"seconds": 0.05},
            "payload_expressions": computed,
        },
    }


def workflow() -> workflow_pb2.Workflow:
    body = definition([work("x", item="item"), work("y")], [edge("x", "y")])
    content = definition(
        [
            work("a"),
            work("b"),
            {"id": "m", "parallel": {"map": {"items": "[1, 2, 3]", "graph": body}}},
            work("d", first="nodes.m.result[0].attempt"),
        ],
        [edge("a", "b"), edge("a", "m"), edge("b", "d"), edge("m", "d")],
        name="diamond",
    )
    message = workflow_pb2.Workflow()
    json_format.ParseDict(content, message)
    return message


class Client:
    """Starts executions as a careful client does: again and again, with one request id, until it is told."""

    def __init__(self, channel: grpc.aio.Channel, tenant: str) -> None:
        self._stub = WorkflowServiceStub(channel)
        self._metadata = (("x-tenant-id", tenant),)

    async def create(self) -> str:
        request = workflow_service_pb2.CreateWorkflowRequest(workflow=workflow())
        answer = await self._stub.CreateWorkflow(request, metadata=self._metadata, timeout=20)
        return str(answer.id)

    async def start(self, workflow_id: str, number: int) -> None:
        request = workflow_service_pb2.StartExecutionRequest(workflow_id=workflow_id, request_id=f"e{number}")
        clock = asyncio.get_running_loop().time
        end = clock() + 60
        while True:
            try:
                await self._stub.StartExecution(request, metadata=self._metadata, timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN or clock() > end:
                    raise
                await asyncio.sleep(0.05)
            else:
                return


async def run_all(story: Story, break_something: Callable[[Cluster], Any]) -> None:
    """Start COUNT executions, break something in the middle of them, and judge their ends."""
    cluster, tenant = story.cluster, story.load.tenant
    async with (
        grpc.aio.insecure_channel(f"{LOOPBACK}:{cluster.grpc_port}") as channel,
        cluster.supervised("worker"),
        cluster.sql() as connection,
    ):
        client = Client(channel, tenant)
        workflow_id = await client.create()
        starts = asyncio.gather(*(client.start(workflow_id, number) for number in range(COUNT)))
        await story.until_begun(COUNT)
        await break_something(cluster)
        await starts

        async def all_ended() -> bool:
            return not await connection.fetchval(OPEN, tenant)

        await until(all_ended, 90, "all executions end")
        rows = await connection.fetch(RIGHT, tenant)
    assert len(rows) == COUNT
    for row in rows:
        assert row["status"] == "SUCCEEDED", row["error"]
        assert (row["open_runs"], row["runs"], row["tasks"]) == (0, RUNS_EACH, TASKS_EACH)
        assert (row["started"], row["ends"]) == (RUNS_EACH, 1)
        assert row["sequences"] == list(range(1, len(row["sequences"]) + 1))
        assert set(json.loads(row["output"])) == {"d"}


async def test_workers_are_killed_in_the_middle_of_executions(story: Story):
    async def kill_workers(cluster: Cluster) -> None:
        for _ in range(2):
            await until(lambda: len(cluster.workers) == 2, 45, "the supervisor acts")
            story.rng.choice(cluster.workers).kill()
            await asyncio.sleep(1)

    await run_all(story, kill_workers)


async def test_the_server_and_a_worker_are_killed_while_executions_start(story: Story):
    async def kill_both(cluster: Cluster) -> None:
        cluster.server.kill()
        cluster.workers[0].kill()
        await asyncio.to_thread(cluster.start_server)

    await run_all(story, kill_both)


async def test_postgresql_restarts_in_the_middle_of_executions(story: Story):
    async def restart(cluster: Cluster) -> None:
        await asyncio.to_thread(cluster.restart_postgres_immediately)

    async with story.cluster.sql():
        pass
    await run_all_over_a_restart(story, restart)


async def run_all_over_a_restart(story: Story, restart: Callable[[Cluster], Any]) -> None:
    """As `run_all`, with a connection of the test's own that is made after PostgreSQL is back."""
    cluster, tenant = story.cluster, story.load.tenant
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{cluster.grpc_port}") as channel:
        client = Client(channel, tenant)
        workflow_id = await client.create()
        starts = asyncio.gather(*(client.start(workflow_id, number) for number in range(COUNT)))
        await story.until_begun(COUNT)
        await restart(cluster)
        await starts
    async with cluster.sql() as connection:

        async def all_ended() -> bool:
            return not await connection.fetchval(OPEN, tenant)

        await until(all_ended, 90, "all executions end")
        rows = await connection.fetch(RIGHT, tenant)
    assert [(row["status"], row["runs"], row["ends"]) for row in rows] == [
        ("SUCCEEDED", RUNS_EACH, 1)
    ] * COUNT
