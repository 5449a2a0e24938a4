"""What is old enough goes, with all that belongs to it, and nothing else does."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.tasks import (
    TENANT,
    claim_by_hand,
    new_task,
    open_test_session,
    running_task,
    settlement,
    status_of,
)
from taskflow_core.app import App, open_app
from taskflow_core.db import alone
from taskflow_core.errors import NotFound
from taskflow_core.result_store import ResultStore
from taskflow_core.settings import DAY, Settings
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.report import Report, Reports
from taskflow_core.tasks.retention import DEAD, DONE, FIND_OLD, LOCK, Retention, RetentionLimits
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Closing, Message, Snapshot

ERROR = {"type": "ValueError", "message": "no", "stack_trace": "", "attempt": 1}
LARGE = "x" * 100_000
TABLES = ("tasks", "task_results", "task_attempts", "task_events")


@pytest.fixture
def folder(data_folder: Path) -> Path:
    return data_folder / "results"


@pytest.fixture
def settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, result_store=folder.as_uri())


async def finished(app: App, status: str, days: float, value: Any = "small") -> Row:
    """A task that ended so many days ago."""
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    if status == "SUCCEEDED":
        kept = await app.results.keep(task, value)
        fields: dict[str, Any] = {"result": kept.text, "result_url": kept.url}
    elif status == "FAILED":
        fields = {"error": ERROR}
    else:
        fields = {}
    assert await app.settlement.settle(settlement(task, session_id, status, **fields))
    await age(app, task, days)
    return task


async def age(app: App, task: Row, days: float) -> None:
    await app.database.pool.execute(
        "UPDATE tasks SET finished_at = finished_at - make_interval(secs => $2) WHERE id = $1",
        task["id"],
        days * DAY,
    )


async def ids_in(app: App, table: str) -> set[Any]:
    column = "id" if table == "tasks" else "task_id"
    return {row[0] for row in await app.database.pool.fetch(f"SELECT {column} FROM {table}")}


def stored(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.json")}


async def test_finished_tasks_go_after_their_time_and_dead_letters_after_theirs(app: App, folder: Path):
    old = [
        await finished(app, "SUCCEEDED", 31),
        await finished(app, "SUCCEEDED", 31, LARGE),
        await finished(app, "CANCELLED", 31),
        await finished(app, "FAILED", 91),
    ]
    young = [
        await finished(app, "SUCCEEDED", 29),
        large := await finished(app, "SUCCEEDED", 29, LARGE),
        await finished(app, "FAILED", 89),
        await app.creation.create(new_task()),
        await running_task(app, await open_test_session(app)),
    ]
    assert await app.retention.run() == {"tasks": 3, "dead_letters": 1}
    kept = {task["id"] for task in young}
    assert await ids_in(app, "tasks") == await ids_in(app, "task_events") == kept
    for table in TABLES:
        assert not await ids_in(app, table) & {task["id"] for task in old}, table
    assert stored(folder) == {f"{TENANT}/{large['id']}/1.json"}
    assert await app.retention.run() == {}


async def test_what_is_old_goes_in_batches_of_all_tenants(app: App):
    for number in range(7):
        task = await finished(app, "SUCCEEDED", 40 + number)
        await app.database.pool.execute(
            "UPDATE tasks SET tenant_id = $2 WHERE id = $1", task["id"], f"tenant{number}"
        )
    limits = RetentionLimits(tasks=30 * DAY, dead_letters=90 * DAY, batch=3, batch_events=5)
    assert await Retention(app.database, app.announcer, None, app.stats.rollup, limits).run() == {"tasks": 7}
    for table in TABLES:
        assert await ids_in(app, table) == set()


async def test_results_of_attempts_that_never_settled_go_too(app: App, folder: Path):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    await app.results.keep(task, LARGE)  # stored, then the worker died
    await app.settlement.settle(settlement(task, session_id, "QUEUED"))
    (again,) = await claim_by_hand(app, session_id, await get_task(app.database, TENANT, task["id"]))
    await app.settlement.settle(settlement(again, session_id, result='"small"'))
    assert stored(folder) == {f"{TENANT}/{task['id']}/1.json"}
    await age(app, task, 31)
    assert await app.retention.run() == {"tasks": 1}
    assert stored(folder) == set()


async def test_a_task_is_kept_while_its_stored_result_cannot_be_deleted_and_stops_no_other(
    app: App, folder: Path
):
    stuck = await finished(app, "SUCCEEDED", 40, LARGE)
    await finished(app, "SUCCEEDED", 31)
    nobody_listens = ResultStore("http://127.0.0.1:1/results")
    limits = RetentionLimits(tasks=30 * DAY, dead_letters=90 * DAY, batch=1)
    assert await Retention(app.database, app.announcer, nobody_listens, app.stats.rollup, limits).run() == {
        "tasks": 1
    }
    assert await ids_in(app, "tasks") == {stuck["id"]}
    assert await app.retention.run() == {"tasks": 1}
    assert stored(folder) == set()


async def test_who_died_between_store_and_rows_is_finished_by_the_next(app: App, folder: Path):
    task = await finished(app, "SUCCEEDED", 31, LARGE)
    (folder / TENANT / str(task["id"]) / "1.json").unlink()
    assert await app.retention.run() == {"tasks": 1}


async def test_a_row_that_another_holds_is_left_for_the_next_run(app: App):
    held = await finished(app, "SUCCEEDED", 31)
    await finished(app, "SUCCEEDED", 31)
    async with app.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM tasks WHERE id = $1 FOR UPDATE", held["id"])
        assert await app.retention.run() == {"tasks": 1}
    assert await app.retention.run() == {"tasks": 1}


async def test_many_processes_delete_each_task_once(app: App, settings: Settings):
    for _ in range(10):
        await finished(app, "SUCCEEDED", 31, LARGE)
    async with open_app(settings, "second") as other:
        runs = await asyncio.gather(*(each.retention.run() for each in (app, other, app, other)))
        assert sum(run.get("tasks", 0) for run in runs) == 10
        async with alone(other.database, LOCK) as is_alone:
            assert is_alone
            assert await app.retention.run() == {}


async def test_a_dead_letter_that_was_replayed_is_kept(app: App):
    task = await finished(app, "FAILED", 91)
    await app.retry.retry(TENANT, task["id"], "tester", "fixed")
    assert await app.retention.run() == {}
    assert await status_of(app, task) == "QUEUED"


async def test_sessions_that_ended_long_ago_go(app: App):
    ended, young, running = [await open_test_session(app) for _ in range(3)]
    await running_task(app, running)
    await app.database.pool.execute(
        "UPDATE worker_sessions SET ended_at = now() - interval '25 hours' WHERE id = ANY($1)",
        [ended, running],
    )
    assert await app.retention.run() == {"sessions": 1}
    left = await app.database.pool.fetch("SELECT id FROM worker_sessions ORDER BY id")
    assert [row["id"] for row in left] == [young, running], "one is alive, the other still has a task"


@pytest.mark.parametrize(("condition", "index"), [(DONE, "tasks_done"), (DEAD, "tasks_dead")])
async def test_old_tasks_are_found_by_an_index(app: App, condition: str, index: str):
    async with app.database.pool.acquire() as connection, connection.transaction():
        # The table is empty, and reading all of it would cost nothing.
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        find = FIND_OLD.format(condition=condition)
        for place, value in (
            (1, "60"),
            (2, "'1970-01-01'::timestamptz"),
            (3, f"'{'0' * 32}'::uuid"),
            (4, "9"),
        ):
            find = find.replace(f"${place}", value)
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {find}"))
    assert index in plan
    assert "Sort" not in plan


# Watching what is deleted


async def messages(app: App, task: Row, token: str = "") -> list[Message[Row]]:
    async with asyncio.timeout(20):
        return [message async for message in app.watch.watch(TENANT, task["id"], token)]


async def test_the_watch_of_a_deleted_task_ends_at_once(app: App):
    task = await app.creation.create(new_task())
    watch = app.watch.watch(TENANT, task["id"])
    async with asyncio.timeout(10):  # the next keep-alive would come after 15 s
        assert isinstance(await anext(watch), Snapshot)
        ending = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await app.database.pool.execute("DELETE FROM tasks WHERE id = $1", task["id"])
        await app.database.pool.execute("DELETE FROM task_events WHERE task_id = $1", task["id"])
        await app.queue.enqueue([], ring=[task["id"]])
        closing = await ending
    assert isinstance(closing, Closing)
    assert (closing.reason, closing.subject) == ("DELETED", None)


async def test_a_wait_for_a_task_that_is_deleted_meanwhile_finds_nothing(app: App):
    task = await app.creation.create(new_task())
    waiting = asyncio.create_task(app.watch.wait(TENANT, task["id"], 20))
    await asyncio.sleep(0)
    await app.database.pool.execute("DELETE FROM tasks WHERE id = $1", task["id"])
    await app.database.pool.execute("DELETE FROM task_events WHERE task_id = $1", task["id"])
    await app.queue.enqueue([], ring=[task["id"]])
    with pytest.raises(NotFound):
        await waiting


async def test_a_watch_resumed_before_what_is_kept_starts_anew_with_a_snapshot(app: App):
    session_id = await open_test_session(app)
    created = await app.creation.create(new_task())
    watch = app.watch.watch(TENANT, created["id"])
    token = (await anext(watch)).token
    await watch.aclose()
    (task,) = await claim_by_hand(app, session_id, created)
    line = Report("LOG", {"message": "one"})
    await app.reporting.report(Reports(task["id"], 1, session_id, "host:1", (line, line)))
    await app.settlement.settle(settlement(task, session_id))
    await app.database.pool.execute("DELETE FROM task_events WHERE task_id = $1 AND sequence < 4", task["id"])
    snapshot, closing = await messages(app, task, token)
    assert isinstance(snapshot, Snapshot)
    assert snapshot.reset
    assert snapshot.subject["status"] == "SUCCEEDED"
    assert isinstance(closing, Closing)
    assert closing.reason == "FINISHED"
