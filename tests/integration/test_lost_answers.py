"""A caller that is told how many were moved is told the truth, also when the answer to a commit was lost."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from support.faults.proxy import Proxy
from support.schedules import again, create, fires_of
from support.tasks import (
    TENANT,
    claim_by_hand,
    kinds_of,
    new_task,
    open_test_session,
    running_task,
    settlement,
    status_of,
)
from taskflow_core.app import App, open_app
from taskflow_core.db import Connection, exactly_once
from taskflow_core.errors import NotFound, WrongStatus
from taskflow_core.etags import etag_of
from taskflow_core.settings import Settings
from taskflow_core.tasks.create import UniqueKey
from taskflow_core.tasks.rows import Row


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The line of `cut_off` to the database."""
    port = urlsplit(database_url).port
    assert port is not None
    proxy = Proxy(port)
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
async def cut_off(settings: Settings, proxy: Proxy) -> AsyncIterator[App]:
    """An app whose line to the database can be cut."""
    address = urlsplit(settings.database_url)
    url = settings.database_url.replace(f":{address.port}/", f":{proxy.port}/")
    async with open_app(settings.model_copy(update={"database_url": url}), "cut off") as app:
        yield app


async def ended(app: App, session_id: int, status: str = "FAILED", **fields: object) -> Row:
    task = await running_task(app, session_id, **fields)
    assert await app.settlement.settle(settlement(task, session_id, status))
    return task


async def test_a_retry_whose_answer_is_lost_is_done_once(app: App, cut_off: App, proxy: Proxy):
    task = await ended(app, await open_test_session(app))
    proxy.cut_after("'REPLAYED'", 1)
    row = await cut_off.retry.retry(TENANT, task["id"], "tester", "again")
    assert proxy.cuts == 1
    assert (row["status"], row["replays"]) == ("QUEUED", 1)
    assert (await kinds_of(app, task)).count("REPLAYED") == 1


async def test_a_caller_may_repeat_a_retry_until_the_task_is_final_again(app: App):
    session_id = await open_test_session(app)
    task = await ended(app, session_id)
    first = await app.retry.retry(TENANT, task["id"], "tester", "")
    again = await app.retry.retry(TENANT, task["id"], "tester", "")
    assert (again["status"], again["last_sequence"]) == ("QUEUED", first["last_sequence"])
    (claimed,) = await claim_by_hand(app, session_id, again)
    assert (await app.retry.retry(TENANT, task["id"], "tester", ""))["status"] == "RUNNING"
    assert await app.settlement.settle(settlement(claimed, session_id))
    with pytest.raises(WrongStatus):
        await app.retry.retry(TENANT, task["id"], "tester", "")


async def test_many_retries_whose_answer_is_lost_are_counted(app: App, cut_off: App, proxy: Proxy):
    session_id = await open_test_session(app)
    tasks = [await ended(app, session_id) for _ in range(5)]
    waiting = await app.creation.create(new_task())
    proxy.cut_after("COMMIT", 1)
    ids = [task["id"] for task in (*tasks, waiting)]
    assert await cut_off.retry.retry_all(TENANT, ids, "tester", "") == 5
    assert proxy.cuts == 1
    for task in tasks:
        assert (await kinds_of(app, task)).count("REPLAYED") == 1


async def test_many_cancellations_whose_answer_is_lost_are_counted(app: App, cut_off: App, proxy: Proxy):
    session_id = await open_test_session(app)
    running = [await running_task(app, session_id) for _ in range(2)]
    waiting = [await app.creation.create(new_task()) for _ in range(3)]
    proxy.cut_after("'CANCEL_REQUESTED'", 1)
    ids = [task["id"] for task in (*running, *waiting)]
    done = await cut_off.cancellation.cancel_all(TENANT, ids, "tester", "")
    assert proxy.cuts == 1
    assert (done.cancelled, done.requested) == (3, 2)
    assert (await app.cancellation.cancel_all(TENANT, ids, "tester", "")).cancelled == 0


