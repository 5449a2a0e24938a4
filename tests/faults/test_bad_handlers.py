"""Handlers that take their worker with them, hold its event loop, or do not stop."""

from support.faults.cluster import LEASE
from support.faults.story import Story
from support.waiting import until

MAX_CRASHES = 3


async def test_a_task_that_kills_its_workers_becomes_a_dead_letter_and_others_live(story: Story):
    """Also those that ran beside it each time it killed the only worker there is."""
    story.cluster.heal(workers=1)
    async with story.cluster.supervised("worker", 1):
        others = await story.load.submit_many(5, seconds=1)
        await story.until_begun(5)
        poison = await story.load.submit("faults.exit")
        history = await story.judge(60)
    assert history.tasks[poison]["status"] == "FAILED"
    assert history.tasks[poison]["dead_letter_reason"] == "CRASH_LOOP"
    assert history.runs(poison) == list(range(1, MAX_CRASHES + 1))
    assert {history.tasks[task]["status"] for task in others} == {"SUCCEEDED"}


async def test_a_handler_that_blocks_its_worker_longer_than_the_lease_loses_its_attempt(story: Story):
    blocked = await story.load.submit("faults.block", seconds=LEASE + 2)
    await story.until_begun(1, task_id=blocked)
    others = await story.load.submit_many(10)
    history = await story.judge()
    assert history.runs(blocked) == [1, 2]
    assert history.statuses == {"SUCCEEDED": 1 + len(others)}
    assert history.failures == 0


async def test_a_handler_that_swallows_its_cancellation_is_fenced_off(story: Story):
    until_file = story.cluster.folder / "stop"
    stubborn = await story.load.submit("faults.stubborn", until=str(until_file))
    await story.until_begun(1)
    await story.load.cancel(stubborn)
    history = await story.judge()
    assert history.statuses == {"CANCELLED": 1}
    until_file.touch()
    await until(lambda: story.count("end") == 1, 45, "the handler ends")
    # What it returns comes too late.
    await story.load.submit()
    assert (await story.judge()).tasks[stubborn]["status"] == "CANCELLED"
