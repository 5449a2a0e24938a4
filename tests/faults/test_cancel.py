"""A cancellation that meets a task at any moment leaves one end, and never two."""

import asyncio
import time

from google.protobuf.timestamp_pb2 import Timestamp

from support.faults.story import Story
from support.waiting import until
from taskflow_proto.v1.retry_policy_pb2 import RetryPolicy

FINAL = {"SUCCEEDED", "CANCELLED"}


async def test_at_the_instant_of_the_claim(story: Story):
    async def submit_and_cancel() -> None:
        task = await story.load.submit(seconds=0.02)
        await asyncio.sleep(story.rng.uniform(0, 0.03))
        await story.load.cancel(task)

    for _ in range(10):
        await asyncio.gather(*(submit_and_cancel() for _ in range(20)))
    history = await story.judge()
    assert set(history.statuses) <= FINAL
    assert history.failures == 0


async def test_while_it_waits_for_its_time_or_for_its_next_attempt(story: Story):
    later = Timestamp(seconds=int(time.time()) + 120)
    waiting = [await story.load.submit(task={"schedule_time": later}) for _ in range(5)]
    slow = RetryPolicy(jitter=RetryPolicy.NONE)
    slow.initial_backoff.FromSeconds(120)
    failed = [await story.load.submit(failures=1, task={"retry_policy": slow}) for _ in range(5)]
    await until(lambda: story.count("end") == 5, 45, "five fail")
    for task in waiting + failed:
        await story.load.cancel(task)
    history = await story.judge()
    assert history.statuses == {"CANCELLED": 10}


async def test_while_it_runs(story: Story):
    tasks = await story.load.submit_many(20, seconds=30)
    await story.until_begun(20)
    begun = time.monotonic()
    await asyncio.gather(*map(story.load.cancel, tasks))
    history = await story.judge()
    assert history.statuses == {"CANCELLED": 20}
    assert max(e.at for e in history.executions if e.step == "stopped") - begun < 10


async def test_while_it_runs_on_a_worker_that_is_killed(story: Story):
    tasks = await story.load.submit_many(10, seconds=30)
    await story.until_begun(10)
    story.cluster.redis_of_workers.go_silent()
    for worker in story.cluster.workers:
        worker.kill()
    await asyncio.gather(*map(story.load.cancel, tasks))
    story.cluster.heal()
    history = await story.judge()
    assert history.statuses == {"CANCELLED": 10}
