"""The story of a definition over REST: tried, created, changed, drawn and deleted."""

import json
import runpy
import uuid
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
import yaml

from support.command_line import CommandLine
from taskflow_cli.workflow import workflow
from taskflow_client import Aborted, TaskFlow

EXAMPLES = Path(__file__).parents[2] / "clients/python/examples/workflows"
SVG = "{http://www.w3.org/2000/svg}"


def example(name: str) -> dict[str, Any]:
    definition: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return definition


def call(rest: httpx.Client, method: str, path: str, **arguments: Any) -> dict[str, Any]:
    answer = rest.request(method, f"/api/v1{path}", **arguments)
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_workflow_is_created_read_changed_and_deleted(rest: httpx.Client):
    order = example("order")
    tried = call(rest, "POST", "/workflows", json=order, params={"validate_only": "true"})
    assert (tried["id"], tried["version"]) == ("", 1)
    created = call(rest, "POST", "/workflows", json=order, headers={"idempotency-key": "first"})
    again = call(rest, "POST", "/workflows", json=order, headers={"idempotency-key": "first"})
    assert (again["id"], created["version"], created["etag"]) == (created["id"], 1, "1")
    assert [node["type"] for node in created["nodes"]][:3] == ["TASK", "CONDITION", "WAIT"]
    assert created["nodes"][0]["task"]["payload_expressions"] == {"order_id": "input.order_id"}
    assert created["priority"] == "HIGH"

    path = f"/workflows/{created['id']}"
    assert call(rest, "GET", path)["edges"] == created["edges"]
    assert call(rest, "GET", path, params={"view": "BASIC"})["nodes"] == []
    changed = call(rest, "PATCH", path, json={"description": "Faster.", "etag": "1"})
    assert (changed["version"], changed["description"], changed["nodes"]) == (2, "Faster.", created["nodes"])
    unchanged = call(rest, "PATCH", path, json={"description": "Faster."})
    assert unchanged["version"] == 2
    stale = rest.patch(f"/api/v1{path}", json={"description": "Slower.", "etag": "1"})
    assert (stale.status_code, stale.json()["details"][0]["reason"]) == (409, "ETAG_MISMATCH")
    assert call(rest, "GET", path, params={"version": 1})["description"] == order["description"]
    versions = call(rest, "GET", f"{path}/versions")["workflows"]
    assert [(one["version"], one["nodes"]) for one in versions] == [(2, []), (1, [])]
    found = call(rest, "GET", "/workflows", params={"filter": 'name = "shop.*" AND tags : shop'})
    assert [one["id"] for one in found["workflows"]] == [created["id"]]

    call(rest, "DELETE", path, params={"etag": "2"})
    assert rest.get(f"/api/v1{path}").status_code == 404
    call(rest, "DELETE", path, params={"allow_missing": "true"})


@pytest.mark.parametrize("name", ["etl", "order", "media"])
def test_the_examples_are_without_fault_and_can_be_drawn(rest: httpx.Client, name: str):
    definition = example(name)
    assert call(rest, "POST", "/workflows:validate", json=definition) == {"problems": []}
    created = call(rest, "POST", "/workflows", json=definition)
    path = f"/api/v1/workflows/{created['id']}:render"
    mermaid = rest.get(path)
    assert (mermaid.status_code, mermaid.headers["content-type"]) == (200, "text/vnd.mermaid")
    assert "flowchart TD" in mermaid.text
    dot = rest.get(path, params={"format": "dot"})
    assert (dot.headers["content-type"], dot.text.startswith("digraph")) == ("text/vnd.graphviz", True)
    svg = rest.get(path, params={"format": "SVG"})
    assert svg.headers["content-type"] == "image/svg+xml"
    titles = {text.text for text in ET.fromstring(svg.text).iter(f"{SVG}text")}
    assert {node["name"] for node in definition["nodes"]} <= titles


