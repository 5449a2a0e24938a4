"""The story of an execution over REST: started, watched, signalled, cancelled and run on."""

import asyncio
import json
import uuid
from typing import Any

import httpx

from support.command_line import CommandLine, Result
from support.rest import Json, ok, server_sent_events
from support.stack import StackAddresses
from taskflow_cli.execution import execution
from taskflow_client import ExecutionFinished, TaskFlow


def task(node_id: str, **fields: Any) -> dict[str, Any]:
    return {"id": node_id, "task": {"task_type": "echo", **fields}}


def made(rest: httpx.Client, name: str, nodes: list[Any], edges: list[Any]) -> str:
    workflow = ok(rest.post("/api/v1/workflows", json={"name": name, "nodes": nodes, "edges": edges}))
    return f"/api/v1/workflows/{workflow['id']}/executions"


def finished(rest: httpx.Client, execution: dict[str, Any]) -> dict[str, Any]:
    return ok(rest.get(f"/api/v1/executions/{execution['id']}:wait"))


def test_a_diamond_runs_and_tells_all_about_itself(rest: httpx.Client):
    path = made(
        rest,
        "diamond",
        [
            task("a", payload_expressions={"n": "input.n"}),
            task("b", payload_expressions={"n": "nodes.a.result.n + 1"}),
            task("c", payload_expressions={"n": "nodes.a.result.n * 2"}),
            task("d", payload_expressions={"sum": "nodes.b.result.n + nodes.c.result.n"}),
        ],
        [{"source": s, "target": t} for s, t in ("ab", "ac", "bd", "cd")],
    )
    body, key = {"input": {"n": 5}, "tags": ["x"]}, {"idempotency-key": "k"}
    execution = ok(rest.post(path, json=body, headers=key))
    assert ok(rest.post(path, json=body, headers=key))["id"] == execution["id"]
    done = finished(rest, execution)
    assert (done["status"], done["output"]) == ("SUCCEEDED", {"d": {"sum": 16}})
    assert done["node_runs"][0]["node_id"] == "a"
    assert done["node_run_counts"]["succeeded"] == 4
    runs = ok(rest.get(f"/api/v1/executions/{done['id']}/nodeRuns", params={"filter": 'node_id = "d"'}))
    [d] = runs["node_runs"]
    assert (d["input"], d["result"], d["attempt"], d["path"]) == ({"sum": 16}, {"sum": 16}, 1, "d")
    of_task = ok(rest.get(f"/api/v1/tasks/{d['task_id']}"))
    assert (of_task["execution_id"], of_task["node_id"]) == (done["id"], "d")
    events = ok(rest.get(f"/api/v1/executions/{done['id']}/events", params={"page_size": 100}))["events"]
    assert [event["sequence"] for event in events] == list(range(1, done["last_sequence"] + 1))
    listed = ok(rest.get("/api/v1/executions", params={"filter": "status = SUCCEEDED AND tags : x"}))
    assert [one["id"] for one in listed["executions"]] == [done["id"]]
    drawn = rest.get(f"/api/v1/executions/{done['id']}:render")
    assert drawn.headers["content-type"] == "text/vnd.mermaid"
    svg = rest.get(f"/api/v1/executions/{done['id']}:render", params={"format": "SVG"})
    assert (svg.headers["content-type"], svg.text.startswith("<svg")) == ("image/svg+xml", True)
    lines = rest.get(f"/api/v1/executions/{done['id']}/events:stream").text.splitlines()
    assert [event.name for event in server_sent_events([*lines, ""])] == ["snapshot", "closing"]


def _awaits_approval(message: Json) -> bool:
    runs = message.get("snapshot", {}).get("execution", {}).get("node_runs", ())
    return message.get("event", {}).get("kind") == "NODE_WAITING" or any(
        run["status"] == "WAITING" for run in runs
    )


def test_an_execution_waits_for_an_approval_and_is_watched_meanwhile(rest: httpx.Client):
    path = made(
        rest,
        "approval",
        [task("a"), {"id": "ok", "wait": {"mode": "APPROVAL"}}, task("z")],
        [{"source": "a", "target": "ok"}, {"source": "ok", "target": "z"}],
    )
    execution = ok(rest.post(path, json={}))
    with rest.stream("GET", f"/api/v1/executions/{execution['id']}:watch") as stream:
        messages = map(json.loads, stream.iter_lines())
        # The first message, or a later one, says that the approval is awaited.
        next(message for message in messages if _awaits_approval(message))
        body = {"signal": "ok", "payload": {"approved": True}}
        ok(rest.post(f"/api/v1/executions/{execution['id']}:signal", json=body))
        *_, message = messages
        assert message["closing"]["reason"] == "FINISHED"
        assert message["execution"]["status"] == "SUCCEEDED"


def test_a_cancelled_execution_runs_on_after_a_retry(rest: httpx.Client):
    path = made(rest, "slow", [{"id": "pause", "delay": {"duration": "3600s"}}, task("z")], [])
    execution = ok(rest.post(path, json={}))
    cancelled = ok(rest.post(f"/api/v1/executions/{execution['id']}:cancel", json={"reason": "no"}))
    assert finished(rest, cancelled)["status"] == "CANCELLED"
    again = ok(rest.post(f"/api/v1/executions/{execution['id']}:retry", json={}))
    assert again["status"] == "RUNNING"
    refused = rest.post(f"/api/v1/executions/{execution['id']}:retry", json={})
    assert refused.status_code == 400
    ok(rest.post(f"/api/v1/executions/{execution['id']}:cancel", json={}))


async def test_the_client_and_the_command_start_and_follow_executions(stack: StackAddresses):
    async with TaskFlow(stack.grpc) as taskflow:
        async with httpx.AsyncClient(base_url=stack.rest) as client:
            body = {"name": f"of-client-{uuid.uuid4().hex[:8]}", "nodes": [task("a"), task("b")]}
            workflow_id = ok(await client.post("/api/v1/workflows", json=body))["id"]
        started = await taskflow.executions.start(workflow_id, {"n": 1})
        updates = [update async for update in taskflow.executions.watch(started)]
        assert isinstance(updates[-1], ExecutionFinished)
        done = await taskflow.executions.wait(started)
        assert {run.node_id async for run in taskflow.executions.node_runs(done)} == {"a", "b"}
        again = await taskflow.executions.rerun(done, "b")
        assert (await taskflow.executions.wait(again)).source_execution_id == done.id
    environment = {"TASKFLOW_ADDRESS": stack.grpc}

    def run(*arguments: str) -> Result:
        return CommandLine(environment).invoke(execution, arguments)

    waited = await asyncio.to_thread(run, "start", workflow_id, "--wait")
    assert waited.exit_code == 0, waited.output
    assert "SUCCEEDED" in waited.output
    listed = await asyncio.to_thread(run, "list", "--workflow", workflow_id, "--json")
    assert len(listed.output.splitlines()) == 3
    events = await asyncio.to_thread(run, "events", done.id)
    assert "NODE_STARTED" in events.output
