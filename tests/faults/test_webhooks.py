"""What workers were sending when they were killed is sent again under its id; what receivers do delays no others."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

from support.faults.cluster import until
from support.faults.story import Story
from support.http_site import Request, Site, response, running_site
from support.webhooks import event_in
from taskflow_proto.v1 import (
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
    webhook_pb2,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)

Answer = Callable[[Request], Awaitable[bytes]]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


@contextlib.asynccontextmanager
async def calling(story: Story) -> AsyncIterator[tuple[grpc.aio.Channel, tuple[tuple[str, str], ...]]]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{story.cluster.grpc_port}") as channel:
        yield channel, (("x-tenant-id", story.load.tenant),)


@pytest.fixture(autouse=True)
async def nothing_left(story: Story) -> AsyncIterator[None]:
    """Takes away the tasks that nobody runs, and their hints, which other tests would find in Redis."""
    yield
    async with calling(story) as (channel, metadata), story.cluster.redis() as client:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        request = task_service_pb2.BatchCancelTasksRequest(filter='queue = "nobody"')
        await stub.BatchCancelTasks(request, metadata=metadata)
        await client.flushdb()


async def subscribe(story: Story, *urls: str) -> None:
    """Tell these of every task that is created."""
    async with calling(story) as (channel, metadata):
        stub = webhook_service_pb2_grpc.WebhookServiceStub(channel)
        for url in urls:
            webhook = webhook_pb2.Webhook(url=url, event_types=["task.created"], max_concurrency=20)
            webhook.request_timeout.FromSeconds(2)
            request = webhook_service_pb2.CreateWebhookRequest(webhook=webhook)
            await stub.CreateWebhook(request, metadata=metadata)


async def create(story: Story, count: int) -> set[str]:
    """Submit tasks that nobody runs, and return their ids."""
    task = task_pb2.Task(task_type="echo", queue="nobody", payload_json="{}")
    one = task_service_pb2.CreateTaskRequest(task=task)
    ids: set[str] = set()
    async with calling(story) as (channel, metadata):
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        for start in range(0, count, 1000):
            request = task_service_pb2.BatchCreateTasksRequest(requests=[one] * min(1000, count - start))
            answer = await stub.BatchCreateTasks(request, metadata=metadata)
            ids |= {task.id for task in answer.tasks}
    return ids


def told_of(requests: list[Request]) -> set[str]:
    return {event_in(request)["data"]["task"]["id"] for request in requests}


def deliveries_in(requests: list[Request]) -> set[tuple[str, str]]:
    """The deliveries that were sent, once or more often: where to, and their ids."""
    return {(request.target, request.headers["webhook-id"]) for request in requests}


async def test_what_a_killed_worker_was_sending_is_sent_again_under_its_id(story: Story, site: Site):
    hanging = asyncio.Event()

    async def hang(_: Request) -> bytes:
        await hanging.wait()
        return response(b"")

    site.answer = hang
    await subscribe(story, site.url())
    wanted = await create(story, 10)
    await until(lambda: len(site.requests) == 10, 45, "all are being sent")
    for worker in story.cluster.workers:
        worker.kill()
    hanging.set()
    story.cluster.start_worker()
    await until(lambda: len(site.requests) >= 20, 45, "all are sent again")
    ids = Counter(request.headers["webhook-id"] for request in site.requests)
    assert len(ids) == 10
    assert min(ids.values()) >= 2
    assert told_of(site.requests) == wanted


async def test_one_dead_receiver_among_ten_delays_none_of_the_nine(story: Story, site: Site):
    async with running_site() as dead:

        async def hang(_: Request) -> bytes:
            await asyncio.sleep(60)
            return b""

        dead.answer = hang
        await subscribe(story, dead.url(), *(site.url(f"/{number}") for number in range(9)))
        wanted = await create(story, 200)
        # What takes longer than its lease, on a busy machine, is sent again under its id.
        await until(lambda: len(deliveries_in(site.requests)) == 1800, 60, "the nine have theirs")
    by_target = Counter(target for target, _ in deliveries_in(site.requests))
    assert by_target == {f"/{number}": 200 for number in range(9)}
    assert all(
        told_of([request for request in site.requests if request.target == target]) == wanted
        for target in by_target
    )
