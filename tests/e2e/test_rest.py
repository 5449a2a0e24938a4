"""REST through Envoy: all that can be done with a task."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from support.rest import (
    NOBODYS_QUEUE,
    REQUEST_INFO,
    TASKS,
    Json,
    ServerSentEvent,
    detail,
    events_of,
    fields_in,
    finished,
    get,
    ids_in,
    in_tenant,
    kinds,
    ok,
    path_of,
    refused,
    run,
    server_sent_events,
    submit,
    submit_to_nobody,
)

JSON_TYPE = {"content-type": "application/json"}
# The two examples of the design, as they stand there.
TASK_EXAMPLE = (
    '{"name":"Compute Fibonacci","task_type":"compute",'
    '"payload":{"operation":"fibonacci","n":30},"priority":"high"}'
)


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


@contextmanager
def watching(rest: httpx.Client, task: Json, **parameters: str) -> Iterator[Iterator[Json]]:
    """The messages of a watch, a line each."""
    with rest.stream("GET", f"{path_of(task)}:watch", params=parameters) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/x-ndjson"
        yield (json.loads(line) for line in response.iter_lines())


@contextmanager
def streaming(rest: httpx.Client, task: Json, last_id: str = "") -> Iterator[Iterator[ServerSentEvent]]:
    """The events that a browser's EventSource gets; with `last_id`, when it reconnects."""
    headers = {"last-event-id": last_id} if last_id else {}
    with rest.stream("GET", f"{path_of(task)}/events:stream", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        yield server_sent_events(response.iter_lines())


def test_the_task_of_the_design_runs_to_its_result(rest: httpx.Client) -> None:
    created = ok(rest.post(TASKS, content=TASK_EXAMPLE, headers=JSON_TYPE))
    assert UUID(created["id"]).version == 7
    assert created["name"] == "Compute Fibonacci"
    assert created["priority"] == "HIGH"
    assert created["status"] == "QUEUED"
    assert created["payload"] == {"operation": "fibonacci", "n": 30}
    done = finished(rest, created)
    assert done["status"] == "SUCCEEDED"
    assert "832040" in json.dumps(done["result"])
    assert get(rest, created) == done


def test_a_curl_that_names_no_content_type_is_understood(rest: httpx.Client) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert ok(rest.post(TASKS, content=TASK_EXAMPLE, headers=form))["task_type"] == "compute"


def test_a_whole_number_reaches_the_handler_as_an_integer(rest: httpx.Client) -> None:
    done = run(rest, payload={"n": 30, "half": 0.5})
    assert rest.get(f"{path_of(done)}/result").text == '{"half":0.5,"n":30}'


def test_a_large_number_in_payload_json_comes_back_exact(rest: httpx.Client) -> None:
    text = '{"n":9007199254740993}'
    done = run(rest, payload_json=text)
    assert done["payload_json"] == done["result_json"] == text
    assert rest.get(f"{path_of(done)}/result").text == text


def test_a_task_can_be_read_in_brief(rest: httpx.Client) -> None:
    done = run(rest, payload={"n": 1})
    brief = ok(rest.get(path_of(done), params={"view": "basic"}))
    assert brief == {name: value for name, value in done.items() if name not in ("payload", "result")}


def test_an_id_may_be_percent_encoded_or_in_capitals(rest: httpx.Client) -> None:
    task = submit_to_nobody(rest)
    assert ok(rest.get(f"{TASKS}/{task['id'].replace('-', '%2D')}")) == task
    assert ok(rest.get(f"{TASKS}/{task['id'].upper()}")) == task


@pytest.mark.parametrize("waiting", ["QUEUED", "SCHEDULED"])
def test_a_waiting_task_is_cancelled_at_once_and_keeps_the_reason(rest: httpx.Client, waiting: str) -> None:
    later = {"schedule_time": in_an_hour()} if waiting == "SCHEDULED" else {}
    task = submit_to_nobody(rest, **later)
    assert task["status"] == waiting
    cancelled = ok(rest.post(f"{path_of(task)}:cancel", json={"reason": "not needed"}))
    assert cancelled["status"] == "CANCELLED"
    assert ok(rest.post(f"{path_of(task)}:cancel")) == cancelled
    events = events_of(rest, task)
    assert kinds(events) == ["CREATED", "CANCELLED"]
    assert events[-1]["message"] == "not needed"


def test_a_running_task_is_told_to_stop_and_is_cancelled(rest: httpx.Client) -> None:
    task = submit(rest, "test.forever")
    with watching(rest, task) as messages:
        next(message for message in messages if is_running(message))
        asked = ok(rest.post(f"{path_of(task)}:cancel", json={"reason": "enough"}))
        assert asked["cancel_requested"] is True
        *_, closing = messages
    assert closing["closing"]["task"]["status"] == "CANCELLED"
    events = {event["kind"]: event for event in events_of(rest, task)}
    assert [kind for kind in events if kind != "LOG"] == [
        "CREATED",
        "STARTED",
        "CANCEL_REQUESTED",
        "CANCELLED",
    ]
    assert events["CANCEL_REQUESTED"]["message"] == "enough"


def is_running(message: Json) -> bool:
    task = message.get("event") or message["snapshot"]["task"]
    return bool(task["status"] == "RUNNING")


def test_a_cancelled_task_can_be_put_back(rest: httpx.Client) -> None:
    task = submit_to_nobody(rest)
    ok(rest.post(f"{path_of(task)}:cancel"))
    again = ok(rest.post(f"{path_of(task)}:retry", json={"reason": "after all"}))
    assert again["status"] == "QUEUED"
    assert again["cancel_requested"] is False
    assert "end_time" not in again
    events = events_of(rest, task)
    assert kinds(events) == ["CREATED", "CANCELLED", "REPLAYED"]
    assert events[-1]["message"] == "after all"


def test_a_failed_task_runs_again_with_its_attempts_counted_anew(rest: httpx.Client) -> None:
    failed = run(rest, "test.refuse")
    assert failed["status"] == "FAILED"
    again = ok(rest.post(f"{path_of(failed)}:retry"))
    assert again["status"] == "QUEUED"
    assert again["failed_attempts"] == 0
    assert finished(rest, again)["status"] == "FAILED"
    assert kinds(events_of(rest, failed)) == ["CREATED", "STARTED", "FAILED", "REPLAYED", "STARTED", "FAILED"]


def test_what_the_status_does_not_allow_is_refused(rest: httpx.Client) -> None:
    done = run(rest)
    for verb in ("cancel", "retry"):
        refused(rest.post(f"{path_of(done)}:{verb}"), 400, 9, "WRONG_STATUS")
    waiting = submit_to_nobody(rest)
    refused(rest.post(f"{path_of(waiting)}:retry"), 400, 9, "WRONG_STATUS")
    refused(rest.get(f"{path_of(waiting)}/result"), 400, 9, "NO_RESULT")


def test_a_list_has_the_newest_first_and_no_payloads(rest: httpx.Client) -> None:
    tasks = [submit_to_nobody(rest, payload={"n": n}) for n in range(3)]
    page = ok(rest.get(TASKS))
    assert [task["id"] for task in page["tasks"]] == [task["id"] for task in reversed(tasks)]
    assert page["next_page_token"] == ""
    assert all("payload" not in task for task in page["tasks"])
    [first, *_] = ok(rest.get(TASKS, params={"view": "full"}))["tasks"]
    assert first["payload"] == {"n": 2}


def test_a_filter_finds_what_it_describes(rest: httpx.Client) -> None:
    red = submit_to_nobody(rest, tags=["red", "round"], priority="LOW", name="Ball, red")
    blue = submit_to_nobody(rest, tags=["blue"])
    ok(rest.post(f"{path_of(blue)}:cancel"))
    assert ids_in(rest, filter="status = QUEUED") == [red["id"]]
    assert ids_in(rest, filter="status = CANCELLED OR tags:red", order_by="create_time") == [
        red["id"],
        blue["id"],
    ]
    assert ids_in(rest, filter='tags:round AND priority = low AND name = "Ball*"') == [red["id"]]
    assert ids_in(rest, filter="NOT tags:blue") == [red["id"]]
    plus = submit_to_nobody(rest, name="1 + 1")
    assert ids_in(rest, filter='name = "1 + 1"') == [plus["id"]]
    assert ids_in(rest, filter=f'create_time < "{red["create_time"]}"') == []


@pytest.mark.parametrize("order", ["create_time", "create_time desc"])
def test_pages_have_every_task_once(rest: httpx.Client, order: str) -> None:
    wanted = [submit_to_nobody(rest)["id"] for _ in range(5)]
    arguments = {"page_size": "2", "order_by": order, "filter": f"queue = {NOBODYS_QUEUE}"}
    found, token = [], ""
    for size in (2, 2, 1):
        page = ok(rest.get(TASKS, params=arguments | {"page_token": token}))
        token = page["next_page_token"]
        assert len(page["tasks"]) == size
        found += [task["id"] for task in page["tasks"]]
    assert token == ""
    assert found == (wanted[::-1] if order.endswith("desc") else wanted)


def test_a_page_token_belongs_to_its_arguments(rest: httpx.Client) -> None:
    for _ in range(2):
        submit_to_nobody(rest)
    token = ok(rest.get(TASKS, params={"page_size": 1}))["next_page_token"]
    other = rest.get(TASKS, params={"page_size": 1, "page_token": token, "filter": "status = QUEUED"})
    assert fields_in(refused(other, 400, 3, "INVALID_PAGE_TOKEN")) == ["page_token"]


def test_a_wait_ends_at_its_timeout_with_the_task_as_it_is(rest: httpx.Client) -> None:
    task = submit_to_nobody(rest)
    assert ok(rest.get(f"{path_of(task)}:wait", params={"timeout": "0.01s"})) == task


def test_a_watch_has_each_event_once_and_ends_with_the_result(rest: httpx.Client) -> None:
    task = submit(rest, "test.steps", {"steps": 3})
    with watching(rest, task) as messages:
        snapshot, *events, closing = messages
    seen = snapshot["snapshot"]["task"]["last_sequence"]
    assert [event["event"]["sequence"] for event in events] == list(range(seen + 1, seen + 1 + len(events)))
    assert closing["closing"]["reason"] == "FINISHED"
    assert closing["closing"]["task"] == get(rest, task)
    assert closing["closing"]["task"]["last_sequence"] == seen + len(events)


def test_a_watch_goes_on_after_the_last_message_seen(rest: httpx.Client) -> None:
    task = submit_to_nobody(rest)
    with watching(rest, task) as messages:
        token = next(messages)["resume_token"]
    ok(rest.post(f"{path_of(task)}:cancel"))
    with watching(rest, task, resume_token=token) as messages:
        cancelled, closing = messages
    assert cancelled["event"]["kind"] == "CANCELLED"
    assert closing["closing"]["reason"] == "FINISHED"


def test_server_sent_events_name_what_they_carry(rest: httpx.Client) -> None:
    task = submit_to_nobody(rest, payload={"n": 30})
    with streaming(rest, task) as events:
        snapshot = next(events)
        ok(rest.post(f"{path_of(task)}:cancel"))
        cancelled, closing = events
    assert [event.name for event in (snapshot, cancelled, closing)] == ["snapshot", "event", "closing"]
    assert snapshot.data["snapshot"]["task"] == task
    assert snapshot.id == snapshot.data["resume_token"] != cancelled.id
    assert cancelled.data["event"]["kind"] == "CANCELLED"
    assert closing.data["closing"]["task"] == get(rest, task)


def test_server_sent_events_that_reconnect_have_no_gap_and_no_duplicate(rest: httpx.Client) -> None:
    task = submit(rest, "test.steps", {"steps": 20})
    with streaming(rest, task) as events:
        last = next(events)
    sequences = [last.data["snapshot"]["task"]["last_sequence"]]
    while last.name != "closing":
        with streaming(rest, task, last.id) as events:
            for last, _ in zip(events, range(3), strict=False):
                if last.name == "event":
                    sequences.append(last.data["event"]["sequence"])
    assert sequences == list(range(sequences[0], len(events_of(rest, task)) + 1))


def test_a_browser_may_also_give_the_id_in_the_address(rest: httpx.Client) -> None:
    task = submit_to_nobody(rest)
    with streaming(rest, task) as events:
        last = next(events)
    ok(rest.post(f"{path_of(task)}:cancel"))
    answer = rest.get(f"{path_of(task)}/events:stream", params={"resume_token": last.id})
    assert [event.name for event in server_sent_events(answer.iter_lines())] == ["event", "closing"]


def test_a_result_is_the_bare_json(rest: httpx.Client) -> None:
    result = rest.get(f"{path_of(run(rest, payload={'text': 'ä', 'none': None}))}/result")
    assert result.status_code == 200
    assert result.headers["content-type"] == "application/json"
    assert result.text == '{"none":null,"text":"ä"}'


def test_a_large_result_comes_whole(rest: httpx.Client) -> None:
    payload = {"text": "x" * 1_000_000}
    assert rest.get(f"{path_of(run(rest, payload=payload))}/result").json() == payload


def test_each_attempt_is_kept(rest: httpx.Client) -> None:
    done = run(rest, "test.flaky", {"failures": 1}, retry_policy={"initial_backoff": "0.01s"})
    assert done["result"] == {"attempt": 2}
    first, second = ok(rest.get(f"{path_of(done)}/attempts"))["attempts"]
    assert (first["attempt"], first["outcome"]) == (1, "FAILED")
    assert first["error"]["type"] == "ConnectionError"
    assert (second["attempt"], second["outcome"]) == (2, "SUCCEEDED")
    assert first["start_time"] < first["end_time"] < second["start_time"] < second["end_time"]


def test_the_log_of_a_task_can_be_read_in_pages(rest: httpx.Client) -> None:
    done = run(rest, "test.steps", {"steps": 2})
    found, token = [], ""
    for _ in range(3):
        page = ok(rest.get(f"{path_of(done)}/events", params={"page_size": 2, "page_token": token}))
        found += page["events"]
        token = page["next_page_token"]
    assert found == events_of(rest, done)[:6]
    assert kinds(found)[:2] == ["CREATED", "STARTED"]


def test_the_task_types_of_the_workers_are_listed_by_name(rest: httpx.Client) -> None:
    types = ok(rest.get("/api/v1/taskTypes"))["task_types"]
    names = [task_type["name"] for task_type in types]
    assert names == sorted(names)
    assert {"compute", "echo", "email", "http_request", "test.steps"} <= set(names)
    echo = types[names.index("echo")]
    assert echo["description"] == "Return the payload."
    assert echo["workers"] >= 1
    assert echo["queues"] == ["default"]


def test_a_repeated_request_creates_one_task(rest: httpx.Client) -> None:
    body = {"task_type": "echo", "queue": NOBODYS_QUEUE}
    key = str(uuid4())
    first, second = (ok(rest.post(TASKS, json=body, headers={"Idempotency-Key": key})) for _ in range(2))
    third = ok(rest.post(TASKS, json=body, params={"request_id": key}))
    assert first == second == third
    other = rest.post(TASKS, json=body | {"name": "other"}, headers={"Idempotency-Key": key})
    refused(other, 409, 6, "REQUEST_ID_REUSED")
    assert ids_in(rest) == [first["id"]]


def test_a_check_stores_nothing(rest: httpx.Client) -> None:
    preview = ok(rest.post(TASKS, json={"task_type": "echo"}, params={"validate_only": "true"}))
    assert preview["id"] == ""
    assert preview["name"] == "echo"
    assert ids_in(rest) == []


def test_a_batch_is_stored_whole_or_not_at_all(rest: httpx.Client) -> None:
    def batch(*task_types: str) -> httpx.Response:
        tasks = [{"task_type": name, "queue": NOBODYS_QUEUE} for name in task_types]
        return rest.post(f"{TASKS}:batchCreate", json={"requests": [{"task": task} for task in tasks]})

    error = refused(batch("echo", ""), 400, 3, "INVALID_FIELDS")
    assert fields_in(error) == ["requests[1].task.task_type"]
    assert ids_in(rest) == []
    created = ok(batch("echo", "compute"))["tasks"]
    assert [task["task_type"] for task in created] == ["echo", "compute"]


def test_many_tasks_are_cancelled_and_put_back_at_once(rest: httpx.Client) -> None:
    tasks = [submit_to_nobody(rest, tags=["many"]) for _ in range(3)]
    cancelled = ok(rest.post(f"{TASKS}:batchCancel", json={"filter": "tags:many"}))
    assert cancelled == {"cancelled_count": 3, "requested_count": 0, "more": False}
    some = [task["id"] for task in tasks[:2]]
    retried = ok(rest.post(f"{TASKS}:batchRetry", json={"ids": {"task_ids": some}}))
    assert retried == {"retried_count": 2, "more": False}
    assert ids_in(rest, filter="status = QUEUED", order_by="create_time") == some


def test_a_tenant_never_sees_the_tasks_of_another(rest: httpx.Client) -> None:
    task = submit_to_nobody(rest)
    with in_tenant(rest, "somebody-else") as other:
        assert task["id"] not in ids_in(other)
        for path in ("", "/result", "/events", "/attempts", ":wait", ":watch", "/events:stream"):
            refused(other.get(f"{path_of(task)}{path}"), 404, 5, "NOT_FOUND")
        for verb in ("cancel", "retry"):
            refused(other.post(f"{path_of(task)}:{verb}"), 404, 5, "NOT_FOUND")
        done = ok(other.post(f"{TASKS}:batchCancel", json={"ids": {"task_ids": [task["id"]]}}))
        assert done["cancelled_count"] == 0
    assert get(rest, task) == task


def test_a_request_id_is_echoed_and_quoted_in_errors(rest: httpx.Client) -> None:
    mine = {"x-request-id": "mine-1"}
    assert rest.get(TASKS, headers=mine).headers["x-request-id"] == "mine-1"
    missing = rest.get(f"{TASKS}/{uuid4()}", headers=mine)
    assert missing.headers["x-request-id"] == "mine-1"
    assert detail(refused(missing, 404, 5, "NOT_FOUND"), REQUEST_INFO)["request_id"] == "mine-1"
    assert rest.get("/nothing", headers=mine).headers["x-request-id"] == "mine-1"
    task = run(rest)
    stream = rest.get(f"{path_of(task)}/events:stream", headers=mine)
    assert stream.headers["x-request-id"] == "mine-1"
    assert rest.get(TASKS).headers["x-request-id"] != rest.get(TASKS).headers["x-request-id"]
