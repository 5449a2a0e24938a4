"""Kill -9 of the server, of everything at once, and clients that only know that they do not know."""

from support.faults.story import Story


async def test_the_server_is_killed_between_the_insert_and_the_hint(story: Story):
    cluster = story.cluster
    # Tasks are stored and acked, but no hint of them gets out before the server dies.
    cluster.redis_of_server.refuse()
    await story.load.submit_many(20)
    cluster.server.kill()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 20}


async def test_clients_of_a_killed_server_ask_again_and_make_no_second_task(story: Story):
    async with story.cluster.supervised("server", 1), story.load.under_way():
        await story.until_begun(20)
        story.cluster.server.kill()
        await story.until_begun(story.count("begin") + 20)
    await story.judge()
    assert any(submission.tries > 1 for submission in story.load.submissions)


async def test_everything_is_killed_at_once_and_started_again(story: Story):
    await story.load.submit_many(20, seconds=1)
    await story.load.submit_many(40)
    await story.until_begun(10)
    story.cluster.kill_everything()
    story.cluster.heal()
    history = await story.judge()
    assert history.statuses == {"SUCCEEDED": 60}
    assert history.failures == 0
