"""Workflows, and what is wrong with them."""

from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format

from taskflow_core.tasks.rows import Row
from taskflow_core.workflows.drawing import Drawing
from taskflow_core.workflows.problems import Problem
from taskflow_core.workflows.stored import etag_of
from taskflow_proto.v1 import workflow_pb2
from taskflow_server.pack.values import id_text, timestamp

Workflow = workflow_pb2.Workflow

# Each graph within a graph is four levels of messages, and payloads are deep themselves.
MAX_LEVELS = 400


def workflow(row: Row, *, full: bool = True) -> workflow_pb2.Workflow:
    """A version of a workflow; `full` with its graph and schemas. One that is not stored has no id and no version."""
    message = Workflow(
        id=id_text(row["id"]),
        name=row["name"],
        description=row["description"],
        tags=row["tags"],
        version=row["version"],
        create_time=timestamp(row["created_at"]),
        update_time=timestamp(row["updated_at"]),
        etag=etag_of(row),
    )
    graph: dict[str, Any] = row["graph"]
    if not full:
        graph = {name: graph[name] for name in ("priority", "queue", "execution_timeout") if name in graph}
    json_format.ParseDict(graph, message, max_recursion_depth=MAX_LEVELS)
    set_types(message.nodes)
    return message


def set_types(nodes: Any) -> None:
    """Say of each node, and of those inside it, what it does as a word."""
    for node in nodes:
        kind = node.WhichOneof("kind")
        if kind is not None:
            node.type = workflow_pb2.WorkflowNode.Type.Value(kind.upper())
        if kind == "parallel":
            for branch in node.parallel.branches.branches:
                set_types(branch.graph.nodes)
            set_types(node.parallel.map.graph.nodes)


def workflow_problem(problem: Problem) -> workflow_pb2.WorkflowProblem:
    """Something that is wrong with a definition."""
    return workflow_pb2.WorkflowProblem(
        field=problem.field, rule=problem.rule, description=problem.description
    )


def drawing(drawn: Drawing) -> HttpBody:
    """A drawing, as the body of an answer."""
    return HttpBody(content_type=drawn.content_type, data=drawn.text.encode())
