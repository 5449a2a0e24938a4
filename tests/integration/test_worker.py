"""A worker takes what is due, runs it once per attempt, and lives on whatever its handlers do."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from arq import Worker as ArqWorker
from arq.worker import func

from support.tasks import TENANT, kinds_of, new_task, result_of, status_of
from taskflow_core.app import App, listening, open_app
from taskflow_core.ids import new_id
from taskflow_core.queue import RUN_TASK, Hint, Lane, lanes
from taskflow_core.settings import Settings
from taskflow_core.states import Priority
from taskflow_core.tasks.read import PageRequest, get_task
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Closing, Event, Snapshot
from taskflow_worker import Fail, Retry, TaskContext
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import Handler, Registry

ONCE_MORE = {"max_attempts": 2, "initial_backoff": 0.0}
NO_RETRY = {"max_attempts": 1}
NORMAL = Lane("default", "NORMAL")
NOBODY = str(UUID(int=0)).encode()


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        heartbeat_seconds=0.05,
        worker_drain_grace=0.05,
        cancel_grace=0.5,
    )


@asynccontextmanager
async def working(
    app: App, *handlers: Handler, priorities: tuple[str, ...] = tuple(Priority)
) -> AsyncIterator[TaskWorker]:
    worker = TaskWorker(app, Registry(handlers), lanes(["default"], priorities))
    main = asyncio.create_task(worker.main())
    try:
        yield worker
    finally:
        worker.drain()
        await main


async def run(app: App, function: Callable[..., Any], **fields: Any) -> Row:
    """The task, once a worker with this handler has finished it."""
    async with working(app, Handler("it", function)):
        task = await app.creation.create(new_task(task_type="it", **fields))
        async with asyncio.timeout(20):
            return await app.watch.wait(TENANT, task["id"], 20)


async def test_a_handler_gets_the_payload_and_its_result_is_kept(app: App):
    async def double(context: TaskContext, payload: dict[str, int]) -> dict[str, Any]:
        return {"double": payload["n"] * 2, "attempt": context.attempt}

    task = await run(app, double, payload='{"n": 9007199254740993}')
    assert task["status"] == "SUCCEEDED"
    assert await result_of(app, task) == '{"double":18014398509481986,"attempt":1}'
    assert await kinds_of(app, task) == ["CREATED", "STARTED", "SUCCEEDED"]


async def test_a_plain_function_runs_in_a_thread(app: App):
    def plain(context: TaskContext, payload: Any) -> str:
        for _ in context.track(range(3), unit="steps"):
            pass
        return "done"

    task = await run(app, plain)
    assert (task["result"], task["progress"]["percent"], task["progress"]["unit"]) == ('"done"', 100, "steps")


async def test_a_failed_attempt_is_followed_by_another_until_the_task_is_a_dead_letter(app: App):
    def broken(context: TaskContext, payload: Any) -> None:
        raise ValueError(f"attempt {context.attempt}")

    task = await run(app, broken, retry_policy=ONCE_MORE)
    assert (task["status"], task["dead_letter_reason"]) == ("FAILED", "EXHAUSTED")
    assert task["error"] | {"stack_trace": ""} == {
        "type": "ValueError",
        "message": "attempt 2",
        "stack_trace": "",
        "attempt": 2,
    }
    assert "raise ValueError" in task["error"]["stack_trace"]
    attempts = (await app.reader.list_attempts(TENANT, task["id"], PageRequest())).rows
    assert [(row["attempt"], row["outcome"]) for row in attempts] == [(1, "FAILED"), (2, "FAILED")]
    kinds = [kind for kind in await kinds_of(app, task) if kind != "QUEUED"]
    assert kinds == ["CREATED", "STARTED", "RETRYING", "STARTED", "FAILED"]


async def test_a_handler_may_ask_to_be_tried_again(app: App):
    async def not_yet(context: TaskContext, payload: Any) -> int:
        if context.attempt == 1:
            raise Retry(delay=0)
        return context.attempt

    assert (await run(app, not_yet))["result"] == "2"


async def test_a_handler_may_give_up_for_good(app: App):
    async def never(context: TaskContext, payload: Any) -> None:
        raise Fail("no such customer")

    task = await run(app, never)
    assert (task["status"], task["error"]["message"], task["attempt"]) == ("FAILED", "no such customer", 1)


@pytest.mark.parametrize("swallows", [False, True])
async def test_an_attempt_that_runs_too_long_is_stopped(app: App, swallows: bool):
    async def slow(context: TaskContext, payload: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not swallows:
                raise

    task = await run(app, slow, attempt_timeout=0.05, retry_policy=NO_RETRY)
    assert (task["status"], task["error"]["type"]) == ("FAILED", "AttemptTimeout")
    assert "0.05 s" in task["error"]["message"]


async def test_an_unknown_task_type_is_a_recorded_error(app: App):
    async with working(app, Handler("known", lambda context, payload: None)):
        task = await app.creation.create(new_task(task_type="unknown", retry_policy=NO_RETRY))
        row = await app.watch.wait(TENANT, task["id"], 20)
    assert row["error"]["type"] == "UnknownTaskType"
    assert "'unknown'; it has known" in row["error"]["message"]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (object(), "InvalidResult"),
        ({1: 2}, "InvalidResult"),
        (float("nan"), "InvalidResult"),
        ("\0", "InvalidResult"),
        ("x" * 70_000, "ResultTooLarge"),
    ],
)
async def test_what_is_not_a_result_is_a_recorded_error(app: App, value: Any, error: str):
    task = await run(app, lambda context, payload: value)
    assert (task["status"], task["error"]["type"]) == ("FAILED", error)


async def test_progress_and_log_lines_reach_the_log_in_order(app: App):
    async def talks(context: TaskContext, payload: Any) -> None:
        context.log("first")
        for step in range(1000):
            context.progress(step / 10)
        context.progress(100, "all of it")

    task = await run(app, talks)
    events = (await app.reader.list_events(TENANT, task["id"], PageRequest(1000))).rows
    reports = [row for row in events if row["kind"] in ("LOG", "PROGRESS")]
    assert reports[0]["data"] == {"message": "first"}
    assert 1 <= len(reports) - 1 <= 3, "a thousand reports became a few"
    assert reports[-1]["data"]["progress"]["message"] == "all of it"
    assert events[-1]["kind"] == "SUCCEEDED"


async def test_a_watch_that_starts_before_the_task_runs_sees_everything(app: App):
    go = asyncio.Event()

    async def waits(context: TaskContext, payload: Any) -> None:
        context.progress(50)
        await go.wait()

    task = await app.creation.create(new_task(task_type="it"))
    watch = app.watch.watch(TENANT, task["id"])
    seen = [await anext(watch)]
    async with working(app, Handler("it", waits)):
        async for message in watch:
            seen.append(message)
            if isinstance(message, Event) and message.event["kind"] == "PROGRESS":
                go.set()
    assert isinstance(seen[0], Snapshot)
    assert [m.event["kind"] for m in seen if isinstance(m, Event)] == ["STARTED", "PROGRESS", "SUCCEEDED"]
    assert isinstance(seen[-1], Closing)
    assert seen[-1].subject is not None
    assert seen[-1].subject["status"] == "SUCCEEDED"


async def test_a_quiet_watch_is_closed_at_once_when_the_server_drains(app: App):
    task = await app.creation.create(new_task(schedule_time=datetime.now(UTC) + timedelta(hours=1)))
    seen = []
    async with asyncio.timeout(app.settings.keep_alive_interval / 2):
        async for message in app.watch.watch(TENANT, task["id"]):
            seen.append(message)
            app.feed.drain()
    assert isinstance(seen[-1], Closing)
    assert seen[-1].reason == "DRAINING"


@pytest.mark.parametrize("told", [True, False], ids=["by message", "by heartbeat"])
async def test_a_running_task_is_cancelled(app: App, told: bool, monkeypatch: pytest.MonkeyPatch):
    started = asyncio.Event()

    async def endless(context: TaskContext, payload: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    if not told:
        # The message is lost on its way, as publish and subscribe may.
        monkeypatch.setattr("taskflow_core.queue.cancel_channel", lambda session_id: "nobody listens")
    async with working(app, Handler("it", endless)):
        task = await app.creation.create(new_task(task_type="it"))
        await started.wait()
        await app.cancellation.cancel(TENANT, task["id"], "tester", "enough")
        row = await app.watch.wait(TENANT, task["id"], 20)
    assert (row["status"], row["cancel_reason"]) == ("CANCELLED", "enough")
    assert await kinds_of(app, task) == ["CREATED", "STARTED", "CANCEL_REQUESTED", "CANCELLED"]


async def test_a_draining_worker_says_so_until_its_last_attempt_has_ended(settings: Settings):
    running, told = asyncio.Event(), asyncio.Event()

    async def wait(context: TaskContext, payload: Any) -> None:
        running.set()
        await told.wait()

    patient = settings.model_copy(update={"worker_drain_grace": 60})
    async with open_app(patient, "test") as app:
        async with working(app, Handler("it", wait)) as worker:
            task = await app.creation.create(new_task(task_type="it"))
            await running.wait()
            (seen,) = (await app.stats.queues(TENANT)).workers
            assert (seen["draining"], seen["running"]) == (False, 1)
            worker.drain()
            async with asyncio.timeout(20):
                while not seen["draining"]:
                    (seen,) = (await app.stats.queues(TENANT)).workers
            told.set()
        assert (await app.stats.queues(TENANT)).workers == []
        assert await status_of(app, task) == "SUCCEEDED"


async def test_a_draining_worker_hands_back_what_it_runs_and_no_attempt_is_lost(app: App):
    started = asyncio.Event()

    async def endless(context: TaskContext, payload: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    async with working(app, Handler("it", endless)):
        task = await app.creation.create(new_task(task_type="it"))
        await started.wait()
    row = await get_task(app.database, TENANT, task["id"])
    assert (row["status"], row["failed_attempts"], row["crashes"]) == ("QUEUED", 0, 0)
    async with working(app, Handler("it", lambda context, payload: context.attempt)):
        assert (await app.watch.wait(TENANT, task["id"], 20))["result"] == "2"


async def test_a_worker_that_lost_its_lease_stops_and_writes_nothing(app: App):
    stopped = asyncio.Event()

    async def first_hangs(context: TaskContext, payload: Any) -> int:
        if context.attempt > 1:
            return context.attempt
        try:
            await app.database.pool.execute("UPDATE worker_sessions SET lease_until = now() - interval '1 s'")
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return 0

    async with working(app, Handler("it", first_hangs)):
        task = await app.creation.create(new_task(task_type="it"))
        await stopped.wait()
        await app.sweep.run()
        row = await app.watch.wait(TENANT, task["id"], 20)
    assert (row["result"], row["crashes"], row["failed_attempts"]) == ("2", 1, 0)
    attempts = (await app.reader.list_attempts(TENANT, task["id"], PageRequest())).rows
    assert [row["outcome"] for row in attempts] == ["LOST", "SUCCEEDED"]


async def test_a_worker_without_a_heartbeat_ends_with_its_error(app: App, monkeypatch: pytest.MonkeyPatch):
    async def broken(*_: object) -> None:
        raise KeyError("no heartbeat")

    monkeypatch.setattr("taskflow_worker.session.beat", broken)
    worker = TaskWorker(app, Registry([]), [NORMAL])
    with pytest.raises(KeyError):
        await worker.main()


async def test_a_hint_that_comes_ten_times_runs_the_task_once(app: App):
    runs = 0

    async def count(context: TaskContext, payload: Any) -> None:
        nonlocal runs
        runs += 1

    task = await app.creation.create(new_task(task_type="it"))
    await app.announcer.drain()
    async with working(app, Handler("it", count)):
        for _ in range(10):
            await app.queue.redis.zadd(NORMAL.key, {f"{task['id']}:0": 0})
            await app.queue.wake(NORMAL)
        await app.watch.wait(TENANT, task["id"], 20)
        other = await app.creation.create(new_task(task_type="it"))
        await app.watch.wait(TENANT, other["id"], 20)
    assert runs == 2


@pytest.mark.parametrize(
    "hint",
    [b"garbage", b"", b"\xff\xfe\0", b"%b:-1" % NOBODY, b"%b:99999999999" % NOBODY, b"%b:01" % NOBODY],
)
async def test_a_hint_that_is_not_ours_is_dropped(app: App, hint: bytes):
    await app.queue.redis.zadd(NORMAL.key, {hint: 0})
    await run(app, lambda context, payload: None)
    assert await app.queue.redis.zcard(NORMAL.key) == 0


@pytest.mark.parametrize("token", [b"1", b"\xff\xfe\0", b"%b:0" % NOBODY, b"%b:01" % NOBODY])
async def test_a_wake_up_that_offers_nothing_to_run_is_a_wake_up_all_the_same(app: App, token: bytes):
    task = await app.creation.create(new_task(task_type="it"))
    await app.announcer.drain()
    await app.queue.redis.delete(NORMAL.wake_key)
    for _ in range(3):
        await app.queue.redis.execute_command("LPUSH", NORMAL.wake_key, token)
    async with working(app, Handler("it", lambda context, payload: "ran")):
        assert (await app.watch.wait(TENANT, task["id"], 20))["result"] == '"ran"'
        other = await app.creation.create(new_task(task_type="it"))
        assert (await app.watch.wait(TENANT, other["id"], 20))["result"] == '"ran"'


async def test_a_task_that_comes_alone_is_offered_with_the_wake_up(app: App):
    task = await app.creation.create(new_task(task_type="it"))
    await app.announcer.drain()
    assert await app.queue.wait_for_wake([NORMAL], 1) == (NORMAL, f"{task['id']}:0")
    await app.creation.create_all([new_task(task_type="it") for _ in range(2)])
    await app.announcer.drain()
    assert await app.queue.wait_for_wake([NORMAL], 1) == (NORMAL, "")


async def test_a_task_that_is_due_soon_is_not_offered(app: App):
    await app.queue.enqueue([Hint(NORMAL, new_id(), 0, int(time.time() * 1000) + 900)])
    assert await app.queue.wait_for_wake([NORMAL], 1) == (NORMAL, "")


async def test_nothing_is_left_in_redis_when_all_is_done(app: App):
    await run(app, lambda context, payload: None)
    left = {key.decode() for key in await app.queue.redis.keys("*")}
    assert not {key for key in left if key.startswith("arq:") or key == NORMAL.key}, left


async def test_the_low_lane_is_served_while_critical_work_never_ends(app: App):
    done = asyncio.Event()

    async def again(context: TaskContext, payload: Any) -> None:
        if not done.is_set():
            await app.creation.create(new_task(task_type="busy", priority="CRITICAL"))

    for _ in range(300):
        await app.creation.create(new_task(task_type="busy", priority="CRITICAL"))
    low = await app.creation.create(new_task(task_type="it", priority="LOW"))
    async with working(app, Handler("busy", again), Handler("it", lambda context, payload: "served")):
        row = await app.watch.wait(TENANT, low["id"], 20)
        done.set()
    assert row["status"] == "SUCCEEDED"


async def test_a_worker_leaves_other_lanes_alone(app: App):
    async with working(app, Handler("it", lambda context, payload: None), priorities=("HIGH",)):
        low = await app.creation.create(new_task(task_type="it", priority="LOW"))
        high = await app.creation.create(new_task(task_type="it", priority="HIGH"))
        await app.watch.wait(TENANT, high["id"], 20)
    assert await status_of(app, low) == "QUEUED"


async def test_two_workers_share_the_work_and_double_nothing(app: App, settings: Settings):
    runs: list[str] = []

    async def note(context: TaskContext, payload: Any) -> None:
        runs.append(context.idempotency_key)
        await asyncio.sleep(0)

    async with (
        open_app(settings, "second") as other,
        listening(other.feed),
        working(app, Handler("it", note)),
        working(other, Handler("it", note)),
    ):
        tasks = await asyncio.gather(*(app.creation.create(new_task(task_type="it")) for _ in range(500)))
        await asyncio.gather(*(app.watch.wait(TENANT, task["id"], 20) for task in tasks))
    assert sorted(runs) == sorted(f"{task['id']}:1" for task in tasks)


# Beside arq's own client and worker


async def test_a_job_of_arqs_own_client_wakes_a_task(app: App):
    task = await app.creation.create(new_task(task_type="it"))
    await app.announcer.drain()
    await app.queue.redis.flushdb()
    await app.queue.redis.enqueue_job(
        RUN_TASK, str(task["id"]), 0, _job_id=f"{task['id']}:0", _queue_name=NORMAL.key
    )
    async with working(app, Handler("it", lambda context, payload: "ran")):
        assert (await app.watch.wait(TENANT, task["id"], 20))["result"] == '"ran"'


async def test_arqs_own_worker_reads_our_hints(app: App):
    heard = []

    async def run_task(ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> None:
        heard.append(args)

    task = await app.creation.create(new_task())
    await app.announcer.drain()
    stock = ArqWorker(
        [func(run_task, name=RUN_TASK)],
        queue_name=NORMAL.key,
        redis_pool=app.queue.redis,
        burst=True,
        poll_delay=0.01,
        keep_result=0,
        handle_signals=False,
        job_deserializer=json.loads,
    )
    await stock.main()
    assert heard == [(str(task["id"]), 0)]


# What the database refuses


async def refuse_results(app: App, error_code: str) -> None:
    """Refuse the first result that is stored from now on."""
    await app.database.pool.execute(f"""
        CREATE SEQUENCE stored;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF nextval('stored') = 1 THEN
            RAISE EXCEPTION 'no room for this' USING ERRCODE = '{error_code}';
          END IF;
          RETURN new;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON task_results FOR EACH ROW EXECUTE FUNCTION refuse();
    """)


async def test_a_result_that_the_database_refuses_fails_the_task(app: App):
    await refuse_results(app, "22P05")

    async def answer(context: TaskContext, payload: Any) -> str:
        return "a value"

    row = await run(app, answer)
    assert (row["status"], row["error"]["type"]) == ("FAILED", "InvalidResult")
    assert "no room for this" in row["error"]["message"]


async def test_a_defect_at_the_end_of_an_attempt_is_not_blamed_on_its_result(app: App):
    await refuse_results(app, "P0001")

    async def answer(context: TaskContext, payload: Any) -> str:
        return "a value"

    # The worker gives back what it does not know any more, and runs it again.
    row = await run(app, answer)
    assert (row["status"], row["attempt"], row["crashes"]) == ("SUCCEEDED", 2, 1)
