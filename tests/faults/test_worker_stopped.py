"""Workers that are told to end, frozen, or cut off."""

import asyncio
import signal
from uuid import uuid4

from redis.asyncio import Redis

from support.faults.cluster import LEASE, ended
from support.faults.processes import Process
from support.faults.story import Story
from support.waiting import until

TERMS = 40


async def test_workers_told_to_end_at_any_instant_under_load_leave_nothing_behind(story: Story):
    """A worker gives back all that it holds: nothing waits for a lease, and nothing counts as a failure."""
    cluster = story.cluster
    cluster.heal(workers=4)

    async def end_one(victim: Process) -> None:
        await until(lambda: victim.is_ready, 45, "it is ready")
        await asyncio.sleep(story.rng.uniform(0, 0.1))
        victim.signal(signal.SIGTERM)
        assert await ended(victim, 10) == 0, victim.tail()

    async with cluster.supervised("worker", 4), story.load.under_way(pause=0.05, seconds=0.02):
        for _ in range(TERMS // 4):
            await until(lambda: len(cluster.workers) == 4, 45, "the supervisor acts")
            await asyncio.gather(*map(end_one, cluster.workers))
    history = await story.judge()
    assert set(history.statuses) == {"SUCCEEDED"}
    assert (history.crashes, history.failures) == (0, 0)


async def test_a_draining_worker_hands_back_what_outlives_its_grace(story: Story):
    await story.load.submit_many(10, seconds=4)
    victim = await story.busy_worker(1)
    victim.signal(signal.SIGTERM)
    assert await ended(victim, 10) == 0, victim.tail()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 10}
    assert (history.crashes, history.failures) == (0, 0)


async def test_a_worker_frozen_for_longer_than_its_lease_writes_nothing_late(story: Story):
    await story.load.submit_many(20, seconds=1)
    await story.until_begun(20)
    frozen = await story.busy_worker(5)
    frozen.signal(signal.SIGSTOP)
    others = 20 - story.count("begin", pid=frozen.pid)
    # The others have done all of it, also what the frozen one held.
    await until(lambda: story.count("end") >= 20, 45, "the others do it")
    frozen.signal(signal.SIGCONT)
    await until(lambda: frozen.said("lease lost"), 45, "the frozen worker finds out")
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 20}
    assert history.crashes == 20 - others
    # It works again, under another session.
    await story.load.submit_many(40, seconds=0.1)
    await story.judge()
    assert frozen.is_alive


async def test_a_worker_whose_lines_go_silent_stops_its_handlers_before_others_start_them(story: Story):
    """Nothing is refused and nothing is cut: every packet is swallowed, as by a broken network."""
    await story.load.submit_many(4, seconds=LEASE + 2)
    await story.until_begun(4)
    story.cluster.database.go_silent()
    await until(lambda: story.count("stopped") == 4, LEASE + 3, "the handlers are stopped")
    story.cluster.database.refuse()
    story.cluster.database.speak()
    story.cluster.database.accept()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 4}
    assert history.failures == 0


async def test_a_worker_ends_in_time_though_the_database_is_away(story: Story):
    """Also one that waits for the answer to a claim, which it repeats for as long as it takes."""
    await story.load.submit_many(10, seconds=0.5)
    victim = await story.busy_worker(1)
    story.cluster.database.refuse()
    async with story.cluster.redis() as client:
        await until_claiming(client, victim)
    victim.signal(signal.SIGTERM)
    await ended(victim, 10)
    story.cluster.database.accept()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 10}
    assert history.failures == 0


async def test_a_worker_ends_in_time_though_a_handler_swallows_its_cancellation(story: Story):
    victim = story.cluster.workers[0]
    story.cluster.workers[1].kill()
    await story.load.submit("faults.stubborn", until=str(story.cluster.folder / "never"))
    await story.until_begun(1)
    victim.signal(signal.SIGTERM)
    await ended(victim, 10)
    story.cluster.heal()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 1}
    assert history.failures == 0


async def until_claiming(client: Redis, worker: Process) -> None:
    """Hint at tasks that are not there, until the worker waits for the database's word on one."""

    async def claims() -> bool:
        await client.zadd("taskflow:default:critical", {f"{uuid4()}:0": 0})
        return worker.said("claim tasks")

    await until(claims, 10, "the worker claims")
