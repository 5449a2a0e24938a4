"""What handlers do wrong: each ends as a clear error of the task, and the worker lives on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from support.rest import Json, events_of, get, kinds, ok, path_of, run, submit, watched

ONCE = {"max_attempts": 1}


@pytest.fixture(autouse=True)
def the_worker_lives_on(rest: httpx.Client) -> Iterator[None]:
    """After each test, the next task runs, in the process that has run the test's."""
    before = workers(rest, run(rest))
    yield
    assert workers(rest, run(rest)) == before


def workers(rest: httpx.Client, task: Json) -> set[str]:
    """The workers, as `host:pid`, that have run the task."""
    return {attempt["worker"] for attempt in ok(rest.get(f"{path_of(task)}/attempts"))["attempts"]}


def failed(rest: httpx.Client, task_type: str, payload: Json | None = None, **fields: object) -> Json:
    """The error of a task that has one attempt, as the task, its attempt and its log have it."""
    task = run(rest, task_type, payload, retry_policy=ONCE, **fields)
    assert task["status"] == "FAILED"
    error: Json = task["error"]
    [attempt] = ok(rest.get(f"{path_of(task)}/attempts"))["attempts"]
    last = events_of(rest, task)[-1]
    assert (attempt["outcome"], last["kind"]) == ("FAILED", "FAILED")
    assert attempt["error"] == last["error"] == error
    return error


def test_an_exception_is_kept_with_its_stack_trace(rest: httpx.Client) -> None:
    error = failed(rest, "test.raise", {"message": "the disk is full"})
    assert (error["type"], error["message"], error["attempt"]) == ("ValueError", "the disk is full", 1)
    assert error["stack_trace"].rstrip().endswith("ValueError: the disk is full")
    assert "in raise_error" in error["stack_trace"]


def test_a_long_message_is_cut(rest: httpx.Client) -> None:
    assert failed(rest, "test.raise", {"message": "10,000 letters"})["message"] == "x" * 4000


def test_a_nul_in_a_message_is_replaced(rest: httpx.Client) -> None:
    assert failed(rest, "test.raise", {"message": "a nul"})["message"] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("handler", ["test.forever", "test.deaf", "test.thread"])
def test_an_attempt_that_takes_too_long_is_stopped(rest: httpx.Client, handler: str) -> None:
    error = failed(rest, handler, attempt_timeout="0.05s")
    assert error["type"] == "AttemptTimeout"
    assert error["message"] == "the attempt ran longer than 0.05 s"


def test_a_task_type_that_nobody_knows_is_named_with_those_that_are(rest: httpx.Client) -> None:
    error = failed(rest, "no.such.type")
    assert error["type"] == "UnknownTaskType"
    assert "'no.such.type'" in error["message"]
    assert "it has compute, echo, email, " in error["message"]
    assert ", http_request, " in error["message"]


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("a set", "result: set is not JSON; return sorted(value)"),
        ("nan", "result.values[1]: NaN"),
        ("bytes", "result.data: bytes is not JSON"),
        ("a number as key", "result: a key is of type int"),
        ("a nul", "result: a NUL character"),
        ("half a surrogate pair", "result: half a surrogate pair"),
        ("a circle", "more than 100 levels"),
        ("101 levels", "more than 100 levels"),
    ],
)
def test_a_result_that_is_not_json_says_where_and_what(rest: httpx.Client, result: str, says: str) -> None:
    error = failed(rest, "test.return", {"result": result})
    assert error["type"] == "InvalidResult"
    assert says in error["message"]


def test_a_result_that_is_too_large_names_the_limit(rest: httpx.Client) -> None:
    error = failed(rest, "test.return", {"result": "9 MiB"})
    assert error["type"] == "ResultTooLarge"
    assert "at most 8388608 are allowed (setting TASKFLOW_MAX_RESULT_BYTES)" in error["message"]


@pytest.mark.parametrize("result", ["60 levels", "a huge number"])
def test_a_result_that_a_value_cannot_carry_comes_as_text(rest: httpx.Client, result: str) -> None:
    task = run(rest, "test.return", {"result": result})
    assert task["status"] == "SUCCEEDED"
    assert "result" not in task
    assert rest.get(f"{path_of(task)}/result").text == task["result_json"]
    *_, closing = watched(rest, task)
    assert closing["closing"]["task"] == task
    json.loads(task["result_json"])


def test_a_handler_that_returns_nothing_succeeds(rest: httpx.Client) -> None:
    task = run(rest, "test.return", {"result": "nothing"})
    assert task["status"] == "SUCCEEDED"
    assert task["result"] is None
    assert rest.get(f"{path_of(task)}/result").text == "null"


