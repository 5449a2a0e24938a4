"""What executions of workflows cost: chains, the way over an edge, and a wide map."""

import asyncio
import json
import time
from typing import Any

import asyncpg
import grpc.aio
from google.protobuf import json_format

from running import Measured
from taskflow_proto.v1 import workflow_pb2, workflow_service_pb2
from taskflow_proto.v1.workflow_service_pb2_grpc import WorkflowServiceStub

# From the end of a node's task to the start of the next one's: what an edge adds.
EDGES = """
SELECT extract(epoch FROM after.started_at - before.finished_at) * 1000 AS ms
FROM tasks before JOIN tasks after ON after.execution_id = before.execution_id
WHERE before.node_id = $2 AND after.node_id = $3 AND before.execution_id = ANY($1::uuid[])
ORDER BY 1
"""
OPEN = "SELECT EXISTS (SELECT FROM workflow_executions WHERE finished_at IS NULL)"


async def chain_throughput(stack: Measured, count: int, callers: int = 32) -> dict[str, float]:
    """Start chains of 3 nodes from 32 callers; until the last execution has its output stored."""
    connection = await asyncpg.connect(stack.database_url)
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = WorkflowServiceStub(channel)
        workflow_id = await _create(stub, _chain("bench.chain"))
        calls = iter(range(count))

        async def start() -> None:
            for _ in calls:
                await stub.StartExecution(workflow_service_pb2.StartExecutionRequest(workflow_id=workflow_id))

        started = time.perf_counter()
        await asyncio.gather(*(start() for _ in range(callers)))
        submitted = time.perf_counter() - started
        while await connection.fetchval(OPEN):
            await asyncio.sleep(0.02)
        seconds = time.perf_counter() - started
    await connection.close()
    return {"started/s": count / submitted, "completed/s": count / seconds}


async def edge_latency(stack: Measured, rate: float, count: int) -> dict[str, float]:
    """From a node's end to its child's start, with chains started at a steady rate: milliseconds."""
    connection = await asyncpg.connect(stack.database_url)
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = WorkflowServiceStub(channel)
        workflow_id = await _create(stub, _chain("bench.latency"))

        async def one() -> str:
            request = workflow_service_pb2.StartExecutionRequest(workflow_id=workflow_id)
            execution = await stub.StartExecution(request)
            await stub.WaitExecution(workflow_service_pb2.WaitExecutionRequest(execution_id=execution.id))
            return str(execution.id)

        await asyncio.gather(*(one() for _ in range(20)))  # warm up
        begun = asyncio.get_running_loop().time()
        runs = []
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number / rate - asyncio.get_running_loop().time()))
            runs.append(asyncio.create_task(one()))
        executions = [await run for run in runs]
    rows = [row for pair in ("ab", "bc") for row in await connection.fetch(EDGES, executions, *pair)]
    await connection.close()
    waits = sorted(float(row["ms"]) for row in rows)
    return {"edge p50 ms": waits[len(waits) // 2], "edge p99 ms": waits[int(len(waits) * 0.99)]}


async def wide_map(stack: Measured, items: int) -> dict[str, float]:
    """One map over so many items, from its start to its end: seconds."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = WorkflowServiceStub(channel)
        body = {"nodes": [_node("x", item="item")]}
        parallel = {"map": {"items": "input.items", "graph": body}}
        workflow_id = await _create(stub, {"name": "bench.map", "nodes": [{"id": "m", "parallel": parallel}]})
        content = json.dumps({"items": list(range(items))})
        started = time.perf_counter()
        execution = await stub.StartExecution(
            workflow_service_pb2.StartExecutionRequest(
                workflow_id=workflow_id, execution=workflow_pb2.Execution(input_json=content)
            )
        )
        while execution.status == workflow_pb2.Execution.RUNNING:
            execution = await stub.WaitExecution(
                workflow_service_pb2.WaitExecutionRequest(execution_id=execution.id)
            )
        seconds = time.perf_counter() - started
    assert execution.status == workflow_pb2.Execution.SUCCEEDED, execution.error
    return {"map s": seconds, "items/s": items / seconds}


def _node(node_id: str, **computed: str) -> dict[str, Any]:
    return {"id": node_id, "task": {"task_type": "noop", "payload_expressions": computed}}


def _chain(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "nodes": [_node("a"), _node("b", before="nodes.a.status"), _node("c", before="nodes.b.status")],
        "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}],
    }


async def _create(stub: Any, content: dict[str, Any]) -> str:
    workflow = workflow_pb2.Workflow()
    json_format.ParseDict(content, workflow)
    created = await stub.CreateWorkflow(workflow_service_pb2.CreateWorkflowRequest(workflow=workflow))
    return str(created.id)
