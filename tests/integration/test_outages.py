"""A database that is away costs time, and blames no task."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import text

from support.faults.proxy import Proxy
from support.tasks import TENANT, new_task
from taskflow_core.app import App, open_app
from taskflow_core.db import is_outage, until_answered
from taskflow_core.queue import lanes
from taskflow_core.settings import Settings
from taskflow_core.states import Priority
from taskflow_core.tasks.read import get_task
from taskflow_core.tasks.rows import Row
from taskflow_worker import TaskContext
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import Handler, Registry


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        heartbeat_seconds=0.1,
        lease_seconds=1,
        worker_drain_grace=0.05,
        cancel_grace=0.5,
    )


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The line of the worker to the database."""
    port = urlsplit(database_url).port
    assert port is not None
    proxy = Proxy(port)
    proxy.start()
    yield proxy
    proxy.stop()


def through(proxy: Proxy, settings: Settings) -> Settings:
    port = urlsplit(settings.database_url).port
    url = settings.database_url.replace(f":{port}/", f":{proxy.port}/")
    return settings.model_copy(update={"database_url": url})


@asynccontextmanager
async def working(settings: Settings, *handlers: Handler) -> AsyncIterator[None]:
    async with open_app(settings, "worker") as app:
        worker = TaskWorker(app, Registry(handlers), lanes(["default"], tuple(Priority)))
        main = asyncio.create_task(worker.main())
        try:
            yield
        finally:
            worker.drain()
            await main


async def until_swept(app: App, task: Row) -> None:
    """Let a sweep take the task from its silent worker."""
    async with asyncio.timeout(20):
        while (await get_task(app.database, TENANT, task["id"]))["status"] == "RUNNING":
            await app.sweep.run()


async def attempts_of(app: App, task: Row) -> list[str]:
    rows = await app.database.pool.fetch(
        "SELECT outcome FROM task_attempts WHERE task_id = $1 ORDER BY attempt", task["id"]
    )
    return [row["outcome"] for row in rows]


@pytest.mark.parametrize("swept", [True, False], ids=["sweep first", "either first"])
async def test_outages_longer_than_the_lease_are_no_crashes_of_a_task_whose_worker_lived(
    app: App, settings: Settings, proxy: Proxy, swept: bool
):
    begun, stopped, patience = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(context: TaskContext, payload: Any) -> None:
        begun.set()
        try:
            await patience.wait()
        finally:
            stopped.set()

    async with working(through(proxy, settings), Handler("it", wait)):
        task = await app.creation.create(new_task(task_type="it"))
        for _ in range(4):
            await begun.wait()
            begun.clear()
            proxy.refuse()
            if swept:
                await until_swept(app, task)
            await stopped.wait()
            stopped.clear()
            proxy.accept()
            # The next one comes when the worker has had its say about the last.
            while not begun.is_set() or (await get_task(app.database, TENANT, task["id"]))["crashes"]:
                await app.sweep.run()
        patience.set()
        row = await app.watch.wait(TENANT, task["id"], 20)
    assert row["status"] == "SUCCEEDED"
    assert await attempts_of(app, task) == ["RELEASED"] * 4 + ["SUCCEEDED"]
    assert row["crashes"] == 0


async def test_a_worker_whose_lease_ran_out_while_the_database_answered_is_to_blame(
    app: App, settings: Settings, proxy: Proxy
):
    tries = 0

    async def hog(context: TaskContext, payload: Any) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            # As if the worker had been frozen meanwhile.
            await app.database.pool.execute(
                "UPDATE worker_sessions SET lease_until = now() - interval '1 second'"
            )
            await until_swept(app, context_task)

    async with working(through(proxy, settings), Handler("it", hog)):
        context_task = await app.creation.create(new_task(task_type="it"))
        while tries < 2:
            await app.sweep.run()
        row = await app.watch.wait(TENANT, context_task["id"], 20)
    assert (row["status"], row["crashes"]) == ("SUCCEEDED", 1)
    assert await attempts_of(app, context_task) == ["LOST", "SUCCEEDED"]


