"""Dead letters: seen, summed up, discarded, and replayed once each whatever happens on the way."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

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
from taskflow_core.app import App
from taskflow_core.dead_letters.replay import ReplayOrder, ReplayRun, ReplayStopped
from taskflow_core.dead_letters.selection import Selection
from taskflow_core.errors import InvalidArgument
from taskflow_core.queue import lanes
from taskflow_core.retry import RetryPolicy
from taskflow_core.states import Priority
from taskflow_core.tasks.create import UniqueKey
from taskflow_core.tasks.fail import Failure, settle_failure
from taskflow_core.tasks.read import PageRequest, get_task
from taskflow_core.tasks.retry import NewPayload
from taskflow_core.tasks.rows import Row
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import Registry
from taskflow_worker.service_handlers import service_handlers

# Dead tasks have a type that no worker here serves, and a lane of their own: once replayed they stay QUEUED.
ELSEWHERE = {"queue": "elsewhere"}


@pytest.fixture
async def session_id(app: App) -> int:
    return await open_test_session(app)


async def die(app: App, session_id: int, error: Failure | None = None, **fields: Any) -> Row:
    """A dead letter."""
    task = await running_task(app, session_id, **(ELSEWHERE | fields))
    await fail(app, session_id, task, error)
    return await get_task(app.database, task["tenant_id"], task["id"])


async def fail(app: App, session_id: int, task: Row, error: Failure | None = None) -> None:
    failed = settle_failure(
        error or Failure("ValueError", "no", final=True),
        RetryPolicy(max_attempts=1),
        random.Random(0),
        task_id=task["id"],
        task_type=task["task_type"],
        attempt=task["attempt"],
        session_id=session_id,
        worker="host:1",
        failed_attempts=0,
    )
    assert await app.settlement.settle(failed)


async def listed(app: App, filter: str = "", order_by: str = "", tenant_id: str = TENANT) -> list[UUID]:
    page = await app.dead_letters.list(tenant_id, PageRequest(), filter=filter, order_by=order_by, full=False)
    return [row["id"] for row in page.rows]


def ids(tasks: Sequence[Row]) -> list[UUID]:
    return [task["id"] for task in tasks]


@asynccontextmanager
async def working(app: App) -> AsyncIterator[None]:
    """A worker that has the service's own handlers."""
    worker = TaskWorker(app, Registry(service_handlers(app)), lanes(["default"], tuple(Priority)))
    main = asyncio.create_task(worker.main())
    try:
        yield
    finally:
        worker.drain()
        await main


async def submit(app: App, order: ReplayOrder, tenant_id: str = TENANT) -> Row:
    """A replay, waiting for a worker."""
    new = order.task(
        tenant_id=tenant_id, actor="operator", queue="default", priority="NORMAL", request_id=None
    )
    return await app.creation.create(new)


async def replay(app: App, order: ReplayOrder, tenant_id: str = TENANT) -> dict[str, int]:
    """The result of a replay that a worker has carried out."""
    task = await submit(app, order, tenant_id)
    async with working(app):
        return await result_of(app, task)


async def result_of(app: App, task: Row) -> dict[str, int]:
    row = await app.watch.wait(task["tenant_id"], task["id"], 20)
    assert row["status"] == "SUCCEEDED", row["error"]
    result: dict[str, int] = json.loads(row["result"])
    return result


async def begin(app: App, session_id: int, order: ReplayOrder) -> tuple[Row, ReplayRun]:
    """A replay whose worker is the test."""
    (task,) = await claim_by_hand(app, session_id, await submit(app, order))
    return task, await app.dead_letter_replay.begin(TENANT, task["id"], task["attempt"], order)


async def counts_of(app: App, task: Row) -> list[float]:
    """What the progress of a replay counted, batch by batch."""
    page = await app.reader.list_events(TENANT, task["id"], PageRequest(1000))
    return [row["data"]["progress"]["current"] for row in page.rows if row["kind"] == "PROGRESS"]


