"""Wall clocks an hour fast or slow, and clocks that jump, decide nothing: only the database's does."""

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.faults import executions
from support.faults.clocks import HOUR, WHY_NOT, WrongClock, working_library
from support.faults.cluster import LEASE, Cluster, Kind
from support.faults.fires import EachSecond
from support.faults.processes import Process
from support.faults.story import LANES, Story
from support.http_site import Request, response, running_site
from support.waiting import until
from support.webhooks import verified
from taskflow_proto.v1 import webhook_pb2, webhook_service_pb2
from taskflow_proto.v1.webhook_service_pb2_grpc import WebhookServiceStub

if TYPE_CHECKING:
    from taskflow_proto.v1.webhook_service_pb2_grpc import WebhookServiceAsyncStub

# What a busy machine may take to start something in time; an hour is not far from a day to it.
SOON = 15.0
# Every time that is kept of the tasks of a tenant, but for those that the caller chose.
TIMES = """
SELECT member.key, member.value::timestamptz FROM (
  SELECT to_jsonb(t) - 'expire_at' FROM tasks t WHERE tenant_id = $1
  UNION ALL SELECT to_jsonb(a) FROM task_attempts a WHERE tenant_id = $1
  UNION ALL SELECT to_jsonb(e) FROM task_events e WHERE tenant_id = $1
) AS kept (content) CROSS JOIN jsonb_each_text(content) AS member
WHERE member.key LIKE '%\\_at' AND member.value IS NOT NULL
"""

Start = Callable[[Kind, int], tuple[Process, WrongClock]]


@pytest.fixture
def library(cluster: Cluster) -> Path:
    found = working_library(cluster.folder)
    if found is None:
        pytest.skip(WHY_NOT)
    return found


@pytest.fixture
def start(cluster: Cluster, library: Path) -> Iterator[Start]:
    """Starts a process whose clock is so many seconds fast; all of them are killed after the test."""
    started: list[Process] = []

    def start_one(kind: Kind, seconds: int) -> tuple[Process, WrongClock]:
        clock = WrongClock(cluster.folder / f"{kind}-{len(started)}.clock", library, seconds)
        process = cluster.start_by_clock(kind, clock)
        started.append(process)
        return process, clock

    yield start_one
    for process in started:
        process.kill()


def stop(*processes: Process) -> None:
    for process in processes:
        process.kill()


async def test_schedulers_whose_clocks_are_wrong_and_jump_fire_each_time_once_and_in_time(
    story: Story, start: Start
):
    stop(story.cluster.scheduler)
    start("scheduler", HOUR)
    start("scheduler", -HOUR)
    _, jumping = start("scheduler", 0)
    schedules = await EachSecond.create(story, 40, 10)
    while datetime.now(UTC) < schedules.end:
        await asyncio.sleep(story.rng.uniform(0.2, 0.8))
        jumping.set(story.rng.choice([-HOUR, 0, HOUR]))
    await schedules.until_over(SOON)
    await schedules.judge()
    least, most = await schedules.lateness()
    assert timedelta() <= least
    assert most < timedelta(seconds=SOON)


async def test_a_scheduler_whose_clock_is_set_back_goes_on_sweeping(story: Story, start: Start):
    """Nothing but the sweep brings back what Redis has forgotten."""
    stop(story.cluster.scheduler)
    _, clock = start("scheduler", HOUR)
    slowly = {"initial_backoff": timedelta(seconds=5), "jitter": "NONE"}
    await story.load.submit_many(10, failures=1, task={"retry_policy": slowly})
    async with story.cluster.redis() as client:

        async def are_waiting() -> bool:
            hints = [hint for lane in LANES for hint in await client.zrange(lane, 0, -1)]
            return len([hint for hint in hints if hint.endswith(b":1")]) == 10

        await until(are_waiting, SOON, "all have failed once, and wait")
        clock.set(-HOUR)
        await client.flushall()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 10}


