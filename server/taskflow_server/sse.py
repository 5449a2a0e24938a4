"""Server-Sent Events: the messages of a watch as a browser's `EventSource` reads them.

Each has `id:` (the resume token, which the browser sends back as `Last-Event-ID`), `event:` (which kind)
and `data:` (the message as JSON), as the HTML standard's section 9.2 has them.
"""

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from taskflow_proto.v1 import task_service_pb2

# Milliseconds after which the browser reconnects.
RETRY = b"retry: 2000\n\n"
CONTENT_TYPE = "text/event-stream"


def opening() -> HttpBody:
    """What a stream starts with."""
    return HttpBody(content_type=CONTENT_TYPE, data=RETRY)


def frame(message: task_service_pb2.WatchTaskResponse) -> HttpBody:
    """One message; a keep-alive is a comment, which moves no `Last-Event-ID`."""
    kind = message.WhichOneof("message")
    if kind == "keep_alive":
        return HttpBody(data=b": keep-alive\n\n")
    data = json_format.MessageToJson(message, indent=None, preserving_proto_field_name=True)
    return HttpBody(data=f"id: {message.resume_token}\nevent: {kind}\ndata: {data}\n\n".encode())
