"""The story of a webhook: made, tried, told of a task, rotated, repeated and deleted over REST and by command."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from support.command_line import CommandLine
from support.http_site import Site, response, running_site
from support.webhooks import verified
from taskflow_cli.webhook import webhook

TENANT = f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def rest(stack: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a tenant of its own, whose events are not those of other tests."""
    async with httpx.AsyncClient(
        base_url=f"{stack.rest}/api/v1", headers={"x-tenant-id": TENANT}, timeout=30
    ) as client:
        yield client


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as site:
        yield site


async def call(rest: httpx.AsyncClient, method: str, path: str, **arguments: Any) -> dict[str, Any]:
    answer = await rest.request(method, path, **arguments)
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def final(rest: httpx.AsyncClient, path: str, **filter: str) -> list[dict[str, Any]]:
    """The deliveries of a webhook, once there are some and all are final."""
    async with asyncio.timeout(20):
        while True:
            found: list[dict[str, Any]] = (await call(rest, "GET", path, params=filter))["deliveries"]
            if found and all(one["status"] in ("SUCCEEDED", "FAILED", "CANCELLED") for one in found):
                return found
            await asyncio.sleep(0.05)


async def test_a_webhook_is_told_of_a_task(rest: httpx.AsyncClient, site: Site):
    wanted = {"url": site.url("/hook"), "event_types": ["task.success"], "headers": {"x-token": "hunter2"}}
    made = await call(rest, "POST", "/webhooks", json=wanted)
    path = f"/webhooks/{made['id']}"
    assert made["secret"].startswith("whsec_")
    shown = await call(rest, "GET", path)
    assert (shown["secret"], shown["headers"], shown["status"]) == ("", {"x-token": "***"}, "ENABLED")
    assert [one["id"] for one in (await call(rest, "GET", "/webhooks"))["webhooks"]] == [made["id"]]

    tried = await call(rest, "POST", f"{path}:test", json={})
    assert (tried["status"], tried["test"], tried["attempts"][0]["response_status"]) == (
        "SUCCEEDED",
        True,
        200,
    )
    assert verified(made["secret"], site.requests.pop())["data"]["test"]

    task = await call(rest, "POST", "/tasks", json={"task_type": "echo", "payload": {"a": 1}})
    (delivery,) = await final(rest, f"{path}/deliveries", filter="test = false")
    (request,) = site.requests
    event = verified(made["secret"], request)
    assert (event["type"], event["data"]["task"]["id"]) == ("task.success", task["id"])
    assert request.headers["webhook-id"] == delivery["id"]
    assert (delivery["task_id"], delivery["body_json"]) == (task["id"], "")
    whole = await call(rest, "GET", f"/deliveries/{delivery['id']}")
    assert whole["body_json"].encode() == request.body
    assert whole["attempts"][0]["request_headers"]["x-token"] == "***"

    rotated = await call(rest, "POST", f"{path}:rotateSecret", json={"overlap": "60s"})
    await call(rest, "POST", f"/deliveries/{delivery['id']}:redeliver", json={})
    await final(rest, f"{path}/deliveries")
    for secret in (made["secret"], rotated["secret"]):
        assert verified(secret, site.requests[1]) == event

    changed = await call(rest, "PATCH", path, json={"event_types": ["task.*"], "etag": rotated["etag"]})
    assert (changed["event_types"], changed["url"], changed["secret"]) == (["task.*"], wanted["url"], "")
    disabled = await call(rest, "POST", f"{path}:disable", json={"note": "moving"})
    assert (disabled["status"], disabled["note"]) == ("DISABLED", "moving")
    await call(rest, "POST", f"{path}:enable", json={})
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    recovered = await call(rest, "POST", f"{path}:recoverDeliveries", json={"start_time": since})
    assert recovered["created_count"] == 2, "created and started, which it had not asked for then"
    await call(rest, "DELETE", path)
    assert (await rest.get(path)).status_code == 404


async def test_a_failing_receiver_is_shown(rest: httpx.AsyncClient, site: Site):
    site.answer = lambda _: response(b"try later", "503 Service Unavailable")
    wanted = {
        "url": site.url(),
        "event_types": ["task.created"],
        "retry_policy": {"max_attempts": 1},
        "condition": 'event.data.task.name == "mine"',
    }
    made = await call(rest, "POST", "/webhooks", json=wanted)
    for name in ("other", "mine"):
        await call(rest, "POST", "/tasks", json={"task_type": "echo", "name": name})
    (delivery,) = await final(
        rest, f"/webhooks/{made['id']}/deliveries", filter="status = FAILED", view="FULL"
    )
    (attempt,) = delivery["attempts"]
    assert (attempt["outcome"], attempt["response_body"]) == ("BAD_STATUS", "try later")
    shown = await call(rest, "GET", f"/webhooks/{made['id']}")
    assert (shown["consecutive_failures"], shown["failing_since_time"][:2]) == (1, "20")
    assert (await call(rest, "GET", f"/webhooks/{made['id']}"))["condition"] == wanted["condition"]


async def test_what_a_webhook_cannot_be_is_refused_over_rest(rest: httpx.AsyncClient):
    answer = await rest.post(
        "/webhooks", json={"url": "https://example.com/", "event_types": ["task.sucess"]}
    )
    assert (answer.status_code, "did you mean 'task.success'?" in answer.text) == (400, True)
    answer = await rest.post("/webhooks", json={"event_types": ["*"]})
    assert (answer.status_code, "webhook.url" in answer.text) == (400, True)
    answer = await rest.post("/webhooks", json={"url": "https://example.com/", "event_types": []})
    assert (answer.status_code, "webhook.event_types" in answer.text) == (400, True)


async def test_the_command_makes_tries_and_deletes_a_webhook(stack: Any, site: Site):
    shell = CommandLine(env={"TASKFLOW_ADDRESS": stack.grpc, "TASKFLOW_TENANT": TENANT})

    async def run(*words: str) -> str:
        result = await asyncio.to_thread(shell.invoke, webhook, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    made = json.loads(
        await run("create", site.url(), "--event", "task.*", "--header", "x-a: b", "--name", "cli", "--json")
    )
    assert (made["headers"], made["secret"][:6]) == ({"x-a": "***"}, "whsec_")
    assert "SUCCEEDED" in await run("test", made["id"])
    assert verified(made["secret"], site.requests[0])["type"] == "task.created"
    assert "cli" in await run("list")
    assert "task.created" in await run("deliveries", made["id"])
    assert "not shown again" in await run("rotate", made["id"], "--overlap", "1h")
    assert "DISABLED" in await run("disable", made["id"], "--note", "enough")
    await run("enable", made["id"])
    assert "sent again" in await run("recover", made["id"], "--since", _an_hour_ago())
    paired = await run("create", site.url(), "--event", "task.*", "--name", "paired", "--ed25519")
    assert ("whpk_" in paired, "whsk_" in paired) == (True, False)
    await run("delete", made["id"])
    assert made["id"] not in await run("list")


def _an_hour_ago() -> str:
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()
