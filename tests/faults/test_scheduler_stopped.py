"""A scheduler that is killed or frozen leaves the house to the others."""

import signal

from support.faults.story import Story
from support.waiting import until

LOCKED = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"


async def test_a_frozen_scheduler_keeps_no_other_from_sweeping(story: Story):
    """It is frozen while it holds the lock under which one sweeps at a time."""
    cluster, frozen = story.cluster, story.cluster.scheduler
    await story.load.submit_many(40, seconds=2)
    first = await story.busy_worker(5)
    async with cluster.sql() as connection:

        async def is_locked() -> bool:
            return bool(await connection.fetchval(LOCKED))

        async with connection.transaction():
            # The sweep that rescues these tasks waits for their rows, and we for the sweep.
            await connection.execute("SELECT FROM tasks WHERE status = 'RUNNING' FOR UPDATE")
            first.kill()
            await until(is_locked, 45, "a sweep is under way")
            frozen.signal(signal.SIGSTOP)
    cluster.start_scheduler()
    second = await story.busy_worker(1)
    second.kill()
    cluster.start_worker()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 40}
    frozen.kill()


async def test_the_scheduler_is_killed_while_tasks_wait_for_their_time(story: Story):
    cluster = story.cluster
    await story.load.submit_many(10, failures=1)
    await until(lambda: story.count("end") >= 10, 45, "all fail once")
    cluster.scheduler.kill()
    async with cluster.redis() as client:
        await client.flushall()
    cluster.start_scheduler()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 10}
    assert history.crashes == 0
