"""Definitions of workflows: saved in versions, checked against what is registered, changed with care."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from support.workflows import chain, edge, register_task_types, task_node
from taskflow_core.app import App
from taskflow_core.errors import AlreadyExists, EtagMismatch, InvalidArgument, NotFound
from taskflow_core.tasks.read import PageRequest
from taskflow_core.workflows.definitions import NewWorkflow
from taskflow_core.workflows.parse import parse_definition


@pytest.fixture
def tenant() -> str:
    return f"t-{uuid4().hex[:12]}"


@pytest.fixture(autouse=True)
async def task_types(app: App) -> None:
    await register_task_types(app, "echo")


async def found(
    app: App, tenant: str, definition: dict[str, Any], workflow_id: UUID | None = None
) -> list[tuple[str, str]]:
    problems = await app.workflows.problems(tenant, definition, workflow_id)
    return [(problem.field, problem.rule) for problem in problems]


async def test_a_definition_comes_back_as_it_was_saved(app: App, tenant: str):
    definition = chain("etl", "extract", "load") | {
        "description": "Nightly.",
        "tags": ["nightly"],
        "input_schema": {"type": "object"},
        "execution_timeout": "3.500s",
        "output_expression": "nodes.load.result",
    }
    created = await app.workflows.create(NewWorkflow(tenant, definition))
    assert (created["version"], created["name"], created["tags"]) == (1, "etl", ["nightly"])
    again = await app.workflows.get(tenant, created["id"])
    assert again["graph"] == {k: v for k, v in definition.items() if k not in ("name", "description", "tags")}
    parsed = parse_definition(again["graph"])
    assert (parsed.execution_timeout, [node.id for node in parsed.graph.leaves]) == (3.5, ["load"])


async def test_creating_again_with_the_same_request_id_answers_with_the_first(app: App, tenant: str):
    first = await app.workflows.create(NewWorkflow(tenant, chain("a", "x"), "r1"))
    again = await app.workflows.create(NewWorkflow(tenant, chain("a", "x"), "r1"))
    assert again["id"] == first["id"]
    with pytest.raises(AlreadyExists) as refused:
        await app.workflows.create(NewWorkflow(tenant, chain("a", "y"), "r1"))
    assert refused.value.reason == "REQUEST_ID_REUSED"
    with pytest.raises(AlreadyExists, match="'a' is there already"):
        await app.workflows.create(NewWorkflow(tenant, chain("a", "x"), "r2"))
    await app.workflows.create(NewWorkflow(f"{tenant}-other", chain("a", "x"), "r1"))


async def test_an_update_makes_a_version_and_leaves_the_old_one_as_it_was(app: App, tenant: str):
    created = await app.workflows.create(NewWorkflow(tenant, chain("a", "x")))
    changed = chain("b", "x", "y")
    updated = await app.workflows.update(tenant, created["id"], changed | {"tags": ["new"]}, "1")
    assert (updated["version"], updated["name"], updated["tags"]) == (2, "b", ["new"])
    old = await app.workflows.get(tenant, created["id"], 1)
    assert (old["version"], old["name"], len(old["graph"]["nodes"])) == (1, "a", 1)
    same = await app.workflows.update(tenant, created["id"], {"tags": ["new"]})
    assert same["version"] == 2
    cleared = await app.workflows.update(tenant, created["id"], {"tags": None})
    assert (cleared["version"], cleared["tags"]) == (3, [])
    with pytest.raises(EtagMismatch):
        await app.workflows.update(tenant, created["id"], {"description": "x"}, "1")
    with pytest.raises(NotFound):
        await app.workflows.get(tenant, created["id"], 9)
    page = await app.workflows.list_versions(tenant, created["id"], PageRequest(2), full=False)
    assert [row["version"] for row in page.rows] == [3, 2]
    assert "nodes" not in page.rows[0]["graph"]
    rest = await app.workflows.list_versions(
        tenant, created["id"], PageRequest(2, page.next_page_token), full=True
    )
    assert [row["version"] for row in rest.rows] == [1]


async def test_true_is_not_one_and_one_is_not_one_point_zero(app: App, tenant: str):
    def with_payload(value: Any) -> dict[str, Any]:
        return {"nodes": [task_node("x", payload={"value": value})]}

    created = await app.workflows.create(NewWorkflow(tenant, {"name": "a"} | with_payload(True)))
    for version, value in ((2, 1), (3, 1.0), (4, False)):
        updated = await app.workflows.update(tenant, created["id"], with_payload(value))
        assert updated["version"] == version
        stored = updated["graph"]["nodes"][0]["task"]["payload"]["value"]
        assert (stored, type(stored)) == (value, type(value))
        again = await app.workflows.update(tenant, created["id"], with_payload(value))
        assert again["version"] == version


async def test_a_repeated_create_answers_though_the_definition_would_be_refused_by_now(app: App, tenant: str):
    inner = await app.workflows.create(NewWorkflow(tenant, chain("inner", "x")))
    outer = NewWorkflow(tenant, calling("outer", workflow_name="inner"), "r1")
    created = await app.workflows.create(outer)
    await app.workflows.delete(tenant, inner["id"])
    assert (await app.workflows.create(outer))["id"] == created["id"]


async def test_of_updates_at_once_each_makes_a_version_of_its_own(app: App, tenant: str):
    created = await app.workflows.create(NewWorkflow(tenant, chain("a", "x")))
    rows = await asyncio.gather(
        *(
            app.workflows.update(tenant, created["id"], {"description": f"{number}", "tags": [f"{number}"]})
            for number in range(5)
        )
    )
    assert sorted(row["version"] for row in rows) == [2, 3, 4, 5, 6]
    assert all(row["tags"] == [row["description"]] for row in rows)


async def test_a_wrong_update_changes_nothing(app: App, tenant: str):
    created = await app.workflows.create(NewWorkflow(tenant, chain("a", "x", "y")))
    back = [edge("x", "y"), edge("y", "x")]
    with pytest.raises(InvalidArgument, match="x -> y -> x") as refused:
        await app.workflows.update(tenant, created["id"], {"edges": back})
    assert [(field.field, field.rule) for field in refused.value.fields] == [("workflow.edges[1]", "CYCLE")]
    await app.workflows.create(NewWorkflow(tenant, chain("b", "x")))
    with pytest.raises(AlreadyExists):
        await app.workflows.update(tenant, created["id"], {"name": "b"})
    with pytest.raises(AlreadyExists):
        await app.workflows.update(tenant, created["id"], {"name": "b"}, validate_only=True)
    tried = await app.workflows.update(tenant, created["id"], {"name": "c"}, validate_only=True)
    assert (tried["version"], tried["name"]) == (2, "c")
    assert (await app.workflows.get(tenant, created["id"]))["version"] == 1


async def test_a_deleted_workflow_is_gone_and_its_name_is_free(app: App, tenant: str):
    created = await app.workflows.create(NewWorkflow(tenant, chain("a", "x")))
    with pytest.raises(EtagMismatch):
        await app.workflows.delete(tenant, created["id"], "7")
    with pytest.raises(NotFound):
        await app.workflows.delete(f"{tenant}-other", created["id"])
    await app.workflows.delete(tenant, created["id"], "1")
    with pytest.raises(NotFound):
        await app.workflows.get(tenant, created["id"])
    with pytest.raises(NotFound):
        await app.workflows.delete(tenant, created["id"])
    await app.workflows.delete(tenant, created["id"], allow_missing=True)
    assert (await app.workflows.create(NewWorkflow(tenant, chain("a", "x"))))["id"] != created["id"]


async def test_workflows_are_listed_by_filter_and_order(app: App, tenant: str):
    for name in ("media.cut", "media.join", "etl"):
        await app.workflows.create(NewWorkflow(tenant, chain(name, "x") | {"tags": [name[:3]]}))

    async def names(filter: str, order_by: str = "name") -> list[str]:
        page = await app.workflows.list(tenant, PageRequest(), filter=filter, order_by=order_by, full=False)
        return [row["name"] for row in page.rows]

    assert await names('name = "media.*"') == ["media.cut", "media.join"]
    assert await names("tags : etl") == ["etl"]
    assert await names("version = 1", "create_time desc") == ["etl", "media.join", "media.cut"]


async def test_unknown_task_types_are_named_with_what_may_be_meant(app: App, tenant: str):
    definition = chain("a", "x") | {
        "nodes": [
            task_node("x", "ecco"),
            task_node("y", "taskflow.replay"),
            task_node("z", node_compensation={"task_type": "undo"}),
        ]
    }
    problems = await app.workflows.problems(tenant, definition)
    assert [(problem.field, problem.rule) for problem in problems] == [
        ("nodes[0].task.task_type", "UNKNOWN_TASK_TYPE"),
        ("nodes[1].task.task_type", "UNKNOWN_TASK_TYPE"),
        ("nodes[2].compensation.task_type", "UNKNOWN_TASK_TYPE"),
    ]
    assert "did you mean 'echo'?" in problems[0].description
    assert "the service's own" in problems[1].description


def calling(name: str, **subworkflow: object) -> dict[str, Any]:
    return {"name": name, "nodes": [{"id": "call", "subworkflow": subworkflow}]}


async def test_a_workflow_that_contains_itself_through_others_is_refused_with_the_way(app: App, tenant: str):
    inner = await app.workflows.create(NewWorkflow(tenant, chain("inner", "x")))
    middle = await app.workflows.create(NewWorkflow(tenant, calling("middle", workflow_id=str(inner["id"]))))
    await app.workflows.create(NewWorkflow(tenant, calling("outer", workflow_name="middle", version=1)))
    with pytest.raises(InvalidArgument, match="inner -> outer -> middle -> inner") as refused:
        await app.workflows.update(
            tenant, inner["id"], {"nodes": calling("inner", workflow_name="outer")["nodes"]}
        )
    assert refused.value.fields[0].rule == "RECURSION"
    assert await found(app, tenant, calling("new", workflow_name="new")) == [
        ("nodes[0].subworkflow", "RECURSION")
    ]
    # What a name that is not taken yet would lead back to.
    renamed = calling("middle", workflow_name="later")
    assert await found(app, tenant, renamed, middle["id"]) == [
        ("nodes[0].subworkflow.workflow_name", "UNKNOWN_WORKFLOW")
    ]


async def test_unknown_subworkflows_and_versions_are_refused(app: App, tenant: str):
    await app.workflows.create(NewWorkflow(tenant, chain("inner", "x")))
    definition = {
        "name": "a",
        "nodes": [
            {"id": "one", "subworkflow": {"workflow_id": str(uuid4())}},
            {"id": "two", "subworkflow": {"workflow_name": "nobody"}},
            {"id": "three", "subworkflow": {"workflow_name": "inner", "version": 2}},
            {"id": "four", "subworkflow": {"workflow_name": "inner", "version": 1}},
        ],
    }
    assert await found(app, tenant, definition) == [
        ("nodes[0].subworkflow.workflow_id", "UNKNOWN_WORKFLOW"),
        ("nodes[1].subworkflow.workflow_name", "UNKNOWN_WORKFLOW"),
        ("nodes[2].subworkflow.version", "UNKNOWN_WORKFLOW"),
    ]
