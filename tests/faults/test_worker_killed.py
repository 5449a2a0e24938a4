"""Kill -9 of a worker costs its tasks a lease, and nothing else."""

from support.faults.cluster import LEASE
from support.faults.story import Story
from support.waiting import until


async def test_an_idle_worker_is_killed(story: Story):
    story.cluster.workers[0].kill()
    await story.load.submit_many(20)
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 20}
    assert history.crashes == 0


async def test_a_worker_is_killed_in_the_middle_of_its_tasks(story: Story):
    await story.load.submit_many(30, seconds=3)
    victim = await story.busy_worker(5)
    victim.kill()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 30}
    assert history.crashes >= 5
    assert history.failures == 0
    assert max(map(history.longest_gap, history.tasks)) < LEASE + 10


async def test_a_worker_is_killed_under_load_again_and_again(story: Story):
    async with story.cluster.supervised("worker"), story.load.under_way(seconds=0.01):
        for _ in range(2):
            await until(lambda: len(story.cluster.workers) == 2, 45, "the supervisor acts")
            victim = story.rng.choice(story.cluster.workers)
            await story.until_begun(10, pid=victim.pid)
            victim.kill()
    history = await story.judge()
    assert set(history.statuses) == {"SUCCEEDED"}
    assert history.failures == 0