async def test_a_database_host_that_goes_silent_is_noticed(app: App, settings: Settings, proxy: Proxy):
    """Every packet is swallowed: nothing is refused, and no connection is closed."""
    impatient = through(proxy, settings).model_copy(update={"database_timeout": 0.5})
    async with open_app(impatient, "impatient") as cut_off:
        await cut_off.creation.create(new_task())
        proxy.go_silent()
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                await cut_off.database.pool.fetchval("SELECT 1")
            with pytest.raises(TimeoutError):
                async with cut_off.database.engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
        creating = asyncio.create_task(cut_off.creation.create(new_task(request_id="once")))
        await asyncio.wait([creating], timeout=1)
        assert not creating.done()
        # What was on its way arrives late, on a line that nobody listens to any more.
        proxy.speak()
        async with asyncio.timeout(10):
            task = await creating
            assert await cut_off.database.pool.fetchval("SELECT 1") == 1
    assert await app.database.pool.fetchval("SELECT array_agg(id) FROM tasks WHERE request_id = 'once'") == [
        task["id"]
    ]


async def test_a_caller_that_goes_away_leaves_a_pool_that_works(app: App):
    for _ in range(30):
        waiting = asyncio.create_task(app.database.pool.fetchval("SELECT pg_sleep(30)"))
        await asyncio.wait([waiting], timeout=0.02)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(10):
        assert await asyncio.gather(*(app.database.pool.fetchval("SELECT 1") for _ in range(20))) == [1] * 20


async def test_a_cancelled_caller_ends_as_cancelled_and_is_not_tried_again(app: App):
    tries = 0

    async def once() -> None:
        nonlocal tries
        tries += 1
        started.set()
        await app.database.pool.execute("SELECT pg_sleep($1)", 30.0)

    started = asyncio.Event()
    work = asyncio.create_task(until_answered(once, "sleep"))
    await started.wait()
    await until_busy(app)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert tries == 1
    assert await app.database.pool.fetchval("SELECT 1") == 1


async def use_after_a_cut(app: App) -> None:
    async with app.database.pool.acquire() as connection:
        connection.terminate()
        await connection.execute("SELECT 1")


async def begin_after_a_cut(app: App) -> None:
    async with app.database.pool.acquire() as connection:
        transaction = connection.transaction()
        connection.terminate()
        await transaction.start()


async def be_ended_by_the_server(app: App) -> None:
    await app.database.pool.execute("SELECT pg_terminate_backend(pg_backend_pid())")


@pytest.mark.parametrize("broken", [use_after_a_cut, begin_after_a_cut, be_ended_by_the_server])
async def test_work_whose_connection_went_away_is_done_again(
    app: App, broken: Callable[[App], Awaitable[None]]
):
    tries = 0

    async def work() -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            await broken(app)
        return int(await app.database.pool.fetchval("SELECT 42"))

    assert await until_answered(work, "a test") == 42
    assert tries == 2


async def test_a_pool_that_is_closed_counts_as_away(settings: Settings):
    async with open_app(settings, "test") as app:
        pass
    with pytest.raises(asyncpg.InterfaceError) as caught:
        await app.database.pool.fetchval("SELECT 1")
    assert is_outage(caught.value)


@pytest.mark.parametrize(
    ("statement", "arguments", "kind"),
    [
        ("SELECT $1::int", (), asyncpg.InterfaceError),
        ("SELECT $1::int", (1, 2), asyncpg.InterfaceError),
        ("SELECT 1", (1,), asyncpg.InterfaceError),
        ("SELECT $1::int", ("one",), asyncpg.DataError),
        ("SELECT $1::int", (1,) * 40_000, asyncpg.InterfaceError),
        ("SELECT", ("one",), asyncpg.InterfaceError),
        ("SELEKT 1", (), asyncpg.PostgresSyntaxError),
        ("SELECT * FROM nowhere", (), asyncpg.UndefinedTableError),
        ("SELECT 1 / 0", (), asyncpg.DivisionByZeroError),
    ],
)
async def test_a_statement_that_is_wrong_ends_in_its_error_at_once(
    app: App, statement: str, arguments: tuple[object, ...], kind: type[Exception]
):
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        await app.database.pool.fetch(statement, *arguments)

    with pytest.raises(kind) as caught:
        await until_answered(work, "a test")
    assert tries == 1
    assert not is_outage(caught.value)


async def until_busy(app: App) -> None:
    """Wait until somebody sleeps in the database."""
    asking = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"
    async with asyncio.timeout(10):
        while not await app.database.pool.fetchval(asking):
            await asyncio.sleep(0)
