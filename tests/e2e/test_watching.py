"""Watching through gRPC, REST and Server-Sent Events: cut anywhere and resumed, nothing is missing or doubled."""

import asyncio
import json
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from typing import Any

import grpc.aio
import httpx
import pytest

from support.rest import (
    Json,
    ServerSentEvent,
    finished,
    path_of,
    refused,
    run,
    server_sent_events,
    submit,
    submit_to_nobody,
    watched,
)
from support.stack import StackAddresses
from taskflow_proto.v1 import task_pb2
from taskflow_proto.v1.task_service_pb2 import (
    WatchTaskRequest,
    WatchTaskResponse,
    WatchTasksRequest,
    WatchTasksResponse,
)
from taskflow_proto.v1.task_service_pb2_grpc import TaskServiceStub

STEPS = 8
STEPPING: Json = {"task_type": "test.steps", "payload": {"steps": STEPS}}


@pytest.fixture(params=["through Envoy", "at the server"])
async def stub(stack: StackAddresses, request: pytest.FixtureRequest) -> AsyncIterator[TaskServiceStub]:
    address = stack.grpc if request.param == "at the server" else stack.rest.removeprefix("http://")
    async with grpc.aio.insecure_channel(address) as channel:
        yield TaskServiceStub(channel)


@pytest.fixture
def tenant(rest: httpx.Client) -> list[tuple[str, str]]:
    return [("x-tenant-id", rest.headers["x-tenant-id"])]


async def one_message(stream: Any) -> Any:
    """The next message that is no keep-alive."""
    while True:
        message = await stream.read()
        assert message is not grpc.aio.EOF
        if message.WhichOneof("message") != "keep_alive":
            return message


async def cut_after_each_message(stub: TaskServiceStub, tenant: Any, task_id: str) -> list[WatchTaskResponse]:
    """All messages of a watch of which every connection brings but one."""
    messages: list[WatchTaskResponse] = []
    token = ""
    while not messages or not messages[-1].HasField("closing"):
        stream = stub.WatchTask(WatchTaskRequest(task_id=task_id, resume_token=token), metadata=tenant)
        messages.append(await one_message(stream))
        stream.cancel()
        token = messages[-1].resume_token
    return messages


async def uncut(stub: TaskServiceStub, tenant: Any, task_id: str, token: str = "") -> list[WatchTaskResponse]:
    request = WatchTaskRequest(task_id=task_id, resume_token=token)
    stream: Any = stub.WatchTask(request, metadata=tenant)
    return [message async for message in stream if not message.HasField("keep_alive")]


async def test_a_watch_cut_after_every_message_of_a_run_is_the_uncut_one(
    rest: httpx.Client, stub: TaskServiceStub, tenant: Any
):
    running = submit(rest, **STEPPING)
    cut = await cut_after_each_message(stub, tenant, running["id"])
    seen = cut[0].snapshot.task.last_sequence
    last = cut[-1].closing.task
    assert [message.event.sequence for message in cut[1:-1]] == list(range(seen + 1, last.last_sequence + 1))
    assert last.status == task_pb2.Task.SUCCEEDED
    again = await uncut(stub, tenant, running["id"], cut[0].resume_token)
    assert again == cut[1:]


def streamed(rest: httpx.Client, task: Json, last_id: str = "") -> Generator[ServerSentEvent, None, None]:
    headers = {"last-event-id": last_id} if last_id else {}
    with rest.stream("GET", f"{path_of(task)}/events:stream", headers=headers) as response:
        assert response.headers["content-type"] == "text/event-stream"
        yield from server_sent_events(response.iter_lines())


def test_server_sent_events_cut_after_every_one_and_resumed_are_the_uncut_ones(rest: httpx.Client):
    task = submit(rest, **STEPPING)
    cut: list[ServerSentEvent] = []
    while not cut or cut[-1].name != "closing":
        with closing(streamed(rest, task, cut[-1].id if cut else "")) as events:
            cut.append(next(events))
    again = list(streamed(rest, task, cut[0].id))
    assert again == cut[1:]
    numbers = [event.data["event"]["sequence"] for event in cut if event.name == "event"]
    first = cut[0].data["snapshot"]["task"]["last_sequence"]
    assert numbers == list(range(first + 1, cut[-1].data["closing"]["task"]["last_sequence"] + 1))