# Seeing


async def test_what_failed_for_good_is_a_dead_letter_with_a_cause_and_a_fingerprint(app: App, session_id):
    final = await die(app, session_id, Failure("ValueError", "no customer 7", final=True))
    exhausted = await die(app, session_id, Failure("ValueError", "no customer 8"))
    assert (final["dead_letter_reason"], exhausted["dead_letter_reason"]) == ("NOT_RETRYABLE", "EXHAUSTED")
    assert final["error_fingerprint"] == exhausted["error_fingerprint"]
    assert await listed(app) == ids([exhausted, final])


async def test_tasks_that_kill_their_workers_are_alike_whatever_the_worker(app: App):
    tasks = [await app.creation.create(new_task()) for _ in range(2)]
    for number in range(app.settings.max_crashes):
        for task in tasks:
            session_id = await open_test_session(app, worker=f"host-{task['id']}:{number}")
            assert await claim_by_hand(app, session_id, await get_task(app.database, TENANT, task["id"]))
            await app.database.pool.execute("UPDATE worker_sessions SET lease_until = now() - interval '1 s'")
            await app.sweep.run()
    assert len(await listed(app, "cause = CRASH_LOOP")) == 2
    summary = await app.dead_letters.summarize(TENANT, PageRequest(), filter="")
    assert [row["size"] for row in summary.page.rows] == [2]


@pytest.mark.parametrize(
    "filter",
    [
        "error_type = ConnectionError",
        "cause = EXHAUSTED",
        "task_type = other",
        'dead_time > "2026-01-01T00:00:00Z" AND error_type = "Conn*"',
        "fingerprint = {fingerprint}",
        "error_type != ValueError AND replay_count = 0",
    ],
)
async def test_dead_letters_are_found_by_how_they_failed(app: App, session_id, filter):
    await die(app, session_id)
    wanted = await die(app, session_id, Failure("ConnectionError", "refused"), task_type="other")
    assert await listed(app, filter.format(fingerprint=wanted["error_fingerprint"])) == [wanted["id"]]


async def test_pages_lead_through_all_dead_letters_in_either_order(app: App, session_id):
    tasks = [await die(app, session_id) for _ in range(5)]
    for order_by, expected in (("dead_time", tasks), ("", tasks[::-1]), ("create_time", tasks)):
        seen: list[UUID] = []
        token = ""
        while True:
            page = await app.dead_letters.list(
                TENANT, PageRequest(2, token), filter="", order_by=order_by, full=True
            )
            seen += ids(page.rows)
            assert all(row["payload"] == "{}" for row in page.rows)
            token = page.next_page_token
            if not token:
                break
        assert seen == ids(expected)


async def test_a_wrong_filter_is_refused_before_a_replay_is_created(app: App):
    with pytest.raises(InvalidArgument) as refusal:
        await submit(app, ReplayOrder(Selection(filter="no_such_field = 1")))
    assert refusal.value.reason == "INVALID_FILTER"


async def test_the_summary_has_a_group_for_each_way_to_fail_the_largest_first(app: App, session_id):
    refused = Failure("ConnectionError", "refused", 'File "/app/shop.py", line 1, in charge')
    for task_type, queue in (("a", "one"), ("b", "two"), ("a", "two")):
        last = await die(app, session_id, refused, task_type=task_type, queue=queue)
    rare = await die(app, session_id)
    await die(app, session_id, tenant_id="other")
    first, second = [
        await app.dead_letters.summarize(TENANT, PageRequest(1, token), filter="")
        for token in (
            "",
            (await app.dead_letters.summarize(TENANT, PageRequest(1), filter="")).page.next_page_token,
        )
    ]
    (large,), (small,) = first.page.rows, second.page.rows
    assert (large["size"], large["id"], large["error"]["type"]) == (3, last["id"], "ConnectionError")
    assert (list(large["task_types"]), list(large["queues"])) == (["a", "b"], ["two", "one"])
    assert large["first_time"] < large["last_time"] == last["finished_at"]
    assert (small["size"], small["id"]) == (1, rare["id"])
    assert (first.total, second.total, second.page.next_page_token) == (4, 4, "")


