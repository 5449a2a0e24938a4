"""What urgent and short tasks notice of all the others."""

import asyncio
import json

import grpc.aio

from measure import latency, new_task, submit_batches
from running import ALL_LANES, Measured
from taskflow_proto.v1 import task_service_pb2_grpc


async def critical_beside_low(stack: Measured, backlog: int) -> dict[str, float]:
    """CRITICAL tasks at 50/s on a worker of their own: alone, and while LOW ones fill every slot of another."""
    alone = await latency(stack, 50, 500, "CRITICAL")
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        request = new_task("sleep", "LOW", payload=json.dumps({"seconds": 0.25}))
        await submit_batches(stub, backlog, request)
    beside = await latency(stack, 50, 500, "CRITICAL")
    return {
        "alone p50 ms": alone["p50 ms"],
        "alone p99 ms": alone["p99 ms"],
        "beside LOW p50 ms": beside["p50 ms"],
        "beside LOW p99 ms": beside["p99 ms"],
    }


async def short_beside_long(stack: Measured, long_tasks: int) -> dict[str, float]:
    """Short tasks at 50/s, while one worker's slots are full of long ones and another's are free."""
    async with grpc.aio.insecure_channel(stack.grpc) as channel:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        request = new_task("sleep", payload=json.dumps({"seconds": 20}))
        await asyncio.gather(*(stub.CreateTask(request) for _ in range(long_tasks)))
    await asyncio.to_thread(stack.start_worker, ALL_LANES)
    return await latency(stack, 50, 250)
