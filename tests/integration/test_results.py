"""Large results: in the result store, exact, and of the attempt that settled."""

import asyncio
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from structlog.testing import capture_logs

from support.http_site import response, running_site
from support.tasks import (
    TENANT,
    claim_by_hand,
    new_task,
    open_test_session,
    result_of,
    running_task,
    settlement,
    status_of,
)
from taskflow_core.app import App, listening, open_app
from taskflow_core.errors import NotFound
from taskflow_core.payloads import ResultTooLarge
from taskflow_core.queue import lanes
from taskflow_core.result_store import CHUNK, ResultStore, ResultStoreError
from taskflow_core.settings import Settings
from taskflow_core.tasks.read import PageRequest, get_task
from taskflow_core.tasks.rows import Row
from taskflow_dev.ports import LOOPBACK, free_port, is_open
from taskflow_dev.program import Program, running
from taskflow_server import pack
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import Handler, Registry

TASK_ID = UUID("01980000-0000-7000-8000-000000000000")
LARGE = "äöü0123456789" * 30_000


@pytest.fixture
def folder(data_folder: Path) -> Path:
    return data_folder / "the results"


@pytest.fixture
def settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, result_store=folder.as_uri())


async def run(app: App, function: Callable[..., Any], **fields: Any) -> Row:
    """The task, once a worker with this handler has finished it."""
    worker = TaskWorker(app, Registry([Handler("it", function)]), lanes(["default"], ["NORMAL"]))
    main = asyncio.create_task(worker.main())
    task = await app.creation.create(new_task(task_type="it", **fields))
    row = await app.watch.wait(TENANT, task["id"], 20)
    worker.drain()
    await main
    return row


async def read(store: ResultStore, url: str) -> list[bytes]:
    return [chunk async for chunk in store.read(url)]


async def test_a_large_result_lies_in_the_store_and_is_read_exactly(app: App, folder: Path):
    task = await run(app, lambda context, payload: LARGE)
    assert (task["status"], task["result"]) == ("SUCCEEDED", None)
    assert task["result_url"] == f"{folder.as_uri()}/{TENANT}/{task['id']}/1.json"
    assert await result_of(app, task) == f'"{LARGE}"'
    packed = pack.with_result(task)
    assert (packed.result_url, packed.WhichOneof("result_kind")) == (task["result_url"], None)
    page = await app.reader.list_tasks(TENANT, PageRequest(), filter="", order_by="", full=True)
    assert page.rows[0]["result_url"] == task["result_url"]


async def test_a_result_at_the_limit_stays_in_the_row_and_one_byte_more_does_not(app: App):
    limit = app.settings.result_inline_bytes
    fits = await run(app, lambda context, payload: "x" * (limit - 2))
    assert len(fits["result"]) == limit
    assert (await run(app, lambda context, payload: "x" * (limit - 1)))["result"] is None


async def test_without_a_store_a_large_result_is_refused_by_the_name_of_the_setting(
    database_url: str, redis_url: str
):
    settings = Settings(database_url=database_url, redis_url=redis_url)
    async with open_app(settings, "test") as app, listening(app.feed):
        task = await run(app, lambda context, payload: "x" * 65_536)
    assert (task["status"], task["error"]["type"]) == ("FAILED", "ResultTooLarge")
    assert "65538 bytes of JSON; at most 65536" in task["error"]["message"]
    assert "TASKFLOW_RESULT_STORE" in task["error"]["message"]


async def test_the_hard_limit_holds_with_a_store_too(settings: Settings):
    async with open_app(settings.model_copy(update={"max_result_bytes": 100_000}), "test") as strict:
        with pytest.raises(ResultTooLarge, match=r"at most 100000 .*TASKFLOW_MAX_RESULT_BYTES"):
            await strict.results.keep({}, "x" * 100_000)


async def test_a_fenced_attempt_does_not_overwrite_the_result_of_a_later_one(app: App):
    lost_session, session_id = await open_test_session(app), await open_test_session(app)
    first = await running_task(app, lost_session)
    await app.settlement.settle(settlement(first, lost_session, "QUEUED"))
    (second,) = await claim_by_hand(app, session_id, await get_task(app.database, TENANT, first["id"]))
    kept = await app.results.keep(second, LARGE)
    await app.settlement.settle(settlement(second, session_id, result=kept.text, result_url=kept.url))
    zombie = await app.results.keep(first, "z" * 100_000)
    late = settlement(first, lost_session, result=zombie.text, result_url=zombie.url)
    assert not await app.settlement.settle(late)
    assert await result_of(app, first) == f'"{LARGE}"'


async def test_a_store_that_fails_fails_the_attempt_and_another_follows(app: App, folder: Path):
    folder.joinpath(TENANT).write_text("in the way of the folder")

    async def large(context: Any, payload: Any) -> str:
        if context.attempt == 2:
            folder.joinpath(TENANT).unlink()
        return LARGE

    task = await run(app, large, retry_policy={"max_attempts": 2, "initial_backoff": 0.0})
    assert (task["status"], task["error"]["type"]) == ("SUCCEEDED", "ResultStoreError")
    assert task["error"]["message"].startswith(f"cannot write {folder.as_uri()}/{TENANT}/{task['id']}/1.json")
    assert await result_of(app, task) == f'"{LARGE}"'


