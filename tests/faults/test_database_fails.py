"""PostgreSQL crashes, ends connections, and answers into cut lines; its commits stand."""

import asyncio

import pytest

from support.faults.story import Story

# Words of the statements that move a task; each is one transaction.
CREATE, CLAIM, SETTLE = "'CREATED'", "'STARTED'", "INSERT INTO task_attempts"

END_ONE = """
SELECT pg_terminate_backend(pid) FROM (
  SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'taskflow %' ORDER BY pid OFFSET $1 LIMIT 1) AS one
"""


@pytest.mark.parametrize("statement", [CREATE, CLAIM, SETTLE], ids=["create", "claim", "settle"])
async def test_a_line_is_cut_after_the_commit_and_before_its_answer(story: Story, statement: str):
    cluster = story.cluster
    cluster.database.cut_after(statement, times=8)
    await story.load.submit_many(60)
    history = await story.judge()
    assert cluster.database.cuts >= 4
    assert history.statuses == {"SUCCEEDED": 60}
    assert (history.crashes, history.failures) == (0, 0)
    assert all(history.runs(task) == [1] for task in history.tasks)


async def test_postgres_crashes_under_load_and_comes_back(story: Story):
    async with story.load.under_way(seconds=0.05):
        await story.until_begun(30)
        story.cluster.restart_postgres_immediately()
        await story.until_begun(story.count("begin") + 30)
    history = await story.judge()
    assert set(history.statuses) == {"SUCCEEDED"}
    assert history.failures == 0


async def test_postgres_ends_connections_at_random(story: Story):
    workers = story.cluster.workers
    async with story.cluster.sql() as connection, story.load.under_way(seconds=0.02):
        for _ in range(40):
            await connection.fetch(END_ONE, story.rng.randrange(20))
            await asyncio.sleep(story.rng.uniform(0, 0.1))
    history = await story.judge()
    assert set(history.statuses) == {"SUCCEEDED"}
    assert history.failures == 0
    assert story.cluster.workers == workers
