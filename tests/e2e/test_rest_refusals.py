"""REST through Envoy: what is wrong is refused with a reason, as JSON, and nothing is stored.

A body with fields that the contract does not have is not among it: Envoy leaves them out, silently.
"""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import pytest

from support.rest import (
    ERROR_INFO,
    TASKS,
    Json,
    detail,
    fields_in,
    ids_in,
    path_of,
    refused,
    run,
    submit_to_nobody,
)

NO_ID = "01980000-0000-7000-8000-000000000000"
MIB = 1024 * 1024


def nested(levels: int) -> Any:
    value: Any = "bottom"
    for _ in range(levels):
        value = {"in": value}
    return value


@dataclass(frozen=True)
class Wrong:
    """A wrong request and its answer: `at` is the field that the error names, `says` a part of its message."""

    what: str
    method: str
    path: str
    request: dict[str, Any] = field(default_factory=dict)
    status: int = 400
    code: int = 3
    reason: str = "INVALID_FIELDS"
    at: str = ""
    says: str = ""


def creation(what: str, body: Any = None, **rest: Any) -> Wrong:
    """A task that cannot be created as it is: valid but for what `body` has."""
    whole = body if isinstance(body, bytes) else json.dumps({"task_type": "echo"} | body).encode()
    return Wrong(what, "POST", TASKS, {"content": whole}, **rest)


def reading(what: str, path: str, **rest: Any) -> Wrong:
    return Wrong(what, "GET", path, **rest)


def unknown(what: str, method: str, path: str) -> Wrong:
    return Wrong(what, method, path, status=404, code=5, reason="NOT_FOUND", says=method)