async def test_the_summary_obeys_a_filter(app: App, session_id):
    await die(app, session_id)
    await die(app, session_id, Failure("ConnectionError", "refused"))
    summary = await app.dead_letters.summarize(TENANT, PageRequest(), filter="error_type = ConnectionError")
    assert ([row["size"] for row in summary.page.rows], summary.total) == ([1], 1)


@pytest.mark.parametrize("query", ["list", "summary"])
async def test_lists_and_summaries_are_read_from_indexes_of_dead_letters_alone(app: App, query):
    statement = {
        "list": "SELECT id FROM tasks WHERE tenant_id = $1 AND status = 'FAILED' AND discarded_at IS NULL"
        " ORDER BY finished_at DESC, id DESC LIMIT 50",
        "summary": "SELECT error_fingerprint, count(*) FROM tasks WHERE tenant_id = $1 AND status = 'FAILED'"
        " AND discarded_at IS NULL GROUP BY error_fingerprint",
    }[query]
    async with app.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {statement}", TENANT)
    text = "\n".join(row[0] for row in plan)
    assert {"list": "tasks_dead", "summary": "tasks_failed_alike"}[query] in text


# Discarding


async def test_a_discarded_dead_letter_stays_failed_but_is_none_any_more(app: App, session_id):
    gone, kept = await die(app, session_id), await die(app, session_id)
    for expected in (1, 0):
        discarded = await app.dead_letter_discard.discard(
            TENANT, Selection(ids=(gone["id"],)), "operator", "known"
        )
        assert (discarded.count, discarded.more) == (expected, False)
    assert await status_of(app, gone) == "FAILED"
    assert await kinds_of(app, gone) == ["CREATED", "STARTED", "FAILED", "DISCARDED"]
    assert await listed(app) == [kept["id"]]


async def test_dead_letters_are_discarded_by_filter(app: App, session_id):
    await die(app, session_id, Failure("ConnectionError", "refused"))
    kept = await die(app, session_id)
    selection = Selection(filter="error_type = ConnectionError")
    assert (await app.dead_letter_discard.discard(TENANT, selection, "operator", "")).count == 1
    assert await listed(app) == [kept["id"]]


async def test_a_discarded_task_can_still_be_retried_by_id_and_fail_again(app: App, session_id):
    task = await die(app, session_id)
    await app.dead_letter_discard.discard(TENANT, Selection(ids=(task["id"],)), "operator", "")
    again = await app.retry.retry(TENANT, task["id"], "operator", "after all")
    (claimed,) = await claim_by_hand(app, session_id, again)
    await fail(app, session_id, claimed)
    assert await listed(app, "replay_count = 1") == [task["id"]]


# Replaying


async def test_a_replay_puts_the_matching_dead_letters_back_and_says_how_many(app: App, session_id):
    tasks = [await die(app, session_id, Failure("ConnectionError", "refused")) for _ in range(3)]
    other = await die(app, session_id)
    order = ReplayOrder(Selection(filter="error_type = ConnectionError"), reason="it is up again")
    assert await replay(app, order) == {"replayed": 3, "skipped": 0}
    for task in tasks:
        row = await get_task(app.database, TENANT, task["id"])
        assert (row["status"], row["replays"], row["failed_attempts"], row["payload"]) == (
            "QUEUED",
            1,
            0,
            "{}",
        )
        (event,) = [
            event
            for event in (await app.reader.list_events(TENANT, task["id"], PageRequest())).rows
            if event["kind"] == "REPLAYED"
        ]
        assert (event["actor"], event["data"]["message"]) == ("operator", "it is up again")
    assert await listed(app) == [other["id"]]