async def test_one_whose_unique_key_is_held_does_not_keep_the_others_from_being_retried(app: App):
    session_id = await open_test_session(app)
    held = await ended(app, session_id, unique_key=UniqueKey("held"))
    await app.creation.create(new_task(unique_key=UniqueKey("held")))
    twins = [await ended(app, session_id, unique_key=UniqueKey("twins")) for _ in range(2)]
    others = [await ended(app, session_id) for _ in range(4)]
    ids = [task["id"] for task in (others[0], held, *twins, *others[1:])]
    assert await app.retry.retry_all(TENANT, ids, "tester", "") == 5
    assert await status_of(app, held) == "FAILED"
    assert sorted([await status_of(app, twin) for twin in twins]) == ["FAILED", "QUEUED"]
    assert {await status_of(app, other) for other in others} == {"QUEUED"}


async def test_a_change_of_a_schedule_whose_answer_is_lost_is_made_once(app: App, cut_off: App, proxy: Proxy):
    schedule = await create(app.schedules)
    etag = etag_of(schedule)
    proxy.cut_after("COMMIT", 1)
    changed = await cut_off.schedules.steering.update(TENANT, schedule["id"], {"name": "new"}, etag=etag)
    assert proxy.cuts == 1
    assert (changed["name"], changed["revision"]) == ("new", 2)
    assert (await again(app.schedules, schedule))["revision"] == 2


async def test_a_pause_and_a_resumption_whose_answers_are_lost_are_made_once(
    app: App, cut_off: App, proxy: Proxy
):
    schedule = await create(app.schedules)
    for steer, status, revision in (
        (cut_off.schedules.steering.pause, "PAUSED", 2),
        (cut_off.schedules.steering.resume, "ACTIVE", 3),
    ):
        proxy.cut_after("COMMIT", 1)
        row = await steer(TENANT, schedule["id"], "a note")
        assert proxy.cuts == 1
        assert (row["status"], row["note"], row["revision"]) == (status, "a note", revision)
        assert (await again(app.schedules, schedule))["revision"] == revision


async def test_a_deletion_of_a_schedule_whose_answer_is_lost_is_no_error(
    app: App, cut_off: App, proxy: Proxy
):
    schedule = await create(app.schedules)
    proxy.cut_after("COMMIT", 1)
    await cut_off.schedules.steering.delete(TENANT, schedule["id"], etag=etag_of(schedule))
    assert proxy.cuts == 1
    with pytest.raises(NotFound):
        await again(app.schedules, schedule)


async def test_a_trigger_whose_answer_is_lost_fires_once(app: App, cut_off: App, proxy: Proxy):
    schedule = await create(app.schedules, overlap_policy="ALLOW_ALL")
    proxy.cut_after("COMMIT", 1)
    fire = await cut_off.schedules.requests.trigger(TENANT, schedule["id"])
    assert proxy.cuts == 1
    [stored] = await fires_of(app.schedules, schedule)
    assert (stored["task_id"], stored["fire_time"]) == (fire["task_id"], fire["fire_time"])
    assert (await again(app.schedules, schedule))["triggered"] == 1


async def test_a_backfill_whose_answer_is_lost_fires_once_and_is_counted(
    app: App, cut_off: App, proxy: Proxy
):
    schedule = await create(app.schedules)
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    proxy.cut_after("COMMIT", 1)
    done = await cut_off.schedules.requests.backfill(
        TENANT, schedule["id"], end - timedelta(minutes=5), end, overlap_policy="ALLOW_ALL"
    )
    assert proxy.cuts == 1
    assert (done.fired, done.existing) == (5, 0)
    assert (await again(app.schedules, schedule))["backfilled"] == 5


async def test_a_schedule_whose_creation_was_not_answered_is_there_once(app: App, cut_off: App, proxy: Proxy):
    proxy.cut_after("INSERT INTO schedules", 1)
    schedule = await create(cut_off.schedules)
    assert proxy.cuts == 1
    assert await app.database.pool.fetchval("SELECT array_agg(id) FROM schedules") == [schedule["id"]]


# Ends the session in the middle of its commit, when it was told to.
ENDS_COMMIT = """
CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF current_setting('test.ends', true) = 'yes' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ends AFTER UPDATE ON schedules DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION end_session();
"""


async def test_a_transaction_that_did_not_take_is_repeated(app: App):
    await create(app.schedules)
    await app.database.pool.execute(ENDS_COMMIT)
    tries = 0

    async def work(connection: Connection) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            await connection.execute("SET LOCAL test.ends = 'yes'")
        await connection.execute("UPDATE schedules SET note = note || 'x'")
        return tries

    assert await exactly_once(app.database, work, "a test", give_up_after=10) == 2
    assert await app.database.pool.fetchval("SELECT note FROM schedules") == "x"
