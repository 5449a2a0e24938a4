"""gRPC-web from a browser, and native gRPC, through Envoy's port and at the server's own."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc.aio
import httpx
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from support.stack import StackAddresses
from taskflow_proto.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc
from taskflow_server.contract import services

ORIGIN = "https://console.example.com"
TASK = task_pb2.Task(task_type="echo", payload_json='{"n": 30}')
MISSING = "01980000-0000-7000-8000-000000000000"
# The first byte of a grpc-web frame: a message, or the trailers, which end the body.
MESSAGE, TRAILERS = 0, 0x80


@pytest.fixture(params=["through Envoy", "at the server"])
async def channel(stack: StackAddresses, request: pytest.FixtureRequest) -> AsyncIterator[grpc.aio.Channel]:
    envoy = stack.rest.removeprefix("http://")
    address = envoy if request.param == "through Envoy" else stack.grpc
    async with grpc.aio.insecure_channel(address) as channel:
        yield channel


async def test_a_task_is_submitted_and_followed_to_its_result(channel: grpc.aio.Channel) -> None:
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    task = await stub.CreateTask(task_service_pb2.CreateTaskRequest(task=TASK))
    watch = [message async for message in stub.WatchTask(task_service_pb2.WatchTaskRequest(task_id=task.id))]
    assert watch[0].snapshot.task.id == task.id
    assert watch[-1].closing.task.result_json == '{"n":30}'
    result = [
        part async for part in stub.GetTaskResult(task_service_pb2.GetTaskResultRequest(task_id=task.id))
    ]
    assert b"".join(part.data for part in result) == b'{"n":30}'
    assert result[0].content_type == "application/json"


async def test_a_stream_of_tasks_has_an_outcome_for_each(channel: grpc.aio.Channel) -> None:
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    wrong = task_pb2.Task(task_type="no name")
    requests = [
        task_service_pb2.SubmitTasksRequest(request=task_service_pb2.CreateTaskRequest(task=task))
        for task in (TASK, wrong, TASK)
    ]
    outcomes = [outcome async for outcome in stub.SubmitTasks(iter(requests))]
    assert [outcome.index for outcome in outcomes] == [0, 1, 2]
    assert [outcome.WhichOneof("outcome") for outcome in outcomes] == ["task", "error", "task"]


async def test_an_error_has_its_details_and_its_request_id(channel: grpc.aio.Channel) -> None:
    stub = task_service_pb2_grpc.TaskServiceStub(channel)
    call = stub.GetTask(
        task_service_pb2.GetTaskRequest(task_id=MISSING), metadata=(("x-request-id", "mine-1"),)
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert dict(caught.value.trailing_metadata())["x-request-id"] == "mine-1"
    info = ErrorInfo()
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None
    assert status.details[0].Unpack(info)
    assert info.reason == "NOT_FOUND"


async def test_a_request_that_cannot_be_read_has_a_reason(channel: grpc.aio.Channel) -> None:
    get: Any = channel.unary_unary("/taskflow.v1.TaskService/GetTask", request_serializer=bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await get(b"\x0a\x01\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    submit: Any = channel.stream_stream("/taskflow.v1.TaskService/SubmitTasks", request_serializer=bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await submit(iter([b"\xff"])).read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_each_service_says_that_it_serves(channel: grpc.aio.Channel) -> None:
    health: Any = health_pb2_grpc.HealthStub(channel)
    for name in ("", *(service.name for service in services())):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_tells_what_can_be_called(channel: grpc.aio.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    [answer] = [message async for message in call]
    names = {service.name for service in answer.list_services_response.service}
    assert {service.name for service in services()} | {"grpc.health.v1.Health"} <= names


def call_from_a_browser(rest: httpx.Client, method: str, request: Message) -> httpx.Response:
    """A grpc-web call by hand: the message in one frame."""
    message = request.SerializeToString()
    return rest.post(
        f"/taskflow.v1.TaskService/{method}",
        content=bytes([MESSAGE]) + len(message).to_bytes(4, "big") + message,
        headers={"content-type": "application/grpc-web+proto", "x-grpc-web": "1", "origin": ORIGIN},
    )


def frames(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The frames of a grpc-web body: what each is, and its content."""
    while body:
        end = 5 + int.from_bytes(body[1:5], "big")
        yield body[0], body[5:end]
        body = body[end:]


def answer_to_a_browser(response: httpx.Response) -> tuple[list[bytes], str]:
    """The messages and the trailers, as a browser on another site may read them."""
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/grpc-web+proto"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert "grpc-status" in response.headers["access-control-expose-headers"]
    *messages, (last, trailers) = frames(response.content)
    assert last == TRAILERS
    assert all(kind == MESSAGE for kind, _ in messages)
    return [message for _, message in messages], trailers.decode()


def test_a_browser_calls_and_watches(rest: httpx.Client) -> None:
    request = task_service_pb2.CreateTaskRequest(task=TASK)
    [created], trailers = answer_to_a_browser(call_from_a_browser(rest, "CreateTask", request))
    assert "grpc-status:0\r\n" in trailers
    task_id = task_pb2.Task.FromString(created).id
    watch = task_service_pb2.WatchTaskRequest(task_id=task_id)
    messages, trailers = answer_to_a_browser(call_from_a_browser(rest, "WatchTask", watch))
    assert "grpc-status:0\r\n" in trailers
    first, *_, last = map(task_service_pb2.WatchTaskResponse.FromString, messages)
    assert first.snapshot.task.id == task_id
    assert last.closing.task.status == task_pb2.Task.SUCCEEDED


def test_a_browser_learns_why_a_call_failed(rest: httpx.Client) -> None:
    response = call_from_a_browser(rest, "GetTask", task_service_pb2.GetTaskRequest(task_id=MISSING))
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["grpc-status"] == "5"
    assert MISSING in response.headers["grpc-message"]
    assert response.headers["grpc-status-details-bin"]


def test_a_browser_may_ask_whether_it_may_call(rest: httpx.Client) -> None:
    response = rest.options(
        "/taskflow.v1.TaskService/WatchTask",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-grpc-web,x-tenant-id",
        },
    )
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert {"content-type", "x-grpc-web", "x-tenant-id"} <= {
        name.strip() for name in response.headers["access-control-allow-headers"].split(",")
    }
