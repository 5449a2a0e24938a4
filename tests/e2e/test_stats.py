"""What happened is told over REST, by a stream, and by command."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from support.command_line import CommandLine
from taskflow_cli.stats import stats
from taskflow_client import TaskFlow

TENANT = f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def rest(stack: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a tenant of its own, in whose figures nobody else is."""
    async with httpx.AsyncClient(
        base_url=f"{stack.rest}/api/v1", headers={"x-tenant-id": TENANT}, timeout=30
    ) as client:
        yield client


async def call(rest: httpx.AsyncClient, path: str, **parameters: Any) -> dict[str, Any]:
    answer = await rest.get(path, params=parameters)
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_figures_of_some_tasks_are_told_over_rest(rest: httpx.AsyncClient):
    for number in range(5):
        body = {"task_type": "echo", "priority": "HIGH" if number else "LOW"}
        task = (await rest.post("/tasks", json=body)).json()
        ended = await call(rest, f"/tasks/{task['id']}:wait", timeout="20s")
        assert ended["status"] == "SUCCEEDED"
    overview = await call(rest, "/stats")
    assert (overview["tasks"]["total"], overview["tasks"]["succeeded"]) == (5, 5)
    assert overview["workers"] >= 1
    assert overview["wait_time"]["count"] == 5
    assert overview["submit_rate"] > 0

    tasks = await call(rest, "/stats/tasks", interval="120s")
    assert tasks["total"]["submitted"] == tasks["total"]["succeeded"] == 5
    assert [(one["priority"], one["attempts"]) for one in tasks["by_priority"]] == [("HIGH", 4), ("LOW", 1)]
    assert [one["task_type"] for one in tasks["by_task_type"]] == ["echo"]
    assert tasks["total"]["run_time"]["count"] == 5
    assert sum(one["succeeded"] for one in tasks["throughput"]) == 5
    low = await call(rest, "/stats/tasks", priority="low")
    assert low["total"]["submitted"] == low["current"]["succeeded"] == 1

    queues = await call(rest, "/stats/queues", queue="default")
    assert [lane["priority"] for lane in queues["lanes"]] == ["CRITICAL", "HIGH", "NORMAL", "LOW"]
    assert all(lane["workers"] >= 1 for lane in queues["lanes"])
    assert queues["workers"][0]["slots"] > 0

    refused = await rest.get(
        "/stats/tasks", params={"start_time": "2026-01-02T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"}
    )
    assert (refused.status_code, "end_time" in refused.text) == (400, True)


async def test_figures_of_webhooks_are_told_over_rest_and_by_command(rest: httpx.AsyncClient, stack: Any):
    wanted = {"url": "http://127.0.0.1:9/", "event_types": ["task.created"], "name": "nowhere"}
    webhook = (await rest.post("/webhooks", json=wanted)).json()
    await rest.post("/tasks", json={"task_type": "echo"})
    overview = await call(rest, "/stats")
    assert (overview["webhooks"]["enabled"], overview["pending_deliveries"]) == (1, 1)
    assert overview["executions"]["total"] == overview["workflows"] == 0
    figures = await call(rest, "/stats/webhooks")
    assert (figures["current"]["total"], figures["total"]["planned"]) == (1, 1)
    assert [(one["webhook_id"], one["pending"]) for one in figures["by_webhook"]] == [(webhook["id"], 1)]
    assert (await call(rest, "/stats/webhooks", webhook_id=str(uuid.uuid4())))["by_webhook"] == []
    refused = await rest.get(
        "/stats/webhooks", params={"start_time": "2026-01-02T00:00:00Z", "end_time": "2026-01-01T00:00:00Z"}
    )
    assert (refused.status_code, "end_time" in refused.text) == (400, True)
    shell = CommandLine(env={"TASKFLOW_ADDRESS": stack.grpc, "TASKFLOW_TENANT": TENANT})
    shown = await asyncio.to_thread(shell.invoke, stats, ["webhooks"])
    assert "nowhere" in shown.output
    await rest.delete(f"/webhooks/{webhook['id']}")


async def test_the_overview_tells_of_schedules_and_workflows(rest: httpx.AsyncClient, stack: Any):
    yearly = {"name": "yearly", "task_type": "echo", "schedule_type": "cron", "cron_expression": "0 0 1 1 *"}
    schedule = await rest.post("/schedules", json=yearly)
    assert schedule.is_success, schedule.text
    workflow = await rest.post("/workflows", json={"name": "wait", "nodes": [{"id": "go", "wait": {}}]})
    assert workflow.is_success, workflow.text
    execution = await rest.post(f"/workflows/{workflow.json()['id']}/executions", json={})
    assert execution.is_success, execution.text
    overview = await call(rest, "/stats")
    assert (overview["schedules"]["total"], overview["schedules"]["active"]) == (1, 1)
    assert overview["next_fire_time"] == schedule.json()["next_fire_time"]
    assert (overview["workflows"], overview["executions"]["running"]) == (1, 1)
    shell = CommandLine(env={"TASKFLOW_ADDRESS": stack.grpc, "TASKFLOW_TENANT": TENANT})
    assert "1 of 1 active" in (await asyncio.to_thread(shell.invoke, stats, ["overview"])).output
    await rest.delete(f"/schedules/{schedule.json()['id']}")


async def test_figures_are_followed(stack: Any):
    async with TaskFlow(stack.grpc, tenant=f"{TENANT}-watch") as taskflow:
        watch = taskflow.stats.watch(timedelta(seconds=1))
        assert (await anext(watch)).tasks.total == 0
        await taskflow.wait(await taskflow.submit("echo"))
        async for overview in watch:
            if overview.tasks.succeeded == 1:
                break
        await watch.aclose()
        assert (await taskflow.stats.tasks()).total.submitted == 1
        assert (await taskflow.stats.queues("default")).workers


def test_the_command_shows_figures(stack: Any):
    shell = CommandLine(env={"TASKFLOW_ADDRESS": stack.grpc, "TASKFLOW_TENANT": TENANT})

    def run(*words: str) -> str:
        result = shell.invoke(stats, words)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "dead letters" in run("overview")
    assert json.loads(run("overview", "--json"))["workers"] >= 1
    assert "submitted" in run("tasks")
    shown = run("queues", "default")
    assert "CRITICAL" in shown
    assert json.loads(run("queues", "--json"))["lanes"]
