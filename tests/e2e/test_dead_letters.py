"""The story of some dead letters, as REST callers live it."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest


@pytest.fixture
async def rest(stack: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a tenant of its own, so that other tests' dead letters are not seen."""
    tenant = f"t-{uuid.uuid4().hex[:12]}"
    async with httpx.AsyncClient(
        base_url=f"{stack.rest}/api/v1", headers={"x-tenant-id": tenant}, timeout=30
    ) as client:
        yield client


async def finished(rest: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    answer = await rest.get(f"/tasks/{task_id}:wait", params={"timeout": "20s"})
    task: dict[str, Any] = answer.raise_for_status().json()
    return task


async def failed_task(rest: httpx.AsyncClient, number: int) -> str:
    task = {"task_type": "test.refuse", "payload": {"reason": f"customer {number} is locked"}}
    created = (await rest.post("/tasks", json=task)).raise_for_status().json()
    assert (await finished(rest, created["id"]))["status"] == "FAILED"
    return str(created["id"])


async def test_dead_letters_are_found_replayed_with_a_new_payload_and_discarded(rest: httpx.AsyncClient):
    tasks = [await failed_task(rest, number) for number in range(3)]

    (group,) = (await rest.get("/deadLetters:summarize")).raise_for_status().json()["groups"]
    assert (group["count"], group["error_type"], group["task_types"]) == (3, "Fail", ["test.refuse"])
    assert group["sample"]["task"]["id"] == tasks[-1]

    alike = {"filter": f'fingerprint = "{group["fingerprint"]}"'}
    listed = (await rest.get("/deadLetters", params=alike | {"page_size": 2})).raise_for_status().json()
    assert [letter["task"]["id"] for letter in listed["dead_letters"]] == [tasks[2], tasks[1]]
    assert {letter["cause"] for letter in listed["dead_letters"]} == {"NOT_RETRYABLE"}
    assert listed["next_page_token"]

    order = alike | {"payload": {"reason": "it is still locked"}, "max_rate": 50, "reason": "try again"}
    preview = (
        (await rest.post("/deadLetters:replay", json=order | {"validate_only": True}))
        .raise_for_status()
        .json()
    )
    assert preview["progress"]["total"] == 3

    headers = {"idempotency-key": "replay-1"}
    replays = [
        (await rest.post("/deadLetters:replay", json=order, headers=headers)).raise_for_status().json()
        for _ in range(2)
    ]
    assert replays[0]["id"] == replays[1]["id"], "a repeated call is the same replay"
    replay = await finished(rest, replays[0]["id"])
    assert (replay["task_type"], replay["result"]) == ("taskflow.replay", {"replayed": 3, "skipped": 0})
    for task_id in tasks:
        task = await finished(rest, task_id)
        assert (task["status"], task["attempt"]) == ("FAILED", 2)
        assert task["error"]["message"] == "it is still locked"

    again = (await rest.get("/deadLetters", params={"filter": "replay_count = 1"})).raise_for_status().json()
    assert len(again["dead_letters"]) == 3

    discarded = await rest.post("/deadLetters:discard", json={"ids": {"task_ids": tasks[:2]}})
    assert discarded.raise_for_status().json()["discarded_count"] == 2
    left = (await rest.get("/deadLetters")).raise_for_status().json()
    assert [letter["task"]["id"] for letter in left["dead_letters"]] == [tasks[2]]


@pytest.mark.parametrize("task_type", ["taskflow.replay", "taskflow.anything"])
async def test_task_types_of_the_service_cannot_be_created_by_callers(
    rest: httpx.AsyncClient, task_type: str
):
    answer = await rest.post("/tasks", json={"task_type": task_type})
    assert answer.status_code == 400
    assert "task.task_type" in answer.text


async def test_a_replay_that_is_wrong_is_refused_with_the_field(rest: httpx.AsyncClient):
    for order, field in (
        ({}, "selection"),
        ({"filter": "nonsense = 1"}, "filter"),
        ({"filter": "status = FAILED", "payload_json": "[]"}, "payload_json"),
        ({"filter": "status = FAILED", "max_rate": 20_000}, "max_rate"),
    ):
        answer = await rest.post("/deadLetters:replay", json=order)
        assert (answer.status_code, field in answer.text) == (400, True), answer.text