async def test_a_server_that_lacks_the_store_says_so(app: App, settings: Settings):
    task = await run(app, lambda context, payload: LARGE)
    async with open_app(settings.model_copy(update={"result_store": ""}), "test") as bare:
        with pytest.raises(ResultStoreError, match="TASKFLOW_RESULT_STORE"):
            await result_of(bare, task)
    assert await status_of(app, task) == "SUCCEEDED"


# The store itself. `memory:` takes the way of S3 and the like, where `file:` has extras of its own.


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, folder: Path) -> ResultStore:
    return ResultStore(folder.as_uri() if request.param == "file" else "memory:///")


async def test_a_result_comes_back_in_chunks_that_fit_a_message(store: ResultStore):
    data = bytes(range(256)) * 20_000
    url = await store.write(TENANT, TASK_ID, 1, data)
    chunks = await read(store, url)
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= CHUNK


async def test_deleting_a_task_spares_later_attempts_and_other_tasks(store: ResultStore):
    other = UUID(int=TASK_ID.int + 1)
    urls = [await store.write(TENANT, TASK_ID, attempt, b"{}") for attempt in (1, 2, 10)]
    theirs = await store.write("other", TASK_ID, 1, b"{}")
    neighbour = await store.write(TENANT, other, 1, b"{}")
    for _ in range(2):
        await store.delete(TENANT, TASK_ID, 2)
    for url in urls[:2]:
        with pytest.raises(NotFound):
            await read(store, url)
    for url in (urls[2], theirs, neighbour):
        assert await read(store, url) == [b"{}"]


async def test_nothing_outside_of_the_store_is_read(store: ResultStore, data_folder: Path):
    secret = data_folder / "secret.json"
    secret.write_text("{}")
    with pytest.raises(ResultStoreError, match="outside"):
        await read(store, secret.as_uri())
    with pytest.raises((ResultStoreError, ValueError)):
        await read(store, f"{store.url}/../secret.json")


async def test_a_store_that_is_not_there_says_so(folder: Path):
    # Nobody listens on this port.
    store = ResultStore("http://127.0.0.1:1/results")
    async with asyncio.timeout(60):
        with pytest.raises(ResultStoreError, match="cannot write"):
            await store.write(TENANT, TASK_ID, 1, b"{}")


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/x", "s3://", "file:///proc/nowhere"])
def test_what_is_no_store_is_refused_by_the_name_of_the_setting(url: str):
    with pytest.raises(ValueError, match="TASKFLOW_RESULT_STORE"):
        ResultStore(url)


def s3_at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let the usual variables lead to an S3 on this machine."""
    monkeypatch.setenv("AWS_ENDPOINT", f"http://{LOOPBACK}:{port}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")


async def test_a_bucket_that_is_missing_fails_the_start_with_what_to_do(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    no_bucket = b"<Error><Code>NoSuchBucket</Code><Message>The bucket does not exist</Message></Error>"
    async with running_site() as site:
        site.answer = lambda _: response(no_bucket, "404 Not Found")
        s3_at(monkeypatch, site.port)
        missing = settings.model_copy(update={"result_store": "s3://results/of"})
        with pytest.raises(ValueError, match=r"TASKFLOW_RESULT_STORE is 's3://results/of'.* create it"):
            async with open_app(missing, "test"):
                pass


async def test_a_store_that_is_away_at_the_start_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    s3_at(monkeypatch, 1)
    away = settings.model_copy(update={"result_store": "s3://results/of"})
    with capture_logs() as lines:
        async with open_app(away, "test") as app:
            assert await app.creation.create(new_task())
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == [
        "the result store does not answer"
    ]


@pytest.mark.skipif(find_spec("moto") is None, reason="needs moto[server], an S3 of this machine")
async def test_a_large_result_goes_through_s3(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    port = free_port()
    command = (sys.executable, "-m", "moto.server", "-p", str(port))
    s3_at(monkeypatch, port)
    stored = settings.model_copy(update={"result_store": "s3://results/of/taskflow"})
    with running(Program("s3", command, is_ready=lambda: is_open(port)), tmp_path):
        async with httpx.AsyncClient() as client:
            (await client.put(f"http://{LOOPBACK}:{port}/results")).raise_for_status()
        async with open_app(stored, "test") as app, listening(app.feed):
            task = await run(app, lambda context, payload: LARGE)
            assert task["result_url"] == f"s3://results/of/taskflow/{TENANT}/{task['id']}/1.json"
            assert await result_of(app, task) == f'"{LARGE}"'
            store = ResultStore(stored.result_store)
            await store.delete(TENANT, task["id"], 1)
            with pytest.raises(NotFound):
                await result_of(app, task)
