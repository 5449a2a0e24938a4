"""Server-Sent Events: the messages of a watch as a browser's `EventSource` reads them.

Each has `id:` (the resume token, which the browser sends back as `Last-Event-ID`), `event:` (which kind)
and `data:` (the message as JSON), as the HTML standard's section 9.2 has them.
"""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format

from taskflow_core.executions.read import Whole
from taskflow_core.tasks.rows import Row
from taskflow_core.watch import Message
from taskflow_proto.v1 import task_service_pb2, workflow_service_pb2
from taskflow_server.pack.watch import execution_watch_message, serialised, watch_message

# Milliseconds after which the browser reconnects.
RETRY = b"retry: 2000\n\n"
CONTENT_TYPE = "text/event-stream"

Sent = TypeVar("Sent")


async def frames(
    messages: AsyncGenerator[Sent, None], to_bytes: Callable[[Sent], bytes]
) -> AsyncGenerator[bytes, None]:
    """The messages of a watch, each as the bytes of an HttpBody. Raises what keeps the watch from starting."""
    async with aclosing(messages):
        # The first message comes before anything is sent, so that NOT_FOUND is an HTTP status.
        first = await anext(messages)
        yield HttpBody(content_type=CONTENT_TYPE, data=RETRY).SerializeToString()
        yield to_bytes(first)
        async for message in messages:
            yield to_bytes(message)


def frame(
    message: task_service_pb2.WatchTaskResponse | workflow_service_pb2.WatchExecutionResponse,
) -> HttpBody:
    """One message; a keep-alive is a comment, which moves no `Last-Event-ID`."""
    kind = message.WhichOneof("message")
    if kind == "keep_alive":
        return HttpBody(data=b": keep-alive\n\n")
    content = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    data = json.dumps(_whole_numbers(content), ensure_ascii=False, separators=(",", ":"))
    return HttpBody(data=f"id: {message.resume_token}\nevent: {kind}\ndata: {data}\n\n".encode())


def _whole_numbers(value: Any) -> Any:
    """The same JSON, with 30 for 30.0, as Envoy writes it."""
    match value:
        case dict():
            return {key: _whole_numbers(member) for key, member in value.items()}
        case list():
            return [_whole_numbers(element) for element in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _of_task(message: Message[Row]) -> HttpBody:
    return frame(watch_message(message))


def _of_execution(message: Message[Whole]) -> HttpBody:
    return frame(execution_watch_message(message))


task_bytes = serialised(_of_task)
execution_bytes = serialised(_of_execution)
