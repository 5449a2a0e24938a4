"""What running attempts report: merged, bounded, in order, and written together."""

import asyncio
from typing import Any

from support.tasks import TENANT, open_test_session, running_task
from taskflow_core.app import App
from taskflow_core.progress import Progress
from taskflow_core.tasks.read import PageRequest
from taskflow_core.tasks.rows import Row
from taskflow_worker.reporter import MAX_WAITING_LINES, Pace, Reporter

WRITES = """
SELECT count(*) AS events, count(DISTINCT xid) AS writes, max(per_task) AS most
FROM (SELECT xid, count(*) OVER (PARTITION BY task_id) AS per_task FROM task_events WHERE kind = 'PROGRESS') AS told
"""


async def reported(app: App, task: Row) -> list[tuple[str, Any]]:
    page = await app.reader.list_events(TENANT, task["id"], PageRequest(1000))
    return [
        ("PROGRESS", row["data"]["progress"]["percent"])
        if row["kind"] == "PROGRESS"
        else ("LOG", row["data"]["message"])
        for row in page.rows
        if row["kind"] in ("LOG", "PROGRESS")
    ]


async def reporter_of(app: App, pace: Pace) -> tuple[Row, Reporter]:
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    return task, Reporter(pace, app.reporting, task, session_id, "host:1")


async def test_attempts_that_report_without_end_share_few_writes(app: App):
    pace = Pace()
    reporters = [(await reporter_of(app, pace))[1] for _ in range(20)]
    clock = asyncio.get_running_loop().time
    end = clock() + 2
    while clock() < end:
        for reporter in reporters:
            reporter.progress(Progress)
        await asyncio.sleep(0.005)
    await asyncio.gather(*(reporter.close() for reporter in reporters))
    [row] = await app.database.pool.fetch(WRITES)
    assert row["most"] <= 22
    assert row["writes"] <= row["most"] + 5


async def test_what_is_said_in_one_turn_is_written_at_once_and_the_rest_at_the_latest_at_the_end(app: App):
    task, reporter = await reporter_of(app, Pace())
    reporter.log("one")
    reporter.progress(lambda: Progress(10))
    reporter.log("two")
    while len(first := await reported(app, task)) == 0:
        await asyncio.sleep(0.005)
    assert first == [("LOG", "one"), ("LOG", "two"), ("PROGRESS", 10)]
    reporter.progress(lambda: Progress(20))
    reporter.log("three")
    await reporter.close()
    reporter.log("too late")
    await app.reporting.drain()
    assert (await reported(app, task))[3:] == [("LOG", "three"), ("PROGRESS", 20)]


async def test_a_flood_of_lines_is_cut_and_says_so(app: App):
    task, reporter = await reporter_of(app, Pace())
    for number in range(MAX_WAITING_LINES + 7):
        reporter.log(str(number))
    await reporter.close()
    lines = await reported(app, task)
    assert len(lines) == MAX_WAITING_LINES + 1
    assert lines[-1] == ("LOG", "7 log lines were dropped here")


async def test_progress_that_cannot_be_written_takes_nothing_from_others(app: App):
    def broken() -> Progress:
        raise TypeError("no text")

    pace = Pace()
    task, reporter = await reporter_of(app, pace)
    other_task, other = await reporter_of(app, pace)
    reporter.log("before")
    reporter.progress(broken)
    other.progress(lambda: Progress(1))
    while len(await reported(app, other_task)) == 0:
        await asyncio.sleep(0.005)
    reporter.progress(broken)
    other.progress(lambda: Progress(2))
    reporter.log("after")
    while len(await reported(app, other_task)) == 1:
        await asyncio.sleep(0.005)
    await asyncio.gather(reporter.close(), other.close())
    assert await reported(app, task) == [("LOG", "before"), ("LOG", "after")]
    assert await reported(app, other_task) == [("PROGRESS", 1), ("PROGRESS", 2)]