WRONG = [
    unknown("an unknown path", "GET", "/api/v1/nothing"),
    unknown("no path", "GET", "/"),
    unknown("another version", "GET", "/api/v2/tasks"),
    unknown("a wrong method", "DELETE", TASKS),
    unknown("a wrong method for one task", "PUT", f"{TASKS}/{NO_ID}"),
    unknown("OPTIONS outside of CORS", "OPTIONS", TASKS),
    unknown("an unknown verb", "POST", f"{TASKS}/{NO_ID}:explode"),
    unknown("an escaped verb", "POST", f"{TASKS}/{NO_ID}%3Acancel"),
    reading("an unknown verb to read", f"{TASKS}/{NO_ID}:explode", at="task_id", says="UUID"),
    reading("an id that is none", f"{TASKS}/42", at="task_id", says="UUID"),
    reading("an id with a slash", f"{TASKS}/{NO_ID}%2F", says="path"),
    reading("an id with a NUL", f"{TASKS}/{NO_ID}%00", says="path"),
    reading("an id with half an escape", f"{TASKS}/{NO_ID}%zz", at="task_id"),
    reading("an id that nothing has", f"{TASKS}/{NO_ID}", status=404, code=5, reason="NOT_FOUND", says=NO_ID),
    reading("an unknown query parameter", f"{TASKS}?colour=red", says="colour"),
    reading("a negative page_size", f"{TASKS}?page_size=-1", at="page_size", says="0"),
    reading("a page_size that is no number", f"{TASKS}?page_size=many", says="page_size"),
    reading(
        "a page_token of somebody else's",
        f"{TASKS}?page_token=abc",
        at="page_token",
        reason="INVALID_PAGE_TOKEN",
    ),
    reading("an unknown view", f"{TASKS}?view=everything", says="view"),
    reading(
        "a filter on an unknown field", f"{TASKS}?filter=color%3D1", at="filter", reason="INVALID_FILTER"
    ),
    reading("a filter with a NUL", f"{TASKS}?filter=name%3D%00", at="filter", says="NUL"),
    reading("a filter that is not UTF-8", f"{TASKS}?filter=%ff", says="UTF-8"),
    reading(
        "an order by an unknown field", f"{TASKS}?order_by=name", at="order_by", reason="INVALID_ORDER_BY"
    ),
    reading("a wait that is too long", f"{TASKS}/{NO_ID}:wait?timeout=601s", at="timeout", says="600"),
    reading("a wait that is no duration", f"{TASKS}/{NO_ID}:wait?timeout=soon", says="timeout"),
    creation("half a JSON text", b'{"task_type": "echo", "name": ', says="value"),
    creation("no JSON at all", b"<task/>", says="value"),
    creation("a list", b"[]", says="list"),
    creation("text that is not UTF-8", b'{"task_type": "echo", "name": "\xff"}', says="UTF-8"),
    creation("half a surrogate pair", b'{"task_type": "echo", "name": "\\ud800"}', says="surrogate"),
    creation("no body", b"", at="task.task_type", says="required"),
    creation("null", b"null", at="task", says="required"),
    creation("a missing field", {"task_type": ""}, at="task.task_type", says="required"),
    creation("a task type that is no name", {"task_type": "no name"}, at="task.task_type"),
    creation("a number for a text", {"name": 5}, says="task.name"),
    creation("a text for an object", {"retry_policy": "often"}, says="task"),
    creation("a list for an object", {"payload": [1]}, says="task"),
    creation("an unknown enum value", {"priority": "urgent"}, says="urgent"),
    creation("an unknown enum number", {"priority": 77}, at="task.priority"),
    creation("a duration without its unit", {"attempt_timeout": "5"}, says="task.attempt_timeout"),
    creation("a duration of nothing", {"attempt_timeout": "0s"}, at="task.attempt_timeout"),
    creation("a time that is none", {"schedule_time": "tomorrow"}, says="task.schedule_time"),
    creation("a time that has passed", {"expire_time": "2020-01-01T00:00:00Z"}, at="task.expire_time"),
    creation("no attempts", {"retry_policy": {"max_attempts": 0}}, at="task.retry_policy.max_attempts"),
    creation("a number that does not fit", {"retry_policy": {"max_attempts": 2**40}}, says="max_attempts"),
    creation("a name that is too long", {"name": "x" * 201}, at="task.name", says="200"),
    creation("an empty tag", {"tags": ["fine", ""]}, at="task.tags[1]"),
    creation("a tag twice", {"tags": ["same", "same"]}, at="task.tags"),
    creation("two payloads", {"payload": {}, "payload_json": "{}"}, says="payload"),
    creation(
        "a payload_json that is half", {"payload_json": '{"n":'}, at="task.payload_json", says="column 6"
    ),
    creation("a payload_json of a list", {"payload_json": "[]"}, at="task.payload_json", says="object"),
    creation("a NUL in a name", {"name": "\0"}, at="task.name", says="NUL"),
    creation("a NUL in a tag", {"tags": ["\0"]}, at="task.tags[0]", says="NUL"),
    creation("a NUL in a payload", {"payload": {"a": ["\0"]}}, at="task.payload.a[0]", says="NUL"),
    creation("a NUL in a key of a payload", {"payload": {"\0": 1}}, at='task.payload["\\u0000"]', says="NUL"),
    creation(
        "2^53 + 1 in a payload",
        {"payload": {"order": {"id": 2**53 + 1}}},
        at="task.payload.order.id",
        reason="NUMBER_NOT_EXACT",
        says="payload_json",
    ),
    creation("31 levels in a payload", {"payload": nested(31)}, at="task.payload", says="payload_json"),
    creation("60 levels in a payload", {"payload": nested(60)}, says="nested too deep"),
    creation("1,000 levels in a payload", {"payload": nested(900)}, says="too deep"),
    creation(
        "5 MB in a payload",
        {"payload": {"text": "x" * 5_000_000}},
        at="task.payload",
        reason="LIMIT_EXCEEDED",
        says="TASKFLOW_MAX_PAYLOAD_BYTES",
    ),
    creation(
        "5 MB in payload_json",
        {"payload_json": json.dumps({"text": "x" * 5_000_000})},
        at="task.payload_json",
        reason="LIMIT_EXCEEDED",
        says="1048576",
    ),
    creation(
        "a body of more than 16 MiB",
        {"payload": {"text": "x" * 16 * MIB}},
        status=413,
        code=8,
        reason="LIMIT_EXCEEDED",
        says="16777216",
    ),
    Wrong(
        "a NUL in a request id",
        "POST",
        f"{TASKS}?request_id=%00",
        {"json": {"task_type": "echo"}},
        at="request_id",
    ),
    Wrong(
        "a tenant that is no name",
        "GET",
        TASKS,
        {"headers": {"x-tenant-id": "Not A Name"}},
        at="x-tenant-id",
    ),
    Wrong(
        "a key for repeats that is too long",
        "POST",
        TASKS,
        {"json": {"task_type": "echo"}, "headers": {"idempotency-key": "x" * 129}},
        at="idempotency-key",
        says="128",
    ),
    Wrong("an empty batch", "POST", f"{TASKS}:batchCreate", {"json": {}}, at="requests"),
    Wrong("a batch of nothing to cancel", "POST", f"{TASKS}:batchCancel", {"json": {}}, at="selection"),
    Wrong(
        "an id in the body that is not that of the path",
        "POST",
        f"{TASKS}/{NO_ID}:cancel",
        {"json": {"task_id": str(uuid4())}},
        says="task_id",
    ),
    Wrong(
        "a reason that is too long",
        "POST",
        f"{TASKS}/{NO_ID}:cancel",
        {"json": {"reason": "x" * 501}},
        at="reason",
    ),
]


