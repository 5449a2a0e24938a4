"""The steps around a call, seen from a real client of a real server."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from grpc_status import rpc_status
from structlog.testing import capture_logs

from taskflow_core.errors import NotFound
from taskflow_core.settings import Settings
from taskflow_proto.v1 import task_pb2, task_service_pb2, task_service_pb2_grpc
from taskflow_proto.v1.task_service_pb2 import WatchTaskResponse
from taskflow_server.auth import current_principal
from taskflow_server.health import Health
from taskflow_server.options import call_options
from taskflow_server.server import build_server

Stub: TypeAlias = "task_service_pb2_grpc.TaskServiceAsyncStub"
Task = task_pb2.Task

TASK_ID = "0198c0de-0000-7000-8000-000000000000"
GET = task_service_pb2.GetTaskRequest(task_id=TASK_ID)
WATCH = task_service_pb2.WatchTaskRequest(task_id=TASK_ID)
WAIT = task_service_pb2.WaitTaskRequest(task_id=TASK_ID)


class Stage(task_service_pb2_grpc.TaskServiceServicer):
    """A servicer whose answers each test writes."""

    def __init__(self) -> None:
        self.get: Callable[[], Awaitable[Task]] = self.never
        self.watch: Callable[[], AsyncGenerator[WatchTaskResponse, None]] = self.nothing
        self.waiting = asyncio.Event()
        self.go_on = asyncio.Event()

    async def never(self) -> Task:
        return await asyncio.Event().wait() and Task()

    async def nothing(self) -> AsyncGenerator[WatchTaskResponse, None]:
        return
        yield

    async def GetTask(self, request: Any, context: Any) -> Task:
        return await self.get()

    @call_options(timeout=60)
    async def WaitTask(self, request: Any, context: Any) -> Task:
        self.waiting.set()
        await self.go_on.wait()
        return Task(id=request.task_id)

    async def WatchTask(self, request: Any, context: Any) -> AsyncGenerator[WatchTaskResponse, None]:
        async with aclosing(self.watch()) as messages:
            async for message in messages:
                yield message

    async def BatchCreateTasks(self, request: Any, context: Any) -> task_service_pb2.BatchCreateTasksResponse:
        return task_service_pb2.BatchCreateTasksResponse(tasks=[one.task for one in request.requests])

    async def SubmitTasks(
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[task_service_pb2.SubmitTasksResponse]:
        index = 0
        async for request in request_iterator:
            yield task_service_pb2.SubmitTasksResponse(index=index, task=request.request.task)
            index += 1


class StageThatChecksItself(Stage):
    @call_options(checked=False)
    async def SubmitTasks(
        self, request_iterator: Any, context: Any
    ) -> AsyncIterator[task_service_pb2.SubmitTasksResponse]:
        async for response in super().SubmitTasks(request_iterator, context):
            yield response


@asynccontextmanager
async def connected(stage: Stage, **settings: Any) -> AsyncIterator[grpc.aio.Channel]:
    server = build_server(Settings(**settings), [stage], Health([]))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(0)


@asynccontextmanager
async def served(stage: Stage, **settings: Any) -> AsyncIterator[Stub]:
    async with connected(stage, **settings) as channel:
        yield task_service_pb2_grpc.TaskServiceStub(channel)


@pytest.fixture
def stage() -> Stage:
    return Stage()  # type: ignore[abstract]


@pytest.fixture
async def stub(stage: Stage) -> AsyncIterator[Stub]:
    async with served(stage) as stub:
        yield stub


async def error_of(call: Awaitable[object]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def read_all(call: Any) -> list[Any]:
    return [message async for message in call]


def detail(error: grpc.aio.AioRpcError, kind: type[Message]) -> Any:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    [packed] = [packed for packed in status.details if packed.Is(kind.DESCRIPTOR)]
    found = kind()
    packed.Unpack(found)
    return found


def reason(error: grpc.aio.AioRpcError) -> str:
    return str(detail(error, ErrorInfo).reason)


def trailers(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    return dict(error.trailing_metadata())


async def test_an_answer_comes_through_with_the_callers_request_id(stage: Stage, stub: Stub) -> None:
    async def get() -> Task:
        return Task(id=TASK_ID)

    stage.get = get
    call = stub.GetTask(GET, metadata=(("x-request-id", "mine-1"),))

    assert (await call).id == TASK_ID
    assert dict(await call.trailing_metadata())["x-request-id"] == "mine-1"


@pytest.mark.parametrize("given", [(), (("x-request-id", "not fit for a log line"),)])
async def test_a_call_without_a_fit_request_id_gets_one(
    stage: Stage, stub: Stub, given: tuple[tuple[str, str], ...]
) -> None:
    async def get() -> Task:
        raise NotFound("task", TASK_ID)

    stage.get = get
    error = await error_of(stub.GetTask(GET, metadata=given))

    made = trailers(error)["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert detail(error, RequestInfo).request_id == made


async def test_an_error_of_core_becomes_a_status_with_details(stage: Stage, stub: Stub) -> None:
    async def get() -> Task:
        raise NotFound("task", TASK_ID)

    stage.get = get
    error = await error_of(stub.GetTask(GET))

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert detail(error, ErrorInfo) == ErrorInfo(
        reason="NOT_FOUND", domain="taskflow", metadata={"kind": "task", "id": TASK_ID}
    )


async def test_an_error_after_the_first_message_of_a_stream_becomes_a_status_too(
    stage: Stage, stub: Stub
) -> None:
    async def watch() -> AsyncGenerator[WatchTaskResponse, None]:
        yield WatchTaskResponse(resume_token="1")
        raise NotFound("task", TASK_ID)

    stage.watch = watch
    messages = aiter(stub.WatchTask(WATCH, metadata=(("x-request-id", "mine-2"),)))

    assert (await anext(messages)).resume_token == "1"
    error = await error_of(anext(messages))
    assert reason(error) == "NOT_FOUND"
    assert detail(error, RequestInfo).request_id == trailers(error)["x-request-id"] == "mine-2"


async def test_a_defect_is_logged_whole_and_leaks_nothing(stage: Stage, stub: Stub) -> None:
    async def get() -> Task:
        raise RuntimeError("password=hunter2")

    stage.get = get
    with capture_logs() as lines:
        error = await error_of(stub.GetTask(GET, metadata=(("x-request-id", "mine-3"),)))

    assert error.code() is grpc.StatusCode.INTERNAL
    assert error.details() == "internal error; quote request id mine-3"
    assert "hunter2" not in repr(error) + repr(rpc_status.from_call(error))  # type: ignore[arg-type]
    [line] = lines
    assert line["log_level"] == "error"
    assert repr(line["exc_info"]) == "RuntimeError('password=hunter2')"


async def test_each_call_leaves_one_line_in_the_log(stage: Stage, stub: Stub) -> None:
    async def watch() -> AsyncGenerator[WatchTaskResponse, None]:
        yield WatchTaskResponse(resume_token="1")
        yield WatchTaskResponse(resume_token="2")

    stage.watch = watch
    with capture_logs() as lines:
        await read_all(stub.WatchTask(WATCH))
        await error_of(stub.GetTask(task_service_pb2.GetTaskRequest(task_id="x")))

    watched, refused = lines
    assert (watched["method"], watched["code"], watched["sent"]) == (
        "taskflow.v1.TaskService/WatchTask",
        "OK",
        2,
    )
    assert (refused["code"], refused["reason"], refused["log_level"]) == (
        "INVALID_ARGUMENT",
        "INVALID_FIELDS",
        "info",
    )


async def test_fifty_calls_at_once_keep_their_tenants_apart(stage: Stage, stub: Stub) -> None:
    everybody = asyncio.Barrier(100)

    async def get() -> Task:
        before = current_principal().tenant_id
        await everybody.wait()
        assert current_principal().tenant_id == before
        return Task(name=before)

    async def watch() -> AsyncGenerator[WatchTaskResponse, None]:
        await everybody.wait()
        yield WatchTaskResponse(resume_token=current_principal().tenant_id)

    stage.get, stage.watch = get, watch
    tenants = [f"tenant-{number}" for number in range(50)]
    headers = [(("x-tenant-id", tenant),) for tenant in tenants]
    tasks, streams = await asyncio.gather(
        asyncio.gather(*(stub.GetTask(GET, metadata=header) for header in headers)),
        asyncio.gather(*(read_all(stub.WatchTask(WATCH, metadata=header)) for header in headers)),
    )

    assert [task.name for task in tasks] == tenants
    assert [message.resume_token for [message] in streams] == tenants


async def test_a_call_without_a_tenant_belongs_to_the_default_one(stage: Stage) -> None:
    async def get() -> Task:
        return Task(name=current_principal().tenant_id)

    stage.get = get
    async with served(stage, default_tenant="house") as stub:
        assert (await stub.GetTask(GET)).name == "house"


@pytest.mark.parametrize("tenant", ["", "UPPER", "-first", "a" * 64, "a/b"])
async def test_a_tenant_that_is_no_name_is_refused(stub: Stub, tenant: str) -> None:
    error = await error_of(stub.GetTask(GET, metadata=(("x-tenant-id", tenant),)))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert detail(error, BadRequest).field_violations[0].field == "x-tenant-id"


async def test_a_call_that_takes_too_long_is_ended_unless_its_method_may_wait(stage: Stage) -> None:
    async with served(stage, call_timeout=0.05) as stub:
        waiting = asyncio.ensure_future(stub.WaitTask(WAIT))
        await stage.waiting.wait()

        error = await error_of(stub.GetTask(GET))
        stage.go_on.set()

        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert reason(error) == "DEADLINE_EXCEEDED"
        assert (await waiting).id == TASK_ID


async def test_a_callers_shorter_deadline_cancels_the_servicer(stage: Stage, stub: Stub) -> None:
    ended = asyncio.Event()

    async def get() -> Task:
        try:
            return await stage.never()
        finally:
            ended.set()

    stage.get = get
    # Long enough that the call reaches the servicer, also on a busy machine.
    error = await error_of(stub.GetTask(GET, timeout=1))

    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(ended.wait(), 10)


async def test_one_call_too_many_is_refused_and_watches_count_apart(stage: Stage) -> None:
    arrived = asyncio.Event()

    async def get() -> Task:
        arrived.set()
        await stage.go_on.wait()
        return Task(id=TASK_ID)

    stage.get = get
    async with served(stage, max_concurrent_calls=1) as stub:
        first = asyncio.ensure_future(stub.GetTask(GET))
        await arrived.wait()

        error = await error_of(stub.GetTask(GET))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert detail(error, ErrorInfo).metadata == {"limit": "1", "setting": "max_concurrent_calls"}
        assert detail(error, RetryInfo).retry_delay.seconds == int(trailers(error)["retry-after"])
        assert await read_all(stub.WatchTask(WATCH)) == []

        stage.go_on.set()
        assert (await first).id == TASK_ID
        assert (await stub.GetTask(GET)).id == TASK_ID


async def test_one_watch_too_many_is_refused_and_calls_count_apart(stage: Stage) -> None:
    async def watch() -> AsyncGenerator[WatchTaskResponse, None]:
        yield WatchTaskResponse(resume_token="1")
        await stage.never()

    async def get() -> Task:
        return Task(id=TASK_ID)

    stage.watch, stage.get = watch, get
    async with served(stage, max_watches=1) as stub:
        first = stub.WatchTask(WATCH)
        await first.read()

        error = await error_of(read_all(stub.WatchTask(WATCH)))
        assert reason(error) == "QUOTA_EXCEEDED"
        assert (await stub.GetTask(GET)).id == TASK_ID
        first.cancel()


async def test_wrong_fields_are_named_by_their_path_also_within_lists(stub: Stub) -> None:
    requests = [
        task_service_pb2.CreateTaskRequest(task=Task(name=name, task_type="echo"))
        for name in ("a", "b", "c", "d" * 201)
    ]
    error = await error_of(stub.BatchCreateTasks(task_service_pb2.BatchCreateTasksRequest(requests=requests)))

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error) == "INVALID_FIELDS"
    [violation] = detail(error, BadRequest).field_violations
    assert violation.field == "requests[3].task.name"
    assert violation.description == "must be at most 200 characters"
    assert violation.reason == "string.max_len"
    assert error.details() == "requests[3].task.name: must be at most 200 characters"


async def test_a_thousand_wrong_items_still_make_a_readable_error(stub: Stub) -> None:
    requests = [task_service_pb2.CreateTaskRequest() for _ in range(1000)]
    error = await error_of(stub.BatchCreateTasks(task_service_pb2.BatchCreateTasksRequest(requests=requests)))

    assert error.details() == "requests[0].task: value is required (and 999 more)"
    assert detail(error, BadRequest).field_violations[1].field == "requests[1].task"


async def submissions(*task_types: str) -> AsyncIterator[task_service_pb2.SubmitTasksRequest]:
    for task_type in task_types:
        yield task_service_pb2.SubmitTasksRequest(
            request=task_service_pb2.CreateTaskRequest(task=Task(task_type=task_type))
        )


async def test_each_message_of_a_stream_is_validated(stub: Stub) -> None:
    outcomes = aiter(stub.SubmitTasks(submissions("echo", "no type")))

    assert (await anext(outcomes)).index == 0
    error = await error_of(anext(outcomes))
    assert detail(error, BadRequest).field_violations[0].field == "request.task.task_type"


async def test_a_method_that_checks_its_messages_itself_gets_them_all() -> None:
    async with served(StageThatChecksItself()) as stub:  # type: ignore[abstract]
        responses = await read_all(stub.SubmitTasks(submissions("echo", "no type", "echo")))

    assert [response.index for response in responses] == [0, 1, 2]


async def test_an_unknown_method_is_unimplemented(stage: Stage) -> None:
    async with connected(stage) as channel:
        nothing: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
            "/taskflow.v1.TaskService/Nothing"
        )
        error = await error_of(nothing(b""))

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("rpc", ["GetTaskResult", "WatchTasks", "ListTasks"])
async def test_an_rpc_that_is_not_built_says_so_whatever_it_is_asked(stub: Stub, rpc: str) -> None:
    requests = {
        "GetTaskResult": task_service_pb2.GetTaskResultRequest(task_id="not validated"),
        "WatchTasks": task_service_pb2.WatchTasksRequest(),
        "ListTasks": task_service_pb2.ListTasksRequest(page_size=-1),
    }
    call = getattr(stub, rpc)(requests[rpc], metadata=(("x-request-id", "mine-4"),))
    error = await error_of(call if rpc == "ListTasks" else read_all(call))

    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == f"taskflow.v1.TaskService/{rpc} is not built yet"
    assert reason(error) == "NOT_IMPLEMENTED"
    assert detail(error, RequestInfo).request_id == "mine-4"


async def test_a_cancelled_watch_runs_the_servicers_finally(stage: Stage, stub: Stub) -> None:
    ended = asyncio.Event()

    async def watch() -> AsyncGenerator[WatchTaskResponse, None]:
        try:
            yield WatchTaskResponse(resume_token="1")
            await stage.never()
        finally:
            ended.set()

    stage.watch = watch
    call = stub.WatchTask(WATCH)
    await call.read()
    with capture_logs() as lines:
        call.cancel()
        await asyncio.wait_for(ended.wait(), 10)

    assert [(line["code"], line["sent"], line["log_level"]) for line in lines] == [("CANCELLED", 1, "info")]


async def test_a_watch_cancelled_while_it_writes_runs_the_servicers_finally_in_its_own_task(
    stage: Stage, stub: Stub
) -> None:
    ended = asyncio.Event()
    tasks = []

    async def watch() -> AsyncGenerator[WatchTaskResponse, None]:
        tasks.append(asyncio.current_task())
        try:
            # The client reads one message only, so that flow control stops a later one.
            while True:
                yield WatchTaskResponse(resume_token="x" * 1_000_000)
        finally:
            tasks.append(asyncio.current_task())
            ended.set()

    stage.watch = watch
    call = stub.WatchTask(WATCH)
    await call.read()
    call.cancel()
    await asyncio.wait_for(ended.wait(), 10)

    started_in, ended_in = tasks
    assert started_in is ended_in