async def test_a_replay_by_ids_skips_what_is_no_dead_letter(app: App, session_id):
    dead, discarded = await die(app, session_id), await die(app, session_id)
    queued = await app.creation.create(new_task(**ELSEWHERE))
    await app.dead_letter_discard.discard(TENANT, Selection(ids=(discarded["id"],)), "operator", "")
    selection = Selection(ids=(dead["id"], discarded["id"], queued["id"]))
    assert await replay(app, ReplayOrder(selection)) == {"replayed": 1, "skipped": 2}
    assert await kinds_of(app, queued) == ["CREATED"]
    assert await status_of(app, discarded) == "FAILED"


async def test_a_new_payload_takes_the_place_of_the_old(app: App, session_id):
    task = await die(app, session_id, payload='{"n": 1}', payload_form="STRUCT")
    new = NewPayload('{"n": 9007199254740993}', "JSON")
    await replay(app, ReplayOrder(Selection(ids=(task["id"],)), payload=new))
    row = await get_task(app.database, TENANT, task["id"])
    assert (row["payload"], row["payload_form"]) == (new.text, new.form)


@pytest.mark.parametrize(
    ("rate", "size", "seconds"), [(0, 500, 0), (1, 1, 1), (0.5, 1, 2), (100, 10, 0.1), (10_000, 500, 0.05)]
)
def test_a_rate_is_kept_by_small_batches(rate, size, seconds):
    order = ReplayOrder(Selection(), max_rate=rate)
    assert (order.batch_size, order.seconds_per_batch) == (size, seconds)


async def test_a_replay_with_a_rate_goes_batch_by_batch_and_shows_it(app: App, session_id):
    for _ in range(25):
        await die(app, session_id)
    task = await submit(app, ReplayOrder(Selection(filter="status = FAILED"), max_rate=100))
    async with working(app):
        assert await result_of(app, task) == {"replayed": 25, "skipped": 0}
    assert await counts_of(app, task) == [0, 10, 20, 25]
    progress = (await get_task(app.database, TENANT, task["id"]))["progress"]
    assert (progress["current"], progress["total"], progress["unit"]) == (25, 25, "tasks")


async def test_two_replays_of_the_same_dead_letters_move_each_once(app: App, session_id):
    tasks = [await die(app, session_id) for _ in range(30)]
    order = ReplayOrder(Selection(ids=tuple(ids(tasks))), max_rate=200)
    replays = [await submit(app, order) for _ in range(2)]
    async with working(app):
        results = await asyncio.gather(*(result_of(app, task) for task in replays))
    assert sum(result["replayed"] for result in results) == 30
    assert sum(result["skipped"] for result in results) == 30
    for task in tasks:
        assert (await kinds_of(app, task)).count("REPLAYED") == 1


async def test_one_that_fails_again_is_not_taken_twice(app: App, session_id):
    task = await die(app, session_id)
    order = ReplayOrder(Selection(filter="status = FAILED"), max_rate=1)
    _, run = await begin(app, session_id, order)
    run = await app.dead_letter_replay.next_batch(run)
    (claimed,) = await claim_by_hand(app, session_id, await get_task(app.database, TENANT, task["id"]))
    await fail(app, session_id, claimed)
    run = await app.dead_letter_replay.next_batch(run)
    assert (run.replayed, run.finished) == (1, True)
    assert await listed(app) == [task["id"]]


async def test_what_fails_after_the_call_is_not_taken(app: App, session_id):
    early = await die(app, session_id)
    task = await submit(app, ReplayOrder(Selection(filter="status = FAILED")))
    late = await die(app, session_id)
    async with working(app):
        assert await result_of(app, task) == {"replayed": 1, "skipped": 0}
    assert await status_of(app, early) == "QUEUED"
    assert await listed(app) == [late["id"]]