def fields_or_none(error: Json) -> list[str]:
    return fields_in(error) if any("field_violations" in found for found in error["details"]) else []


@pytest.mark.parametrize("wrong", [pytest.param(wrong, id=wrong.what) for wrong in WRONG])
def test_a_wrong_request_is_refused_and_stores_nothing(rest: httpx.Client, wrong: Wrong) -> None:
    error = refused(
        rest.request(wrong.method, wrong.path, **wrong.request), wrong.status, wrong.code, wrong.reason
    )
    assert wrong.says in error["message"]
    # What Envoy itself refuses names the field in its message only.
    assert fields_or_none(error) == ([wrong.at] if wrong.at else [])
    assert ids_in(rest) == []


def test_all_wrong_fields_are_named_at_once(rest: httpx.Client) -> None:
    body = {"task_type": "", "queue": "Not A Queue", "unique_key": {"key": ""}}
    error = refused(rest.post(TASKS, json=body), 400, 3, "INVALID_FIELDS")
    assert fields_in(error) == ["task.task_type", "task.queue", "task.unique_key.key"]


def test_a_limit_is_named_with_its_setting(rest: httpx.Client) -> None:
    response = rest.post(TASKS, json={"task_type": "echo", "payload": {"text": "x" * 2 * MIB}})
    info = detail(refused(response, 400, 3, "LIMIT_EXCEEDED"), ERROR_INFO)
    assert info["metadata"]["limit"] == str(MIB)
    assert info["metadata"]["setting"] == "TASKFLOW_MAX_PAYLOAD_BYTES"


def test_what_is_wrong_is_said_however_long_the_path(rest: httpx.Client) -> None:
    error = refused(
        rest.post(TASKS, json={"task_type": "echo", "payload_json": json.dumps(nested(101))}),
        400,
        3,
        "INVALID_FIELDS",
    )
    assert error["message"].startswith("task.payload_json.in.in.in.")
    assert error["message"].endswith("more than 100 levels of nesting")


def test_a_payload_may_have_30_levels_and_payload_json_100(rest: httpx.Client) -> None:
    payload = nested(30)
    assert run(rest, payload=payload)["result"] == payload
    text = json.dumps(nested(100))
    assert run(rest, payload_json=text)["status"] == "SUCCEEDED"


def test_2_to_the_53_minus_1_is_exact_in_a_payload(rest: httpx.Client) -> None:
    done = run(rest, payload={"n": 2**53 - 1})
    assert rest.get(f"{path_of(done)}/result").text == '{"n":9007199254740991}'


@pytest.mark.parametrize("stream", [":watch", "/events:stream"])
def test_a_stream_refuses_with_a_status_and_not_within(rest: httpx.Client, stream: str) -> None:
    task = submit_to_nobody(rest)
    wrong = rest.get(f"{path_of(task)}{stream}", params={"resume_token": "abc"})
    assert fields_in(refused(wrong, 400, 3, "INVALID_RESUME_TOKEN")) == ["resume_token"]
    other = submit_to_nobody(rest)
    with rest.stream("GET", f"{path_of(other)}:watch") as response:
        token = json.loads(next(response.iter_lines()))["resume_token"]
    foreign = rest.get(f"{path_of(task)}{stream}", params={"resume_token": token})
    refused(foreign, 400, 3, "INVALID_RESUME_TOKEN")


def test_a_head_request_is_refused_without_a_body(rest: httpx.Client) -> None:
    response = rest.head(TASKS)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"
    assert response.content == b""


def test_a_browser_may_ask_whether_it_may_call(rest: httpx.Client) -> None:
    response = rest.options(
        TASKS,
        headers={
            "origin": "https://console.example.com",
            "access-control-request-method": "POST",
            "access-control-request-headers": "idempotency-key,x-tenant-id",
        },
    )
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "https://console.example.com"
    assert "POST" in response.headers["access-control-allow-methods"]
    assert {"idempotency-key", "x-tenant-id", "last-event-id"} <= {
        name.strip() for name in response.headers["access-control-allow-headers"].split(",")
    }


def test_an_error_can_be_read_by_a_browser_too(rest: httpx.Client) -> None:
    response = rest.get("/api/v1/nothing", headers={"origin": "https://console.example.com"})
    refused(response, 404, 5, "NOT_FOUND")
    assert response.headers["access-control-allow-origin"] == "https://console.example.com"
