"""Limits of queues hold, and what waits under them is not forgotten, whatever breaks."""

from support.faults.checker import History
from support.faults.story import Story
from support.waiting import until

HELD = "SELECT count(*) FROM tasks WHERE held AND tenant_id = $1"


def most_at_once(history: History) -> int:
    """Most attempts that ran at the same time, by the database's record; a lost one runs until it is found."""
    steps = sorted(
        step
        for attempts in history.attempts.values()
        for attempt in attempts
        for step in ((attempt["started_at"], 1), (attempt["ended_at"], -1))
    )
    running = most = 0
    for _, step in steps:
        running += step
        most = max(most, running)
    return most


async def until_held(story: Story, count: int) -> None:
    async with story.cluster.sql() as connection:

        async def are_held() -> bool:
            return bool(await connection.fetchval(HELD, story.load.tenant) >= count)

        await until(are_held, 45, f"{count} tasks are held")


async def test_the_answer_to_the_commit_of_a_limited_claim_is_lost(story: Story):
    await story.load.limit(max_concurrency=5)
    # Only claims in limited queues, and what the scheduler counts, are transactions of several statements.
    story.cluster.database.cut_after("COMMIT", times=10)
    await story.load.submit_many(80, seconds=0.05)
    history = await story.judge()
    assert story.cluster.database.cuts >= 5
    assert history.statuses == {"SUCCEEDED": 80}
    assert (history.crashes, history.failures) == (0, 0)
    assert all(history.runs(task) == [1] for task in history.tasks)
    assert most_at_once(history) <= 5


async def test_a_worker_is_killed_while_a_limited_queue_is_full(story: Story):
    await story.load.limit(max_concurrency=4)
    await story.load.submit_many(40, seconds=0.2)
    for _ in range(2):
        victim = await story.busy_worker(1)
        victim.kill()
        story.cluster.heal()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 40}
    assert history.failures == 0
    assert most_at_once(history) <= 4


async def test_redis_is_wiped_while_tasks_wait_in_a_paused_queue(story: Story):
    await story.load.pause()
    await story.load.submit_many(30)
    await until_held(story, 30)
    async with story.cluster.redis() as client:
        await client.flushall()
    assert story.count("begin") == 0
    await story.load.resume()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 30}
    assert (history.crashes, history.failures) == (0, 0)


async def test_postgres_crashes_under_load_over_a_queue_limited_in_rate_and_number(story: Story):
    await story.load.limit(max_concurrency=3, max_rate=50)
    async with story.load.under_way(pause=0.05, seconds=0.02):
        await story.until_begun(20)
        story.cluster.restart_postgres_immediately()
        await story.until_begun(story.count("begin") + 20)
    history = await story.judge(within=60)
    assert set(history.statuses) == {"SUCCEEDED"}
    assert history.failures == 0
    assert most_at_once(history) <= 3


async def test_a_queue_is_paused_and_resumed_while_lines_are_cut(story: Story):
    async with story.load.under_way(pause=0.05, seconds=0.02):
        for _ in range(4):
            await story.load.pause()
            story.cluster.database.cut_after("COMMIT", times=2)
            await until_held(story, 1)
            story.cluster.redis_of_workers.refuse()
            story.cluster.redis_of_workers.accept()
            begun = story.count("begin")
            await story.load.resume()
            await story.until_begun(begun + 5)
    history = await story.judge()
    assert set(history.statuses) == {"SUCCEEDED"}
    assert (history.crashes, history.failures) == (0, 0)