async def test_a_replay_whose_worker_dies_is_finished_by_another_with_nothing_doubled(app: App, session_id):
    tasks = [await die(app, session_id) for _ in range(25)]
    order = ReplayOrder(Selection(filter="status = FAILED"), max_rate=100)
    lost_session = await open_test_session(app)
    task, run = await begin(app, lost_session, order)
    run = await app.dead_letter_replay.next_batch(run)
    # As if the process had died here: its lease runs out.
    await app.database.pool.execute(
        "UPDATE worker_sessions SET lease_until = now() - interval '1 s' WHERE id = $1", lost_session
    )
    await app.sweep.run()
    with pytest.raises(ReplayStopped):
        await app.dead_letter_replay.next_batch(run)
    async with working(app):
        assert await result_of(app, task) == {"replayed": 25, "skipped": 0}
    assert await counts_of(app, task) == [0, 10, 10, 20, 25]
    for dead in tasks:
        assert (await kinds_of(app, dead)).count("REPLAYED") == 1


async def test_a_cancelled_replay_moves_nothing_more(app: App, session_id):
    for _ in range(2):
        await die(app, session_id)
    task, run = await begin(app, session_id, ReplayOrder(Selection(filter="status = FAILED"), max_rate=1))
    run = await app.dead_letter_replay.next_batch(run)
    await app.cancellation.cancel(TENANT, task["id"], "operator", "wrong ones")
    with pytest.raises(ReplayStopped):
        await app.dead_letter_replay.next_batch(run)
    await app.settlement.settle(settlement(task, session_id, "FAILED"))
    assert await status_of(app, task) == "CANCELLED"
    assert len(await listed(app)) == 1


async def test_a_running_replay_is_cancelled_like_any_task(app: App, session_id):
    for _ in range(2):
        await die(app, session_id)
    task = await submit(app, ReplayOrder(Selection(filter="status = FAILED"), max_rate=0.001))
    async with working(app):
        async for _ in app.feed.follow(task["id"], 3, 20):  # its first batch is done
            break
        await app.cancellation.cancel(TENANT, task["id"], "operator", "wrong ones")
        assert (await app.watch.wait(TENANT, task["id"], 20))["status"] == "CANCELLED"
    assert len(await listed(app)) == 1


async def test_one_whose_unique_key_is_held_stays_and_leaves_the_others_alone(app: App, session_id):
    holder_of = UniqueKey("k")
    held = await die(app, session_id, unique_key=holder_of)
    await app.creation.create(new_task(**ELSEWHERE, unique_key=holder_of))
    twins = [await die(app, session_id, unique_key=UniqueKey("twins")) for _ in range(2)]
    free = [await die(app, session_id) for _ in range(3)]
    result = await replay(app, ReplayOrder(Selection(filter="status = FAILED")))
    assert result == {"replayed": 4, "skipped": 2}
    assert [await status_of(app, task) for task in free] == ["QUEUED"] * 3
    assert await status_of(app, held) == "FAILED"
    assert sorted([await status_of(app, task) for task in twins]) == ["FAILED", "QUEUED"]


async def test_a_replay_that_finds_nothing_succeeds(app: App):
    assert await replay(app, ReplayOrder(Selection(filter="status = FAILED"))) == {
        "replayed": 0,
        "skipped": 0,
    }


# Tenants


async def test_a_stranger_sees_discards_and_replays_nothing(app: App, session_id):
    task = await die(app, session_id)
    everything = Selection(filter="status = FAILED")
    assert await listed(app, tenant_id="other") == []
    assert await app.dead_letters.count("other", everything) == 0
    assert (await app.dead_letters.summarize("other", PageRequest(), filter="")).total == 0
    for selection in (everything, Selection(ids=(task["id"],))):
        assert (await app.dead_letter_discard.discard("other", selection, "stranger", "")).count == 0
        result = await replay(app, ReplayOrder(selection), tenant_id="other")
        assert result["replayed"] == 0
    assert await listed(app) == [task["id"]]
