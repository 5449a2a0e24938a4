"""The life of a task, arrow by arrow, on real PostgreSQL and Valkey."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from support.tasks import (
    TENANT,
    claim_by_hand,
    kinds_of,
    new_task,
    open_test_session,
    result_of,
    running_task,
    settlement,
    status_of,
)
from taskflow_core.app import App
from taskflow_core.errors import AlreadyExists, NoResult, NotFound, WrongStatus
from taskflow_core.filters import compile_filter
from taskflow_core.models import Task
from taskflow_core.queue import Lane
from taskflow_core.sessions import beat
from taskflow_core.tasks.claim import Claim, claim, taken_before
from taskflow_core.tasks.create import UniqueKey
from taskflow_core.tasks.read import FILTER_FIELDS, PageRequest, get_task
from taskflow_core.tasks.report import Report, Reports
from taskflow_core.tasks.rows import COLUMNS

NORMAL = Lane("default", "NORMAL")


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


# Creating


async def test_a_created_task_is_queued_logged_and_hinted(app: App):
    task = await app.creation.create(new_task(tags=('with "quotes"', "back\\slash")))
    await app.announcer.drain()
    stored = await get_task(app.database, TENANT, task["id"])
    for name in COLUMNS:
        if name != "tags":
            assert stored[name] == task[name], name
    assert tuple(stored["tags"]) == ('with "quotes"', "back\\slash")
    assert await kinds_of(app, task) == ["CREATED"]
    assert await app.queue.redis.zrange(NORMAL.key, 0, -1) == [f"{task['id']}:0".encode()]


async def test_tasks_created_together_are_all_there(app: App):
    tasks = await asyncio.gather(*(app.creation.create(new_task(name=f"n{i}")) for i in range(300)))
    assert len({task["id"] for task in tasks}) == 300
    page = await app.reader.list_tasks(TENANT, PageRequest(1000), filter="", order_by="", full=False)
    assert {row["name"] for row in page.rows} == {f"n{i}" for i in range(300)}


async def test_a_task_for_later_is_scheduled_and_not_claimed_before(app: App):
    task = await app.creation.create(new_task(schedule_time=in_an_hour()))
    session_id = await open_test_session(app)
    assert task["status"] == "SCHEDULED"
    assert await claim_by_hand(app, session_id, task) == []


async def test_the_same_request_id_gives_the_same_task(app: App):
    first, second = await asyncio.gather(
        app.creation.create(new_task(request_id="r")), app.creation.create(new_task(request_id="r"))
    )
    third = await app.creation.create(new_task(request_id="r"))
    assert first["id"] == second["id"] == third["id"]


async def test_a_request_id_used_for_another_request_is_refused_alone(app: App):
    await app.creation.create(new_task(request_id="r"))
    refused, stored = await asyncio.gather(
        app.creation.create(new_task(request_id="r", name="another")),
        app.creation.create(new_task()),
        return_exceptions=True,
    )
    assert isinstance(refused, AlreadyExists)
    assert refused.reason == "REQUEST_ID_REUSED"
    assert not isinstance(stored, BaseException)


async def test_request_ids_of_tenants_do_not_meet(app: App):
    ours = await app.creation.create(new_task(request_id="r"))
    theirs = await app.creation.create(new_task(request_id="r", tenant_id="other", name="x"))
    assert ours["id"] != theirs["id"]


async def test_a_unique_key_keeps_a_second_task_out_until_the_first_is_final(app: App):
    first = await app.creation.create(new_task(unique_key=UniqueKey("k")))
    with pytest.raises(AlreadyExists) as refusal:
        await app.creation.create(new_task(unique_key=UniqueKey("k")))
    assert refusal.value.reason == "UNIQUE_KEY_HELD"
    assert refusal.value.metadata["task_id"] == str(first["id"])
    await app.cancellation.cancel(TENANT, first["id"], "tester", "")
    second = await app.creation.create(new_task(unique_key=UniqueKey("k")))
    assert second["id"] != first["id"]


async def test_a_waiting_scope_frees_the_key_when_the_first_task_starts(app: App):
    key = UniqueKey("k", scope="WAITING")
    first = await app.creation.create(new_task(unique_key=key))
    await claim_by_hand(app, await open_test_session(app), first)
    second = await app.creation.create(new_task(unique_key=key))
    assert second["id"] != first["id"]


async def test_return_existing_answers_with_the_holder_of_the_key(app: App):
    first = await app.creation.create(new_task(unique_key=UniqueKey("k")))
    key = UniqueKey("k", on_conflict="RETURN_EXISTING")
    assert (await app.creation.create(new_task(unique_key=key)))["id"] == first["id"]


async def test_replace_queued_cancels_a_waiting_holder_but_not_a_running_one(app: App):
    key = UniqueKey("k", on_conflict="REPLACE_QUEUED")
    first = await app.creation.create(new_task(unique_key=key))
    second = await app.creation.create(new_task(unique_key=key))
    assert await status_of(app, first) == "CANCELLED"
    await claim_by_hand(app, await open_test_session(app), second)
    third = await app.creation.create(new_task(unique_key=key))
    assert third["id"] == second["id"]


async def test_a_batch_is_stored_whole_or_not_at_all(app: App):
    await app.creation.create(new_task(request_id="r"))
    with pytest.raises(AlreadyExists) as refusal:
        await app.creation.create_all([new_task(), new_task(request_id="r", name="another")])
    assert refusal.value.metadata["index"] == "1"
    page = await app.reader.list_tasks(TENANT, PageRequest(), filter="", order_by="", full=False)
    assert len(page.rows) == 1
    assert len(await app.creation.create_all([new_task(), new_task()])) == 2


# Claiming


async def test_a_task_is_claimed_once_however_many_try(app: App):
    task = await app.creation.create(new_task())
    sessions = [await open_test_session(app) for _ in range(8)]
    claims = await asyncio.gather(*(claim_by_hand(app, session, task) for session in sessions))
    assert sorted(len(claimed) for claimed in claims) == [0] * 7 + [1]
    assert await kinds_of(app, task) == ["CREATED", "STARTED"]


async def test_what_a_claim_took_is_found_again_by_its_token(app: App):
    task = await app.creation.create(new_task())
    session_id = await open_test_session(app)
    wanted = Claim(session_id, "host:1", uuid4(), [(task["id"], 0)], attempt_timeout=60, max_crashes=3)
    (taken,) = await claim(app.database, wanted)
    assert await taken_before(app.database, wanted) == [taken]
    assert await taken_before(app.database, replace(wanted, token=uuid4())) == []
    assert await claim(app.database, wanted) == []
    assert await kinds_of(app, task) == ["CREATED", "STARTED"]


async def test_a_hint_of_an_earlier_attempt_claims_nothing(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    await app.settlement.settle(settlement(task, session_id, "QUEUED"))
    hints = [(task["id"], 0)]
    assert (
        await claim(
            app.database, Claim(session_id, "host:1", uuid4(), hints, attempt_timeout=60, max_crashes=3)
        )
        == []
    )


async def test_of_tasks_on_their_last_chance_a_session_runs_one_at_a_time(app: App):
    """One of them may end its worker, and must not take the others with it."""
    session_id, other_session = await open_test_session(app), await open_test_session(app)
    tasks = [await app.creation.create(new_task()) for _ in range(3)]
    await app.database.pool.execute("UPDATE tasks SET crashes = 2")
    fresh = await app.creation.create(new_task())
    (suspect,) = await claim_by_hand(app, session_id, *tasks)
    assert [row["id"] for row in await claim_by_hand(app, session_id, *tasks, fresh)] == [fresh["id"]]
    assert len(await claim_by_hand(app, other_session, *tasks)) == 1
    await app.settlement.settle(settlement(suspect, session_id))
    assert len(await claim_by_hand(app, session_id, *tasks)) == 1


async def test_a_session_whose_lease_is_over_claims_nothing(app: App):
    task = await app.creation.create(new_task())
    assert await claim_by_hand(app, await open_test_session(app, lease_seconds=0), task) == []


async def test_an_expired_task_is_not_claimed(app: App):
    task = await app.creation.create(new_task(expire_time=datetime.now(UTC)))
    assert await claim_by_hand(app, await open_test_session(app), task) == []


# Settling


async def test_a_result_is_stored_as_it_was_returned(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    with pytest.raises(NoResult):
        await result_of(app, task)
    assert await app.settlement.settle(settlement(task, session_id, result='{"n":9007199254740993}'))
    assert await result_of(app, task) == '{"n":9007199254740993}'
    assert await kinds_of(app, task) == ["CREATED", "STARTED", "SUCCEEDED"]


async def test_an_attempt_is_settled_once(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    assert await app.settlement.settle(settlement(task, session_id))
    assert not await app.settlement.settle(settlement(task, session_id, "FAILED"))
    assert await status_of(app, task) == "SUCCEEDED"


async def test_another_session_cannot_settle_a_task(app: App):
    task = await running_task(app, await open_test_session(app))
    assert not await app.settlement.settle(settlement(task, await open_test_session(app)))
    assert await status_of(app, task) == "RUNNING"


async def test_a_failed_attempt_waits_and_counts(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    error = {"type": "ValueError", "message": "no", "stack_trace": "", "attempt": 1}
    await app.settlement.settle(settlement(task, session_id, "RETRYING", error=error, delay=3600))
    row = await get_task(app.database, TENANT, task["id"])
    assert (row["status"], row["failed_attempts"], row["error"]) == ("RETRYING", 1, error)
    assert row["run_at"] > datetime.now(UTC) + timedelta(minutes=59)
    (attempt,) = (await app.reader.list_attempts(TENANT, task["id"], PageRequest())).rows
    assert (attempt["outcome"], attempt["error"], attempt["worker"]) == ("FAILED", error, "host:1")


async def test_attempts_that_end_together_are_settled_each_on_its_own(app: App):
    session_id = await open_test_session(app)
    tasks = [await running_task(app, session_id) for _ in range(20)]
    refused = settlement(tasks[7], session_id, result="\0")  # PostgreSQL takes no NUL
    outcomes = await asyncio.gather(
        *(
            app.settlement.settle(refused if task is tasks[7] else settlement(task, session_id))
            for task in tasks
        ),
        return_exceptions=True,
    )
    assert [outcome is True for outcome in outcomes] == [task is not tasks[7] for task in tasks]
    assert await status_of(app, tasks[7]) == "RUNNING"


async def test_reports_are_numbered_in_order_and_the_last_progress_stays(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    lines = (
        Report("LOG", {"message": "one"}),
        Report("PROGRESS", {"progress": {"percent": 10}}),
        Report("PROGRESS", {"progress": {"percent": 20}}),
    )
    await app.reporting.report(Reports(task["id"], 1, session_id, "host:1", lines))
    assert await kinds_of(app, task) == ["CREATED", "STARTED", "LOG", "PROGRESS", "PROGRESS"]
    assert (await get_task(app.database, TENANT, task["id"]))["progress"] == {"percent": 20}


async def test_reports_of_an_ended_attempt_are_dropped(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    await app.settlement.settle(settlement(task, session_id))
    line = Report("LOG", {"message": "too late"})
    await app.reporting.report(Reports(task["id"], 1, session_id, "host:1", (line,)))
    assert await kinds_of(app, task) == ["CREATED", "STARTED", "SUCCEEDED"]


# Cancelling and retrying


@pytest.mark.parametrize("later", [False, True])
async def test_a_waiting_task_is_cancelled_at_once_and_only_once(app: App, later: bool):
    task = await app.creation.create(new_task(schedule_time=in_an_hour() if later else None))
    for _ in range(2):
        row = await app.cancellation.cancel(TENANT, task["id"], "tester", "not needed")
        assert (row["status"], row["cancel_reason"]) == ("CANCELLED", "not needed")
    assert await kinds_of(app, task) == ["CREATED", "CANCELLED"]


async def test_a_running_task_is_asked_to_stop_and_its_worker_learns_it(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    row = await app.cancellation.cancel(TENANT, task["id"], "tester", "stop")
    assert row["status"] == "RUNNING"
    (running,) = await beat(app.database, session_id, 60) or []
    assert running.cancel_requested
    await app.settlement.settle(settlement(task, session_id, "RETRYING"))
    assert await kinds_of(app, task) == ["CREATED", "STARTED", "CANCEL_REQUESTED", "CANCELLED"]


async def test_a_result_that_comes_before_the_cancellation_stands(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    await app.cancellation.cancel(TENANT, task["id"], "tester", "stop")
    await app.settlement.settle(settlement(task, session_id))
    assert await status_of(app, task) == "SUCCEEDED"


async def test_a_finished_task_cannot_be_cancelled(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    await app.settlement.settle(settlement(task, session_id))
    with pytest.raises(WrongStatus):
        await app.cancellation.cancel(TENANT, task["id"], "tester", "")


async def test_a_failed_task_is_put_back_with_its_attempts_counted_anew(app: App):
    session_id = await open_test_session(app)
    task = await running_task(app, session_id)
    failed = settlement(task, session_id, "FAILED", dead_letter_reason="EXHAUSTED")
    await app.settlement.settle(failed)
    row = await app.retry.retry(TENANT, task["id"], "tester", "fixed")
    assert (row["status"], row["failed_attempts"], row["attempt"]) == ("QUEUED", 0, 1)
    (again,) = await claim_by_hand(app, session_id, row)
    assert again["attempt"] == 2


async def test_only_failed_and_cancelled_tasks_can_be_put_back(app: App):
    task = await app.creation.create(new_task())
    with pytest.raises(WrongStatus) as refusal:
        await app.retry.retry(TENANT, task["id"], "tester", "")
    assert refusal.value.metadata["allowed"] == "FAILED,CANCELLED"


async def test_a_filter_by_tag_can_use_the_index_of_tags(app: App):
    condition = compile_filter("tags:urgent", FILTER_FIELDS)
    assert condition is not None
    query = select(Task.id).where(condition)
    sql = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
    async with app.database.pool.acquire() as connection:  # where tables are not read whole
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN {sql}")]
    assert any("Bitmap Index Scan on tasks_tags" in line for line in plan), plan


# Tenants


async def test_another_tenant_sees_and_moves_nothing(app: App):
    task = await app.creation.create(new_task())
    with pytest.raises(NotFound):
        await get_task(app.database, "other", task["id"])
    with pytest.raises(NotFound):
        await app.cancellation.cancel("other", task["id"], "stranger", "")
    with pytest.raises(NotFound):
        await app.retry.retry("other", task["id"], "stranger", "")
    with pytest.raises(NotFound):
        await app.reader.list_events("other", task["id"], PageRequest())
    page = await app.reader.list_tasks("other", PageRequest(), filter="", order_by="", full=True)
    assert list(page.rows) == []
    assert await status_of(app, task) == "QUEUED"
