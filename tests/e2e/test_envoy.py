"""What Envoy does by itself, in front of a tiny server of the real contract."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.api import httpbody_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from taskflow_dev.envoy import Envoy, running_envoy
from taskflow_dev.ports import LOOPBACK, free_port
from taskflow_dev.program import wait_until
from taskflow_proto.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc

TASK_ID = "01980000-0000-7000-8000-000000000000"
MISSING_ID = "01980000-0000-7000-8000-00000000dead"


class TinyTasks(task_service_pb2_grpc.TaskServiceServicer):
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.watch_ended = asyncio.Event()

    async def CreateTask(self, request: Any, context: Any) -> task_pb2.Task:
        metadata = dict(context.invocation_metadata())
        request.task.tags.append(metadata.get("idempotency-key", ""))
        request.task.tags.append(metadata["x-request-id"])
        return request.task  # type: ignore[no-any-return]

    async def GetTask(self, request: Any, context: Any) -> task_pb2.Task:
        if request.task_id == MISSING_ID:
            info = error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="taskflow")
            status = status_pb2.Status(code=5, message="no such task")
            status.details.add().Pack(info)
            await context.abort_with_status(rpc_status.to_status(status))
        return task_pb2.Task(id=request.task_id, name=f"{context.time_remaining():.3f}")

    async def WaitTask(self, request: Any, context: Any) -> task_pb2.Task:
        return task_pb2.Task(id=request.task_id, name=f"{context.time_remaining():.3f}")

    async def WatchTask(self, request: Any, context: Any) -> AsyncIterator[Any]:
        if request.task_id == MISSING_ID:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such task")
        try:
            yield task_service_pb2.WatchTaskResponse(resume_token="1")
            yield task_service_pb2.WatchTaskResponse(resume_token="2")
            if request.resume_token == "forever":
                await asyncio.Event().wait()
        finally:
            self.watch_ended.set()

    async def StreamTaskEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:
        last = dict(context.invocation_metadata()).get("last-event-id", "none")
        yield httpbody_pb2.HttpBody(content_type="text/event-stream", data=f"id: {last}\n\n".encode())
        await asyncio.Event().wait()


@pytest.fixture(scope="module")
def server_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def envoy(server_port: int) -> Iterator[Envoy]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running_envoy(Path(folder), server_ports=[server_port]) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def tasks() -> TinyTasks:
    return TinyTasks()  # type: ignore[abstract] # what it lacks is UNIMPLEMENTED


@pytest.fixture(scope="module")
async def server(envoy: Envoy, server_port: int, tasks: TinyTasks) -> AsyncIterator[None]:
    server = grpc.aio.server()
    task_service_pb2_grpc.add_TaskServiceServicer_to_server(tasks, server)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(f"{LOOPBACK}:{server_port}")
    await server.start()
    assert await asyncio.to_thread(wait_until, envoy.is_serving, seconds=10)
    yield
    await server.stop(None)


@pytest.fixture
async def rest(envoy: Envoy, server: None) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=envoy.url, timeout=10) as client:
        yield client


def assert_has_left(seconds: float, told: str) -> None:
    """What the server has left is what the call was given, less what the way took on a busy machine."""
    assert seconds - 4 < float(told) < seconds + 0.1


def assert_error(response: httpx.Response, http_status: int, code: int, reason: str) -> dict[str, Any]:
    assert response.status_code == http_status, response.text
    assert response.headers["content-type"] == "application/json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    assert body["message"]
    assert body["details"][0]["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"
    assert body["details"][0]["reason"] == reason
    assert body["details"][0]["domain"] == "taskflow"
    return body


async def test_without_a_server_every_call_says_unavailable(tmp_path: Path) -> None:
    with running_envoy(tmp_path, server_ports=[free_port()]) as envoy:
        async with httpx.AsyncClient(base_url=envoy.url) as client:
            assert_error(await client.get(f"/api/v1/tasks/{TASK_ID}"), 503, 14, "UNAVAILABLE")
            assert_error(await client.post("/api/v1/tasks", json={}), 503, 14, "UNAVAILABLE")
            assert_error(await client.get(f"/api/v1/tasks/{TASK_ID}:watch"), 503, 14, "UNAVAILABLE")
            assert_error(await client.get("/healthz"), 503, 14, "UNAVAILABLE")


async def test_rest_speaks_snake_case_and_takes_lower_case_enums(rest: httpx.AsyncClient) -> None:
    payload = {"operation": "fibonacci", "n": 30}
    body = {"name": "Compute Fibonacci", "task_type": "compute", "payload": payload, "priority": "high"}
    response = await rest.post("/api/v1/tasks", json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["priority"] == "HIGH"
    assert answer["task_type"] == "compute"
    assert answer["payload"] == payload
    assert answer["status"] == "STATUS_UNSPECIFIED"  # unset fields are there, too


async def test_an_error_of_the_server_reaches_rest_whole(rest: httpx.AsyncClient) -> None:
    body = assert_error(await rest.get(f"/api/v1/tasks/{MISSING_ID}"), 404, 5, "NOT_FOUND")
    assert body["message"] == "no such task"


@pytest.mark.parametrize("path", ["/", "/api/v1/nothing", "/api/v2/tasks", "/favicon.ico"])
async def test_an_unknown_path_is_not_found(rest: httpx.AsyncClient, path: str) -> None:
    body = assert_error(await rest.get(path), 404, 5, "NOT_FOUND")
    assert body["details"][0]["metadata"] == {"method": "GET", "path": path}


async def test_an_unknown_method_is_not_found(rest: httpx.AsyncClient) -> None:
    assert_error(await rest.put("/api/v1/tasks"), 404, 5, "NOT_FOUND")


async def test_bad_json_is_refused(rest: httpx.AsyncClient) -> None:
    assert_error(await rest.post("/api/v1/tasks", content=b'{"name": '), 400, 3, "INVALID_FIELDS")


async def test_an_unknown_enum_value_is_refused_by_name(rest: httpx.AsyncClient) -> None:
    response = await rest.post("/api/v1/tasks", json={"priority": "urgent"})
    assert "urgent" in assert_error(response, 400, 3, "INVALID_FIELDS")["message"]


async def test_an_unknown_query_parameter_is_refused_by_name(rest: httpx.AsyncClient) -> None:
    response = await rest.get("/api/v1/tasks", params={"colour": "red"})
    assert "colour" in assert_error(response, 400, 3, "INVALID_FIELDS")["message"]


async def test_a_bad_query_value_is_refused_by_name(rest: httpx.AsyncClient) -> None:
    response = await rest.get("/api/v1/tasks", params={"page_size": "many"})
    assert "page_size" in assert_error(response, 400, 3, "INVALID_FIELDS")["message"]


async def test_a_body_over_the_limit_is_refused(rest: httpx.AsyncClient) -> None:
    body = json.dumps({"name": "x" * (16 * 1024 * 1024)})
    error = assert_error(await rest.post("/api/v1/tasks", content=body), 413, 8, "LIMIT_EXCEEDED")
    assert error["details"][0]["metadata"]["setting"] == "TASKFLOW_MAX_MESSAGE_BYTES"


async def test_a_body_under_the_limit_arrives(rest: httpx.AsyncClient) -> None:
    response = await rest.post("/api/v1/tasks", json={"description": "x" * (3 * 1024 * 1024)})
    assert response.status_code == 200, response.text[:200]


async def test_rest_calls_have_a_deadline_unless_they_bring_one(rest: httpx.AsyncClient) -> None:
    assert_has_left(29, (await rest.get(f"/api/v1/tasks/{TASK_ID}")).json()["name"])
    own = await rest.get(f"/api/v1/tasks/{TASK_ID}", headers={"grpc-timeout": "5S"})
    assert_has_left(5, own.json()["name"])


async def test_a_wait_has_a_minute(rest: httpx.AsyncClient) -> None:
    assert_has_left(62, (await rest.get(f"/api/v1/tasks/{TASK_ID}:wait")).json()["name"])


async def test_a_watch_is_a_json_message_a_line(rest: httpx.AsyncClient) -> None:
    response = await rest.get(f"/api/v1/tasks/{TASK_ID}:watch")
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["resume_token"] for line in response.text.splitlines()] == ["1", "2"]


async def test_a_watch_that_fails_at_once_is_an_error(rest: httpx.AsyncClient) -> None:
    response = await rest.get(f"/api/v1/tasks/{MISSING_ID}:watch")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.json()["message"] == "no such task"


async def test_the_server_learns_that_a_watcher_has_gone(rest: httpx.AsyncClient, tasks: TinyTasks) -> None:
    tasks.watch_ended.clear()
    path = f"/api/v1/tasks/{TASK_ID}:watch?resume_token=forever"
    async with rest.stream("GET", path) as response:
        async for line in response.aiter_lines():
            if json.loads(line)["resume_token"] == "2":
                break
    async with asyncio.timeout(5):
        await tasks.watch_ended.wait()


async def test_server_sent_events_arrive_while_the_stream_is_open(rest: httpx.AsyncClient) -> None:
    path = f"/api/v1/tasks/{TASK_ID}/events:stream"
    async with rest.stream("GET", path, headers={"last-event-id": "7"}) as response:
        assert response.headers["content-type"] == "text/event-stream"
        assert await anext(response.aiter_lines()) == "id: 7"


async def test_the_idempotency_key_reaches_the_server(rest: httpx.AsyncClient) -> None:
    response = await rest.post("/api/v1/tasks", json={}, headers={"Idempotency-Key": "once"})
    assert response.json()["tags"][0] == "once"


async def test_the_request_id_is_the_callers_or_a_new_one_and_comes_back(rest: httpx.AsyncClient) -> None:
    for given in (TASK_ID, "my-own-id"):
        response = await rest.post("/api/v1/tasks", json={}, headers={"x-request-id": given})
        assert response.headers["x-request-id"] == response.json()["tags"][1] == given
    response = await rest.post("/api/v1/tasks", json={})
    assert response.headers["x-request-id"] == response.json()["tags"][1] != ""
    assert (await rest.get("/nothing")).headers["x-request-id"]


async def test_browsers_may_call_from_any_page(rest: httpx.AsyncClient) -> None:
    preflight = await rest.options(
        "/api/v1/tasks",
        headers={
            "origin": "https://console.example.com",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,idempotency-key",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://console.example.com"
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in preflight.headers
    call = await rest.get(f"/api/v1/tasks/{TASK_ID}", headers={"origin": "https://console.example.com"})
    assert call.headers["access-control-allow-origin"] == "https://console.example.com"
    assert "x-request-id" in call.headers["access-control-expose-headers"]


async def test_native_grpc_works_on_the_same_port(envoy: Envoy, server: None) -> None:
    async with grpc.aio.insecure_channel(f"{LOOPBACK}:{envoy.port}") as channel:
        stub = task_service_pb2_grpc.TaskServiceStub(channel)
        answer = await stub.WaitTask(task_service_pb2.WaitTaskRequest(task_id=TASK_ID), timeout=9)
        assert_has_left(9, answer.name)
        watch = stub.WatchTask(task_service_pb2.WatchTaskRequest(task_id=TASK_ID))
        assert [message.resume_token async for message in watch] == ["1", "2"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListTasks(task_service_pb2.ListTasksRequest())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_grpc_web_works_on_the_same_port(rest: httpx.AsyncClient) -> None:
    message = task_service_pb2.WaitTaskRequest(task_id=TASK_ID).SerializeToString()
    response = await rest.post(
        "/taskflow.v1.TaskService/WaitTask",
        content=b"\0" + len(message).to_bytes(4, "big") + message,
        headers={"content-type": "application/grpc-web+proto", "grpc-timeout": "9S"},
    )
    assert response.status_code == 200
    length = int.from_bytes(response.content[1:5], "big")
    assert task_pb2.Task.FromString(response.content[5 : 5 + length]).id == TASK_ID
    assert b"grpc-status:0" in response.content[5 + length :]


async def test_what_is_not_even_http_gets_a_json_error(envoy: Envoy) -> None:
    reader, writer = await asyncio.open_connection(LOOPBACK, envoy.port)
    writer.write(b"GET /api/v1/tasks HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith("HTTP/1.1 400")
    assert json.loads(answer.split("\r\n\r\n")[1])["code"] == 3
