"""The story of a queue: limited, paused and resumed over REST and by command."""

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.command_line import CommandLine
from taskflow_cli.queue import queue

TENANT = f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def rest(stack: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a tenant of its own, whose queues are not those of other tests."""
    async with httpx.AsyncClient(
        base_url=f"{stack.rest}/api/v1", headers={"x-tenant-id": TENANT}, timeout=30
    ) as client:
        yield client


async def call(rest: httpx.AsyncClient, method: str, path: str, **arguments: Any) -> dict[str, Any]:
    answer = await rest.request(method, path, **arguments)
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_queue_is_limited_paused_and_resumed(rest: httpx.AsyncClient):
    unset = await call(rest, "GET", "/queues/default")
    assert (unset["status"], unset["max_concurrency"], unset["task_type_limits"]) == ("ACTIVE", 0, [])

    limits = {"max_concurrency": 1, "task_type_limits": [{"task_type": "email", "max_concurrency": 5}]}
    limited = await call(rest, "PATCH", "/queues/default", json=limits | {"etag": unset["etag"]})
    assert (limited["max_concurrency"], limited["task_type_limits"][0]["max_concurrency"]) == (1, 5)
    stale = await rest.patch("/queues/default", json={"max_rate": 3, "etag": unset["etag"]})
    assert (stale.status_code, stale.json()["details"][0]["reason"]) == (409, "ETAG_MISMATCH")

    paused = await call(rest, "POST", "/queues/default:pause", json={"note": "the disk is full"})
    assert (paused["status"], paused["note"], paused["max_concurrency"]) == ("PAUSED", "the disk is full", 1)
    tasks = [await call(rest, "POST", "/tasks", json={"task_type": "echo"}) for _ in range(5)]
    waited = await call(rest, "GET", f"/tasks/{tasks[0]['id']}:wait", params={"timeout": "0.5s"})
    assert waited["status"] == "QUEUED"
    found = await call(rest, "GET", "/queues", params={"filter": "status = PAUSED"})
    assert [one["name"] for one in found["queues"]] == ["default"]

    await call(rest, "POST", "/queues/default:resume", json={})
    for task in tasks:
        ended = await call(rest, "GET", f"/tasks/{task['id']}:wait", params={"timeout": "20s"})
        assert ended["status"] == "SUCCEEDED"

    lifted = await call(
        rest, "PATCH", "/queues/default", json={}, params={"update_mask": "max_concurrency,task_type_limits"}
    )
    assert (lifted["max_concurrency"], lifted["task_type_limits"]) == (0, [])


async def test_what_a_queue_cannot_be_is_refused_by_name(rest: httpx.AsyncClient):
    twice = {"task_type_limits": [{"task_type": "email"}, {"task_type": "email"}]}
    refused = await rest.patch("/queues/mail", json=twice)
    assert (refused.status_code, "'email' occurs twice" in refused.text) == (400, True)
    refused = await rest.patch("/queues/mail", json={}, params={"update_mask": "status"})
    assert (refused.status_code, "'status' is not a field that can be changed" in refused.text) == (400, True)
    refused = await rest.patch("/queues/mail", json={"max_concurrency": -1})
    assert (refused.status_code, "queue.max_concurrency" in refused.text) == (400, True)


def test_the_command_sets_what_is_named_and_leaves_the_rest(stack: Any) -> None:
    shell = CommandLine(env={"TASKFLOW_ADDRESS": stack.grpc, "TASKFLOW_TENANT": TENANT})

    def run(*words: str) -> str:
        result = shell.invoke(queue, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    run("set", "reports", "--max-concurrency", "4", "--max-rate", "0.5")
    run("set", "reports", "--task-type", "pdf", "--max-concurrency", "2")
    run("set", "reports", "--max-rate", "0")
    assert "PAUSED" in run("pause", "reports", "--note", "month end")
    shown = json.loads(run("get", "reports", "--json"))
    assert (shown["status"], shown["max_concurrency"], shown["max_rate"]) == ("PAUSED", 4, 0.0)
    assert shown["task_type_limits"] == [{"task_type": "pdf", "max_concurrency": 2, "max_rate": 0.0}]
    (line,) = [line for line in run("list").splitlines() if line.startswith("reports")]
    assert "4 at once" in line
    assert "pdf 2 at once" in line
    assert "month end" in line
    assert "ACTIVE" in run("resume", "reports")
    assert shell.invoke(queue, ["set", "reports"]).exit_code == 2
