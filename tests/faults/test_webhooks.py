"""What workers were sending when they were killed is sent again under its id; what receivers do delays no others."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import grpc
import pytest

from support.faults.story import Story
from support.http_site import Request, Site, response, running_site
from support.waiting import until
from support.webhooks import event_in
from taskflow_proto.v1 import (
    task_pb2,
    task_service_pb2,
    task_service_pb2_grpc,
    webhook_pb2,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)

# Requests that a webhook here gets at once.
CONCURRENCY = 20


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
    """Takes away what would go on being sent, the tasks that nobody runs, and their hints, which others would find."""
    yield
    async with calling(story) as (channel, metadata), story.cluster.redis() as client:
        webhooks = webhook_service_pb2_grpc.WebhookServiceStub(channel)
        listed = await webhooks.ListWebhooks(webhook_service_pb2.ListWebhooksRequest(), metadata=metadata)
        for webhook in listed.webhooks:
            deletion = webhook_service_pb2.DeleteWebhookRequest(webhook_id=webhook.id)
            await webhooks.DeleteWebhook(deletion, metadata=metadata)
        tasks = task_service_pb2_grpc.TaskServiceStub(channel)
        request = task_service_pb2.BatchCancelTasksRequest(filter='queue = "nobody"')
        await tasks.BatchCancelTasks(request, metadata=metadata)
        await client.flushdb()


async def subscribe(story: Story, *urls: str, seconds: int = 2, **headers: str) -> list[str]:
    """Tell these of every task that is created, and return the secrets; a request may take so many seconds."""
    secrets = []
    async with calling(story) as (channel, metadata):
        stub = webhook_service_pb2_grpc.WebhookServiceStub(channel)
        for url in urls:
            webhook = webhook_pb2.Webhook(
                url=url, event_types=["task.created"], max_concurrency=CONCURRENCY, headers=headers
            )
            webhook.request_timeout.FromSeconds(seconds)
            request = webhook_service_pb2.CreateWebhookRequest(webhook=webhook)
            secrets.append((await stub.CreateWebhook(request, metadata=metadata)).secret)
    return secrets


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


async def test_receivers_that_hang_delay_no_task(story: Story, site: Site):
    site.answer = lambda _: asyncio.sleep(120, b"")
    for _ in range(20):
        # As many requests as the two workers send at once.
        await subscribe(story, site.url(), seconds=60)
    for _ in range(100):
        await story.load.submit()
    await until(lambda: len(site.requests) == 400, 50, "the workers can send no more")
    for _ in range(100):
        await story.load.submit()
    history = await story.judge(within=30)
    assert history.statuses == {"SUCCEEDED": 200}
    assert len(site.requests) == 400, "and all of them still hang"


@pytest.mark.timeout(180)
async def test_one_dead_receiver_among_ten_delays_none_of_the_nine(story: Story, site: Site):
    timeout, events_each = 60, 1000
    site.keeps_open = True
    site.answer = lambda _: b"HTTP/1.1 204 No Content\r\n\r\n"
    async with running_site() as dead:
        dead.answer = lambda _: asyncio.sleep(5 * timeout, b"")
        await subscribe(story, dead.url(), seconds=timeout)
        await subscribe(story, *(site.url(f"/{number}") for number in range(9)))
        wanted = await create(story, events_each)
        # More than all workers send at once: what the nine had is free for them again, while the dead one hangs.
        await until(lambda: len(site.requests) >= events_each, timeout, "the nine get theirs")
        assert len(dead.requests) == CONCURRENCY
        # The events of the dead one take 50 times as long, also if nothing else is to do.
        # What takes longer than its lease, on a busy machine, is sent again under its id.
        await until(
            lambda: len(deliveries_in(site.requests)) >= 9 * events_each, 2 * timeout, "the nine have theirs"
        )
        hanging = dead.requests.copy()
    assert Counter(target for target, _ in deliveries_in(site.requests)) == {
        f"/{number}": events_each for number in range(9)
    }
    assert len({request.headers["webhook-id"] for request in site.requests}) == 9 * events_each
    for target in {request.target for request in site.requests}:
        assert told_of([request for request in site.requests if request.target == target]) == wanted
    # It had as many requests as it may have, and in their second minute, if it came to that, as many once more.
    assert CONCURRENCY <= len(hanging) <= 2 * CONCURRENCY


async def test_no_secret_stands_in_the_log_of_any_process(story: Story, site: Site):
    answers = iter([response(b"", "500 No"), b"no HTTP", b"", response(b"hunter2", "410 Gone")])
    site.answer = lambda _: next(answers, b"")
    (secret,) = await subscribe(story, site.url(), authorization="Bearer hunter2")
    await create(story, 4)
    count = "SELECT count(*) FROM webhook_attempts JOIN webhooks w ON w.id = webhook_id WHERE tenant_id = $1"
    async with story.cluster.sql() as connection:

        async def have_failed() -> bool:
            return bool(await connection.fetchval(count, story.load.tenant) >= 4)

        await until(have_failed, 20, "every attempt has failed in its own way")
    with pytest.raises(grpc.aio.AioRpcError):
        await subscribe(story, "https://user:hunter2@example.com/")
    logs = list(story.cluster.folder.glob("*.log"))
    assert {log.stem.partition("-")[0] for log in logs} >= {"server", "worker", "scheduler"}
    for log in logs:
        text = log.read_text()
        assert "hunter2" not in text
        assert secret.removeprefix("whsec_") not in text
