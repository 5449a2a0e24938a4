"""Server-Sent Events: the messages of a watch as a browser's `EventSource` reads them.

Each has `id:` (the resume token, which the browser sends back as `Last-Event-ID`), `event:` (which kind)
and `data:` (the message as JSON), as the HTML standard's section 9.2 has them.
"""

import json
from functools import lru_cache
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format

from taskflow_core.tasks import watch
from taskflow_proto.v1 import task_service_pb2, workflow_service_pb2
from taskflow_server.pack.watch import KEPT, watch_message

# Milliseconds after which the browser reconnects.
RETRY = b"retry: 2000\n\n"
CONTENT_TYPE = "text/event-stream"


def opening() -> HttpBody:
    """What a stream starts with."""
    return HttpBody(content_type=CONTENT_TYPE, data=RETRY)


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


def watch_bytes(message: watch.Message) -> bytes:
    """One message of a watch on a task, serialised; an event only once for all who watch it."""
    if isinstance(message, watch.Event):
        return _event_bytes(message)
    return frame(watch_message(message)).SerializeToString()


@lru_cache(KEPT)
def _event_bytes(message: watch.Event) -> bytes:
    return frame(watch_message(message)).SerializeToString()


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
