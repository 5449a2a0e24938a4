"""Redis may be wiped, be away, cut lines and hold rubbish: it carries hints, and PostgreSQL has the tasks."""

import asyncio

from google.protobuf.duration_pb2 import Duration
from redis.asyncio import Redis

from support.faults.cluster import LEASE
from support.faults.story import Story
from support.waiting import until
from taskflow_proto.v1.retry_policy_pb2 import RetryPolicy

LANE = "taskflow:default:normal"
QUICK_RETRY = RetryPolicy(initial_backoff=Duration(nanos=1_000_000), max_backoff=Duration(nanos=1_000_000))


async def test_redis_is_wiped_at_rest(story: Story):
    for worker in story.cluster.workers:
        worker.kill()
    await story.load.submit_many(50)
    async with story.cluster.redis() as client:
        await until(lambda: _holds(client, 50), 45, "all hints are there")
        await client.flushall()
    story.cluster.heal()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 50}


async def test_redis_is_wiped_under_load(story: Story):
    async with story.cluster.redis() as client, story.load.under_way(seconds=0.05):
        for _ in range(10):
            await asyncio.sleep(story.rng.uniform(0, 0.2))
            await client.flushall()
    history = await story.judge()
    assert set(history.statuses) == {"SUCCEEDED"}
    assert (history.crashes, history.failures) == (0, 0)


async def test_tasks_are_accepted_while_redis_is_away_and_run_after_it(story: Story):
    story.cluster.stop_valkey()
    away_until = asyncio.get_running_loop().time() + 4
    await story.load.submit_many(50, patience=0)
    await asyncio.sleep(away_until - asyncio.get_running_loop().time())
    story.cluster.start_valkey()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 50}
    assert (history.crashes, history.failures) == (0, 0)


async def test_redis_cuts_all_lines_again_and_again(story: Story):
    workers = story.cluster.workers
    async with story.cluster.redis() as client, story.load.under_way(seconds=0.01):
        for _ in range(30):
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.sleep(0.05)
    history = await story.judge()
    assert set(history.statuses) == {"SUCCEEDED"}
    assert (history.crashes, history.failures) == (0, 0)
    assert story.cluster.workers == workers


async def test_redis_goes_silent_and_speaks_again(story: Story):
    story.cluster.redis_of_workers.go_silent()
    await story.load.submit_many(20)
    await asyncio.sleep(LEASE)
    story.cluster.redis_of_workers.speak()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 20}
    assert (history.crashes, history.failures) == (0, 0)


async def test_hints_that_come_many_times_or_from_the_past_run_nothing_twice(story: Story):
    tasks = await story.load.submit_many(20, failures=1, task={"retry_policy": QUICK_RETRY})
    async with story.cluster.redis() as client:
        for _ in range(10):
            for attempt in (0, 1, 2, 7):
                await client.zadd(LANE, {f"{task}:{attempt}": 0 for task in tasks})
            await asyncio.sleep(story.rng.uniform(0, 0.1))
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 20}
    assert all(history.runs(task) == [1, 2] for task in tasks)


async def test_rubbish_in_the_keys_of_jobs_harms_nothing(story: Story):
    for worker in story.cluster.workers:
        worker.kill()
    tasks = await story.load.submit_many(10)
    async with story.cluster.redis() as client:
        await until(lambda: _holds(client, 10), 45, "all hints are there")
        for task in tasks:
            await client.set(f"arq:job:{task}:0", b"\x80\x04cos\nsystem\n\xff\x00 not a job", ex=60)
        for rubbish in (
            b"\xff\xfe\x00",
            b"",
            f"{tasks[0]}:no-number".encode(),
            f"{tasks[0]}:99999999999".encode(),
        ):
            await client.zadd(LANE, {rubbish: 0})
    story.cluster.heal()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 10}


async def _holds(client: Redis, count: int) -> bool:
    return bool(await client.zcard(LANE) >= count)