async def test_tasks_keep_their_times_where_every_clock_is_wrong(story: Story, start: Start):
    cluster, load = story.cluster, story.load
    stop(*cluster.workers, cluster.scheduler, cluster.server)
    start("server", HOUR)
    start("scheduler", -HOUR)
    fast, _ = start("worker", HOUR)
    slow, _ = start("worker", -HOUR)
    third, jumping = start("worker", 0)
    began, since_boot = datetime.now(UTC), time.monotonic()

    plain = await load.submit_many(30)
    two_seconds = {"initial_backoff": timedelta(seconds=2), "jitter": "NONE"}
    retried = await load.submit_many(12, failures=1, task={"retry_policy": two_seconds})
    later = began + timedelta(seconds=5)
    deferred = await load.submit_many(12, task={"schedule_time": later})
    overdue = await load.submit_many(6, seconds=600, task={"expire_time": later})
    in_time = await load.submit_many(6, task={"expire_time": began + timedelta(minutes=30)})
    once = {"attempt_timeout": timedelta(seconds=2), "retry_policy": {"max_attempts": 1}}
    timed_out = await load.submit_many(6, seconds=600, task=once)
    jumping.set(-HOUR)
    lost = await load.submit_many(24, seconds=2)
    busy: list[Process] = []

    def find_busy() -> bool:
        busy[:] = [one for one in (fast, slow, third) if not begun_by(story, one).isdisjoint(lost)]
        return bool(busy)

    await until(find_busy, SOON, "one of them works on these")
    victim = busy[0]
    victim.kill()
    jumping.set(HOUR)
    history = await story.judge()

    status = {task_id: task["status"] for task_id, task in history.tasks.items()}
    assert {status[one] for one in (*plain, *retried, *deferred, *in_time, *lost)} == {"SUCCEEDED"}
    assert {status[one] for one in overdue} == {"CANCELLED"}
    assert {status[one] for one in timed_out} == {"FAILED"}
    for one in deferred:
        [first, *_] = [e for e in history.executions if e.task_id == one and e.step == "begin"]
        assert 0 <= first.at - since_boot - (later - began).total_seconds() < SOON
    for one in overdue:
        assert timedelta() <= history.tasks[one]["finished_at"] - later < timedelta(seconds=SOON)
    for one in retried:
        assert 2 <= history.longest_gap(one) < LEASE + SOON
    for one in timed_out:
        [*_, attempt] = history.attempts[one]
        assert 2 <= (attempt["ended_at"] - attempt["started_at"]).total_seconds() < SOON
    for one in lost:
        assert history.longest_gap(one) < LEASE + SOON
    # None lost its session but the one that was killed.
    everything = [attempt for attempts in history.attempts.values() for attempt in attempts]
    assert len({attempt["session_id"] for attempt in everything if attempt["outcome"] == "LOST"}) == 1
    async with cluster.sql() as connection:
        for name, at in await connection.fetch(TIMES, load.tenant):
            assert began <= at < datetime.now(UTC), name


def begun_by(story: Story, worker: Process) -> set[str]:
    """The tasks that a worker began."""
    log = executions.read(story.cluster.executions, story.load.tenant)
    return {e.task_id for e in log if e.pid == worker.pid and e.step == "begin"}


async def test_webhooks_of_a_worker_whose_clock_is_wrong_are_signed_and_retried_in_time(
    story: Story, start: Start
):
    """Receivers refuse what is more than five minutes old or young."""
    cluster, load = story.cluster, story.load
    stop(*cluster.workers)
    start("worker", HOUR)
    async with running_site() as site:

        def answer(_: Request) -> bytes:
            if len(site.requests) > 1:
                return response(b"")
            again_at = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
            return response(b"", "503 Busy", f"Retry-After: {again_at}")

        site.answer = answer
        webhook = webhook_pb2.Webhook(url=site.url(), event_types=["task.created"])
        webhook.retry_policy.initial_backoff.FromSeconds(1)
        stub: WebhookServiceAsyncStub = WebhookServiceStub(load.channel)
        created = await stub.CreateWebhook(
            webhook_service_pb2.CreateWebhookRequest(webhook=webhook),
            metadata=(("x-tenant-id", load.tenant),),
        )
        task_id = await load.submit()
        await until(lambda: len(site.requests) == 2, SOON, "it is told, and told again")
        for request in site.requests:
            assert verified(created.secret, request)["data"]["task"]["id"] == task_id
    await story.judge()


@pytest.mark.parametrize("seconds", [HOUR, -HOUR], ids=["fast", "slow"])
async def test_a_wrong_clock_of_redis_delays_nothing(story: Story, library: Path, seconds: int):
    cluster, load = story.cluster, story.load
    cluster.stop_valkey()
    cluster.start_valkey(WrongClock(cluster.folder / "valkey.clock", library, seconds))
    try:
        began, since_boot = datetime.now(UTC), time.monotonic()
        later = began + timedelta(seconds=4)
        deferred = await load.submit_many(10, task={"schedule_time": later})
        slowly = {"initial_backoff": timedelta(seconds=2), "jitter": "NONE"}
        retried = await load.submit_many(10, failures=1, task={"retry_policy": slowly})
        await load.submit_many(20)
        history = await story.judge()
        assert history.statuses == {"SUCCEEDED": 40}
        for one in deferred:
            [first, *_] = [e for e in history.executions if e.task_id == one and e.step == "begin"]
            assert 0 <= first.at - since_boot - (later - began).total_seconds() < SOON
        for one in retried:
            assert 2 <= history.longest_gap(one) < SOON
    finally:
        cluster.stop_valkey()