def test_a_process_that_ends_takes_only_its_attempt_with_it(rest: httpx.Client) -> None:
    error = failed(rest, "test.process", {"code": 7})
    assert error["type"] == "ProcessDied"
    assert "exit code 7" in error["message"]


def test_work_in_a_process_that_takes_too_long_is_stopped(rest: httpx.Client) -> None:
    payload = {"operation": "collatz", "limit": 5_000_000}
    assert failed(rest, "compute", payload, attempt_timeout="0.3s")["type"] == "AttemptTimeout"
    assert run(rest, "compute", {"operation": "fibonacci", "n": 10})["status"] == "SUCCEEDED"


def test_a_wrong_payload_is_final_and_names_each_field(rest: httpx.Client) -> None:
    task = run(rest, "compute", {"operation": "fibonacci", "n": "many", "colour": "red"})
    assert (task["status"], task["attempt"]) == ("FAILED", 1)
    assert task["error"]["type"] == "InvalidPayload"
    assert "n: must be a whole number" in task["error"]["message"]
    assert "colour: is not a field of this payload" in task["error"]["message"]


def test_a_failure_for_good_is_not_tried_again(rest: httpx.Client) -> None:
    task = run(rest, "test.refuse", {"reason": "no such customer"})
    assert (task["status"], task["attempt"]) == ("FAILED", 1)
    assert (task["error"]["type"], task["error"]["message"]) == ("Fail", "no such customer")


def test_a_handler_chooses_when_it_is_tried_again(rest: httpx.Client) -> None:
    task = run(rest, "test.retry", {"delay": 0.05})
    assert task["result"] == {"attempt": 2}
    events = events_of(rest, task)
    came_due = [kind for kind in kinds(events) if kind != "QUEUED"]  # a worker may have been faster
    assert came_due == ["CREATED", "STARTED", "RETRYING", "STARTED", "SUCCEEDED"]
    assert (events[2]["error"]["type"], events[2]["error"]["message"]) == ("Retry", "not yet")
    assert events[2]["next_attempt_time"] > events[2]["event_time"]


def test_attempts_that_all_fail_leave_a_dead_letter(rest: httpx.Client) -> None:
    policy = {"max_attempts": 3, "initial_backoff": "0.01s"}
    task = run(rest, "test.flaky", {"failures": 5}, retry_policy=policy)
    assert (task["status"], task["attempt"], task["failed_attempts"]) == ("FAILED", 3, 3)
    assert (task["error"]["message"], task["error"]["attempt"]) == ("failure 3", 3)


def test_progress_and_lines_reach_the_log_in_order(rest: httpx.Client) -> None:
    task = run(rest, "test.report", {"text": "halfway"})
    events = [event for event in events_of(rest, task) if event["kind"] in ("LOG", "PROGRESS")]
    assert kinds(events) == ["LOG", "LOG", "PROGRESS"]
    assert [event["message"] for event in events[:2]] == ["halfway", "warning: halfway"]
    progress = {"percent": 50, "message": "halfway", "current": 5, "total": 10, "unit": "rows"}
    assert events[2]["progress"] == get(rest, task)["progress"] == progress


def test_progress_can_be_watched_while_it_happens(rest: httpx.Client) -> None:
    # What happens before the watch is open, its snapshot stands for: so it is given time.
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    payload = {"operation": "primes", "limit": 3_000_000}
    messages = watched(rest, submit(rest, "compute", payload, schedule_time=soon))
    percents = [
        message["event"]["progress"]["percent"]
        for message in messages
        if message.get("event", {}).get("kind") == "PROGRESS"
    ]
    assert percents == sorted(percents)
    assert percents[-1] == 100


def test_long_lines_are_cut(rest: httpx.Client) -> None:
    task = run(rest, "test.report", {"text": "10,000 letters"})
    line, _, progress = (e for e in events_of(rest, task) if e["kind"] in ("LOG", "PROGRESS"))
    assert line["message"] == "x" * 4000
    assert progress["progress"]["message"] == "x" * 500


@pytest.mark.parametrize("text", ["a nul", "half a surrogate pair"])
def test_a_line_that_cannot_be_stored_does_not_hold_up_the_task(rest: httpx.Client, text: str) -> None:
    task = run(rest, "test.report", {"text": text})
    assert task["status"] == "SUCCEEDED"
    assert task["progress"]["message"] == "\N{REPLACEMENT CHARACTER}"


def test_half_a_surrogate_pair_in_a_message_is_replaced(rest: httpx.Client) -> None:
    error = failed(rest, "test.raise", {"message": "half a surrogate pair"})
    assert (error["type"], error["message"]) == ("ValueError", "\N{REPLACEMENT CHARACTER}")


def test_a_handler_that_exits_fails_alone(rest: httpx.Client) -> None:
    assert failed(rest, "test.exit", {"code": 3})["type"] == "SystemExit"