def test_a_definition_that_does_not_exist_yet_is_drawn(rest: httpx.Client):
    answer = rest.post("/api/v1/workflows:render", json={"workflow": example("media"), "format": "SVG"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_every_problem_of_a_definition_is_told_at_once(rest: httpx.Client):
    broken = {
        "name": "broken",
        "nodes": [
            {"id": "1st", "task": {"task_type": "echo"}},
            {"id": "a", "task": {"task_type": "ecco", "payload": {"n": 9007199254740993}}},
            {"id": "b", "task": {"task_type": "echo", "payload_expressions": {"x": "nodes.nobody.result"}}},
            {"id": "c"},
        ],
        "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}],
        "output_expression": "1 +",
    }
    problems = call(rest, "POST", "/workflows:validate", json=broken)["problems"]
    assert [(problem["field"], problem["rule"]) for problem in problems] == [
        ("nodes[0].id", "string.pattern"),
        ("nodes[1].task.payload.n", "NUMBER_NOT_EXACT"),
        ("nodes[1].task.task_type", "UNKNOWN_TASK_TYPE"),
        ('nodes[2].task.payload_expressions["x"]', "UNKNOWN_NODE"),
        ("nodes[3].kind", "required"),
        ("edges[1]", "CYCLE"),
        ("output_expression", "BAD_EXPRESSION"),
    ]
    assert "a -> b -> a" in problems[5]["description"]
    broken["nodes"] = [{"id": "a", "delay": {"duration": "1s"}}, {"id": "b", "delay": {"duration": "1s"}}]
    refused = rest.post("/api/v1/workflows", json=broken)
    details = {detail["@type"].rpartition(".")[2]: detail for detail in refused.json()["details"]}
    fields = [violation["field"] for violation in details["BadRequest"]["field_violations"]]
    assert (refused.status_code, fields) == (400, ["workflow.edges[1]", "workflow.output_expression"])


class Shell:
    """`taskflow workflow`, as somebody types it."""

    def __init__(self, stack: Any) -> None:
        tenant = f"t-{uuid.uuid4().hex[:12]}"
        self._runner = CommandLine(env={"TASKFLOW_ADDRESS": stack.grpc, "TASKFLOW_TENANT": tenant})

    def run(self, *words: str, exit_code: int = 0, **options: Any) -> str:
        result = self._runner.invoke(workflow, words, **options)
        assert result.exit_code == exit_code, result.output
        return result.output


def test_the_command_applies_shows_draws_and_deletes_a_file(stack: Any, tmp_path: Path):
    shell = Shell(stack)
    media = str(EXAMPLES / "media.yaml")
    assert shell.run("validate", media) == ""
    assert "media.publish" in shell.run("apply", media)
    assert json.loads(shell.run("apply", media, "--json"))["version"] == 1

    shown = tmp_path / "shown.yaml"
    shown.write_text(shell.run("get", "media.publish"))
    assert yaml.safe_load(shown.read_text())["nodes"] == example("media")["nodes"]
    assert json.loads(shell.run("apply", str(shown), "--json"))["version"] == 1
    shown.write_text(shown.read_text().replace("max_concurrency: 4", "max_concurrency: 8"))
    assert json.loads(shell.run("apply", str(shown), "--json"))["version"] == 2
    numbers = [
        json.loads(line)["version"]
        for line in shell.run("versions", "media.publish", "--json").split("\n")[:-1]
    ]
    assert numbers == [2, 1]
    assert "max_concurrency: 4" in shell.run("get", "media.publish", "--version", "1")

    picture = tmp_path / "media.svg"
    shell.run("render", "media.publish", "--format", "svg", "-o", str(picture))
    assert picture.read_text().startswith("<svg")
    assert "flowchart TD" in shell.run("render", media)
    (line,) = [line for line in shell.run("list").splitlines() if "media.publish" in line]
    assert " 2 " in line
    shell.run("delete", "media.publish")
    assert "no workflow 'media.publish'" in shell.run("get", "media.publish", exit_code=3)


def test_the_command_says_all_that_is_wrong_with_a_file(stack: Any, tmp_path: Path):
    shell = Shell(stack)
    broken = tmp_path / "broken.yaml"
    broken.write_text(
        "name: broken\n"
        "nodes: [{id: a, task: {task_type: ecco}}, {id: b, delay: {duration: 1s}}]\n"
        "edges: [{source: a, target: b}, {source: b, target: a}]\n"
    )
    told = shell.run("apply", str(broken), exit_code=1)
    assert "nodes[0].task.task_type UNKNOWN_TASK_TYPE" in told
    assert "edges[1] CYCLE closes the cycle a -> b -> a" in told
    assert "no workflow 'broken'" in shell.run("get", "broken", exit_code=3)
    broken.write_text("name: broken\nnotes: []\n")
    assert "notes" in shell.run("validate", str(broken), exit_code=2)
    broken.write_text("name: [")
    shell.run("validate", str(broken), exit_code=2)


async def test_a_flow_in_python_is_the_workflow_of_the_file(stack: Any):
    order = runpy.run_path(str(EXAMPLES / "order.py"))["order"]()
    async with TaskFlow(stack.grpc, tenant=f"t-{uuid.uuid4().hex[:12]}") as taskflow:
        assert not await taskflow.workflows.validate(order)
        applied = await taskflow.workflows.apply(order)
        again = await taskflow.workflows.apply(order)
        assert (again.id, again.version) == (applied.id, 1)
        read = await taskflow.workflows.get(applied)
        told = read.nodes[5].task
        assert json.loads(told.payload_json) == {"template": "shipped"}
        # The file has the same payload as people write it.
        told.payload.update(json.loads(told.payload_json))
        file = await taskflow.workflows.create(example("order") | {"name": "file"})
        assert (list(read.nodes), list(read.edges)) == (list(file.nodes), list(file.edges))
        assert (read.output_expression, read.input_schema) == (file.output_expression, file.input_schema)
        await taskflow.workflows.update(file, {"description": "first"})
        with pytest.raises(Aborted):
            await taskflow.workflows.update(file, {"description": "second"})
        await taskflow.workflows.delete(applied)
        assert await taskflow.workflows.find("shop.order") is None
