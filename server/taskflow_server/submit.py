"""SubmitTasks: a stream of tasks in, an outcome for each out, in order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from taskflow_core.app import App
from taskflow_core.errors import TaskFlowError
from taskflow_proto.v1.task_service_pb2 import SubmitTasksRequest, SubmitTasksResponse
from taskflow_server import pack, unpack
from taskflow_server.auth import Principal
from taskflow_server.errors import to_status
from taskflow_server.validation import validate

# Tasks of one stream that were read and are not answered yet; then the client has to wait.
WINDOW = 500


async def submit_each(
    app: App, principal: Principal, requests: AsyncIterator[SubmitTasksRequest]
) -> AsyncGenerator[SubmitTasksResponse, None]:
    """Submit each task on its own; one that is refused leaves its neighbours alone."""
    outcomes: asyncio.Queue[asyncio.Task[SubmitTasksResponse] | None] = asyncio.Queue(WINDOW)

    async def read() -> None:
        index = 0
        try:
            async for request in requests:
                await outcomes.put(asyncio.create_task(_submit(app, principal, index, request)))
                index += 1
        finally:
            # Also when the stream breaks: what came before is answered, then `reader` says why.
            await outcomes.put(None)

    reader = asyncio.create_task(read())
    try:
        while (outcome := await outcomes.get()) is not None:
            yield await outcome
        await reader
    finally:
        reader.cancel()
        while not outcomes.empty():
            if (left := outcomes.get_nowait()) is not None:
                left.cancel()


async def _submit(
    app: App, principal: Principal, index: int, request: SubmitTasksRequest
) -> SubmitTasksResponse:
    try:
        validate(request)
        new = unpack.new_task(request.request, principal, app.settings, app.clock.now())
        if request.request.validate_only:
            return SubmitTasksResponse(index=index, task=pack.preview(new))
        return SubmitTasksResponse(index=index, task=pack.task(await app.creation.create(new)))
    except TaskFlowError as error:
        return SubmitTasksResponse(index=index, error=to_status(error, request_id=""))
