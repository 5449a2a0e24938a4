"""Who watches misses nothing and hears nothing twice, whatever fails on the way."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc.aio
import pytest

from support.faults.cluster import Cluster
from support.faults.story import Story
from taskflow_client import Event, Finished, Snapshot, Task, TaskFlow, Update
from taskflow_proto.v1.task_pb2 import TaskEvent
from taskflow_proto.v1.task_service_pb2 import WatchTasksRequest
from taskflow_proto.v1.task_service_pb2_grpc import TaskServiceStub

Break = Callable[[Cluster], Awaitable[None]]
STEPS = 30
# What is broken falls into the middle of the run.
STEPPING: dict[str, Any] = {"task_type": "faults.steps", "steps": STEPS, "seconds": 0.05}


async def wipe_redis(cluster: Cluster) -> None:
    async with cluster.redis() as client:
        await client.flushall()


async def restart_redis(cluster: Cluster) -> None:
    cluster.stop_valkey()
    await asyncio.to_thread(cluster.start_valkey)


async def cut_off_redis(cluster: Cluster) -> None:
    """Rings are lost until somebody heals the line: nobody does."""
    cluster.redis_of_server.refuse()


async def restart_server(cluster: Cluster) -> None:
    cluster.server.kill()
    await asyncio.to_thread(cluster.start_server)


async def restart_database(cluster: Cluster) -> None:
    await asyncio.to_thread(cluster.restart_postgres_immediately)


BREAKS = [wipe_redis, restart_redis, cut_off_redis, restart_server, restart_database]
breaks = pytest.mark.parametrize("break_it", BREAKS, ids=lambda function: function.__name__)


@breaks
async def test_a_watch_of_a_task_goes_on_to_its_end_when(story: Story, break_it: Break):
    task = await story.load.submit(**STEPPING)
    updates: list[Update] = []
    async with (
        TaskFlow(f"127.0.0.1:{story.cluster.grpc_port}", tenant=story.load.tenant) as client,
        aclosing(client.watch(task)) as watch,
    ):
        async for update in watch:
            updates.append(update)
            if len(updates) == 8:
                await break_it(story.cluster)
    first, *events, last = updates
    assert isinstance(first, Snapshot)
    assert isinstance(last, Finished)
    assert last.task.status == Task.SUCCEEDED
    numbers = [update.event.sequence for update in events if isinstance(update, Event)]
    assert numbers == list(range(first.task.last_sequence + 1, last.task.last_sequence + 1))
    story.cluster.heal()
    await story.judge()


async def all_events(story: Story) -> AsyncGenerator[tuple[TaskEvent, str], None]:
    """The events of all tasks of the story, over any number of connections, with where a watch goes on."""
    token = ""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{story.cluster.grpc_port}") as channel:
        while True:
            stream: Any = TaskServiceStub(channel).WatchTasks(
                WatchTasksRequest(resume_token=token), metadata=(("x-tenant-id", story.load.tenant),)
            )
            resumed = bool(token)
            try:
                async for message in stream:
                    assert not (resumed and message.HasField("snapshot_end")), "it started anew"
                    token = message.resume_token
                    if message.HasField("event"):
                        yield message.event, token
            except grpc.aio.AioRpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error  # noqa: PT017 - others are none of this test
            await asyncio.sleep(0.05)


@breaks
async def test_a_watch_of_all_tasks_misses_none_when(story: Story, break_it: Break):
    found: list[TaskEvent] = []
    is_broken = False
    ended: set[str] = set()
    tasks: list[str] = []
    async with aclosing(all_events(story)) as events:
        tasks += await story.load.submit_many(5, **STEPPING)
        async with asyncio.timeout(60):
            async for event, token in events:
                found.append(event)
                # Without a token the watch would start anew, and its snapshots stand for what happened meanwhile.
                if len(found) >= 20 and token and not is_broken:
                    is_broken = True
                    await break_it(story.cluster)
                if event.status == Task.SUCCEEDED:
                    ended.add(event.task_id)
                if len(ended) == len(tasks):
                    break
    assert is_broken
    for task in tasks:
        numbers = [event.sequence for event in found if event.task_id == task]
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), task
        assert numbers[-1] == STEPS + 3
    story.cluster.heal()
    await story.judge()
