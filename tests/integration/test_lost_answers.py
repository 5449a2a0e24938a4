"""A caller that is told how many were moved is told the truth, also when the answer to a commit was lost."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from support.faults.proxy import Proxy
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
from taskflow_core.errors import WrongStatus
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
