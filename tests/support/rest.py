"""REST as its users call it: JSON through Envoy, and what comes back."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

Json = dict[str, Any]

TASKS = "/api/v1/tasks"
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}
# No worker serves it: what is put here waits.
NOBODYS_QUEUE = "nobody"
ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
REQUEST_INFO = "type.googleapis.com/google.rpc.RequestInfo"


def path_of(task: Json) -> str:
    return f"{TASKS}/{task['id']}"


def ok(response: httpx.Response) -> Json:
    """The body of an answer that is not an error."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    body: Json = response.json()
    return body


def submit(rest: httpx.Client, task_type: str = "echo", payload: Json | None = None, **fields: Any) -> Json:
    body = {"task_type": task_type, **fields} | ({} if payload is None else {"payload": payload})
    return ok(rest.post(TASKS, json=body))


def submit_to_nobody(rest: httpx.Client, **fields: Any) -> Json:
    """A task that stays QUEUED."""
    return submit(rest, queue=NOBODYS_QUEUE, **fields)


def get(rest: httpx.Client, task: Json) -> Json:
    return ok(rest.get(path_of(task)))


def finished(rest: httpx.Client, task: Json) -> Json:
    """The task at its end."""
    done = ok(rest.get(f"{path_of(task)}:wait"))
    assert done["status"] in FINAL, done
    return done


def run(rest: httpx.Client, task_type: str = "echo", payload: Json | None = None, **fields: Any) -> Json:
    """Submit a task and return it at its end."""
    return finished(rest, submit(rest, task_type, payload, **fields))


def events_of(rest: httpx.Client, task: Json) -> list[Json]:
    """The whole log of a task, whose numbers must be 1, 2, 3 ..."""
    events: list[Json] = ok(rest.get(f"{path_of(task)}/events", params={"page_size": 1000}))["events"]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    return events


def kinds(events: Iterable[Json]) -> list[str]:
    return [event["kind"] for event in events]


def ids_in(rest: httpx.Client, **parameters: Any) -> list[str]:
    """The ids of the tenant's tasks, as a list has them."""
    return [task["id"] for task in ok(rest.get(TASKS, params=parameters))["tasks"]]


def refused(response: httpx.Response, status: int, code: int, reason: str) -> Json:
    """The body of an error: a google.rpc.Status with one ErrorInfo, whoever made it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body: Json = response.json()
    assert body["code"] == code
    assert body["message"]
    info = detail(body, ERROR_INFO)
    assert info["reason"] == reason
    assert info["domain"] == "taskflow"
    return body


def detail(error: Json, kind: str) -> Json:
    """The one detail of this type."""
    [found] = [found for found in error["details"] if found["@type"] == kind]
    return dict(found)


def fields_in(error: Json) -> list[str]:
    """The paths of the wrong fields."""
    return [violation["field"] for violation in detail(error, BAD_REQUEST)["field_violations"]]


@dataclass(frozen=True)
class ServerSentEvent:
    """One event, as a browser sees it."""

    id: str
    name: str
    data: Json


def server_sent_events(lines: Iterable[str]) -> Iterator[ServerSentEvent]:
    """The events of a stream; comments and `retry` are none."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield ServerSentEvent(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


def in_tenant(rest: httpx.Client, tenant: str) -> httpx.Client:
    """A client of another tenant of the same service."""
    return httpx.Client(base_url=rest.base_url, headers={"x-tenant-id": tenant}, timeout=rest.timeout)


def watched(rest: httpx.Client, task: Json) -> list[Json]:
    """All messages of a watch, to its end."""
    answer = rest.get(f"{path_of(task)}:watch")
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]