def test_a_watch_opened_after_the_end_has_the_task_and_the_end(rest: httpx.Client):
    done = run(rest)
    snapshot, end = watched(rest, done)
    assert snapshot["snapshot"]["task"]["id"] == done["id"]
    assert end["closing"]["reason"] == "FINISHED"
    assert [event.name for event in streamed(rest, done)] == ["snapshot", "closing"]


async def test_watches_opened_at_every_moment_of_a_run_all_end_with_its_end(
    rest: httpx.Client, stub: TaskServiceStub, tenant: Any
):
    task = submit(rest, **STEPPING)
    first = asyncio.create_task(uncut(stub, tenant, task["id"]))
    watches = [first]
    while not first.done():
        watches.append(asyncio.create_task(uncut(stub, tenant, task["id"])))
        await asyncio.wait({first}, timeout=0.002)
    watches.append(asyncio.create_task(uncut(stub, tenant, task["id"])))
    ends = [messages[-1] for messages in await asyncio.gather(*watches)]
    assert {end.closing.task.status for end in ends} == {task_pb2.Task.SUCCEEDED}
    assert len({end.resume_token for end in ends}) == 1


async def all_events(stream: Any, until: Any) -> list[WatchTasksResponse]:
    messages: list[WatchTasksResponse] = []
    while not (messages and until(messages[-1])):
        messages.append(await one_message(stream))
    return messages


def has_ended(task_id: str) -> Any:
    def ended(message: WatchTasksResponse) -> bool:
        return bool(message.event.task_id == task_id and message.event.status == task_pb2.Task.SUCCEEDED)

    return ended


async def test_all_tasks_of_a_tenant_are_followed_and_cut_after_every_message(
    rest: httpx.Client, stub: TaskServiceStub, tenant: Any
):
    waiting = submit_to_nobody(rest)
    stream = stub.WatchTasks(WatchTasksRequest(), metadata=tenant)
    snapshot, end = await one_message(stream), await one_message(stream)
    assert snapshot.snapshot.task.id == waiting["id"]
    assert (end.snapshot_end.count, end.snapshot_end.reset) == (1, False)
    tasks = [submit(rest, **STEPPING) for _ in range(2)]
    for task in tasks:
        finished(rest, task)
    last = submit(rest)
    finished(rest, last)
    whole = await all_events(stream, has_ended(last["id"]))
    stream.cancel()

    cut: list[WatchTasksResponse] = []
    token = end.resume_token
    while not (cut and has_ended(last["id"])(cut[-1])):
        stream = stub.WatchTasks(WatchTasksRequest(resume_token=token), metadata=tenant)
        cut.append(await one_message(stream))
        stream.cancel()
        token = cut[-1].resume_token
    assert [message.event for message in cut] == [message.event for message in whole]
    for task in tasks:
        numbers = [message.event.sequence for message in cut if message.event.task_id == task["id"]]
        assert numbers == list(range(1, STEPS + 4))


def test_all_tasks_are_followed_line_by_line_over_rest(rest: httpx.Client):
    with rest.stream(
        "GET", "/api/v1/tasks:watch", params={"filter": "task_type = echo", "kinds": "SUCCEEDED"}
    ) as answer:
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = (json.loads(line) for line in answer.iter_lines())
        assert next(lines)["snapshot_end"] == {"count": 0, "reset": False}
        task = submit(rest)
        event = next(line for line in lines if "event" in line)["event"]
    assert (event["task_id"], event["kind"]) == (task["id"], "SUCCEEDED")


def test_a_watch_of_all_tasks_with_a_wrong_argument_is_refused(rest: httpx.Client):
    refused(rest.get("/api/v1/tasks:watch", params={"filter": "no = 1"}), 400, 3, "INVALID_FILTER")
    refused(rest.get("/api/v1/tasks:watch", params={"resume_token": "x"}), 400, 3, "INVALID_RESUME_TOKEN")
    refused(rest.get("/api/v1/tasks:watch", params={"kinds": "KIND_UNSPECIFIED"}), 400, 3, "INVALID_FIELDS")
