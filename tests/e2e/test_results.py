"""Large results, from the handler through object storage and Envoy to the caller."""

import json
from typing import Any

import httpx

SIZE = 5_000_000
TEXT = '"' + "0123456789" * (SIZE // 10) + '"'


def finished(rest: httpx.Client, characters: int) -> dict[str, Any]:
    """A task with a result of that size, once it is done."""
    task = {"name": "large", "task_type": "test.large", "payload": {"characters": characters}}
    created = rest.post("/api/v1/tasks", json=task).raise_for_status().json()
    done: dict[str, Any] = rest.get(f"/api/v1/tasks/{created['id']}:wait").raise_for_status().json()
    assert done["status"] == "SUCCEEDED", done.get("error")
    return done


def test_a_result_of_five_megabytes_is_read_exactly(stack):
    with httpx.Client(base_url=stack.rest, timeout=60) as rest:
        task = finished(rest, SIZE)
        answer = rest.get(f"/api/v1/tasks/{task['id']}/result").raise_for_status()
        assert answer.headers["content-type"] == "application/json"
        assert answer.text == TEXT
        for view in (task, rest.get(f"/api/v1/tasks/{task['id']}").raise_for_status().json()):
            assert view["result_url"].endswith(f"/default/{task['id']}/1.json")
            assert view.get("result") is None


def test_the_end_of_a_stream_names_a_large_result_and_does_not_carry_it(stack):
    with httpx.Client(base_url=stack.rest, timeout=60) as rest:
        task = finished(rest, SIZE)
        stream = rest.get(f"/api/v1/tasks/{task['id']}/events:stream").raise_for_status()
        (closing,) = [
            line for line in stream.text.splitlines() if '"closing"' in line and line[:5] == "data:"
        ]
        end = json.loads(closing.removeprefix("data:"))["closing"]["task"]
        assert end["result_url"] == task["result_url"]
        assert len(stream.text) < 20_000


def test_a_small_result_is_in_the_task(stack):
    with httpx.Client(base_url=stack.rest, timeout=60) as rest:
        task = finished(rest, 100)
        assert len(task["result"]) == 100
        assert not task.get("result_url")
