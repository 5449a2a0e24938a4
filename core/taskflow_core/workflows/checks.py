"""All that is wrong with a definition, at once: what its text tells, and what the database knows."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from taskflow_core.db import Database
from taskflow_core.errors import InvalidArgument
from taskflow_core.payloads import canonical_json, check_payload
from taskflow_core.workflows.expression_rules import expression_problems
from taskflow_core.workflows.graph import Graph, NodeType
from taskflow_core.workflows.levels import levels
from taskflow_core.workflows.parse import parse
from taskflow_core.workflows.problems import Problem, Rule, in_order, refusal
from taskflow_core.workflows.references import reference_problems
from taskflow_core.workflows.schemas import schema_violations
from taskflow_core.workflows.shape_rules import (
    duplicate_problems,
    edge_problems,
    limit_problems,
    path_problems,
)

PAYLOADS = ("payload", "input")
PAYLOAD_TEXTS = ("payload_json", "input_json")
COMPUTED = ("payload_expressions", "input_expressions")
SCHEMAS = ("input_schema", "output_schema")

# As JSON.
MAX_DEFINITION_BYTES = 4 * 1024 * 1024


class WorkflowChecks:
    """Finds all that is wrong with a definition before it is saved."""

    def __init__(self, database: Database, max_payload_bytes: int) -> None:
        self._database = database
        self._max_payload_bytes = max_payload_bytes

    async def problems(
        self, tenant_id: str, definition: Mapping[str, Any], workflow_id: UUID | None = None
    ) -> list[Problem]:
        """The problems in the order of the definition. `workflow_id` is None for a new workflow."""
        # In a thread: thousands of expressions take seconds to read, and other calls want to be answered.
        found = await asyncio.to_thread(
            lambda: list(definition_problems(definition, self._max_payload_bytes))
        )
        graph = _readable(definition)
        if graph is not None:
            found += await reference_problems(
                self._database, tenant_id, definition.get("name", ""), workflow_id, graph
            )
        return in_order(found)


def definition_problems(definition: Mapping[str, Any], max_payload_bytes: int) -> Iterator[Problem]:
    """What the text of a definition tells, in no order."""
    if not definition.get("name"):
        yield Problem("name", "string.min_len", "a workflow needs a name")
    size = len(canonical_json(dict(definition)).encode())
    if size > MAX_DEFINITION_BYTES:
        yield Problem("", Rule.LIMIT_EXCEEDED, f"{size} bytes; at most {MAX_DEFINITION_BYTES} are allowed")
        return
    for field in SCHEMAS:
        for violation in schema_violations(definition.get(field, {})):
            yield Problem(f"{field}{violation.path}", Rule.BAD_SCHEMA, violation.description)
    yield from _payload_problems(definition, "", max_payload_bytes)
    graph = _readable(definition)
    if graph is not None:
        yield from _graph_problems(graph)


def drawable(definition: Mapping[str, Any]) -> Graph:
    """The graph of a definition that is drawn as it is. Raises InvalidArgument if it is too large, or no graph."""
    graph = _readable(definition)
    if graph is None:
        raise InvalidArgument.at("workflow", "has fields that cannot be read")
    if found := list(limit_problems(list(levels(graph)))):
        raise refusal(found, "workflow")
    return graph


def _graph_problems(graph: Graph) -> Iterator[Problem]:
    all_levels = list(levels(graph))
    limits = list(limit_problems(all_levels))
    yield from limits
    if any(problem.rule == Rule.LIMIT_EXCEEDED for problem in limits):
        return  # the rest would take its time
    yield from duplicate_problems(all_levels)
    for level in all_levels:
        yield from edge_problems(level)
        yield from path_problems(level)
        yield from expression_problems(level, graph)


def _readable(definition: Mapping[str, Any]) -> Graph | None:
    """The graph, as far as the contract's own rules let it be read; they say what is missing."""
    try:
        return parse(_bare(definition))
    except ValueError:
        return None


def _bare(part: Any) -> Any:
    """The same without payloads, and with a stand-in where a node does not say what it does."""
    if isinstance(part, list):
        return [_bare(element) for element in part]
    if not isinstance(part, dict):
        return part
    bare = {
        name: member if name in COMPUTED else _bare(member)
        for name, member in part.items()
        if name not in (*PAYLOADS, *PAYLOAD_TEXTS, *SCHEMAS)
    }
    if "nodes" in bare:
        bare["nodes"] = [
            node if any(node_type.lower() in node for node_type in NodeType) else {**node, "delay": {}}
            for node in bare["nodes"]
        ]
    return bare


def _payload_problems(part: Any, path: str, limit: int) -> Iterator[Problem]:
    """Payloads that are no JSON objects, or too large."""
    if isinstance(part, list):
        for index, element in enumerate(part):
            yield from _payload_problems(element, f"{path}[{index}]", limit)
    if not isinstance(part, dict):
        return
    for name, member in part.items():
        field = f"{path}.{name}" if path else name
        if name in PAYLOADS or name in PAYLOAD_TEXTS:
            text = member if name in PAYLOAD_TEXTS else canonical_json(member)
            try:
                check_payload(text, field, limit)
            except InvalidArgument as error:
                for fault in error.fields:
                    yield Problem(fault.field, fault.rule, fault.description)
        elif name not in (*COMPUTED, *SCHEMAS):
            yield from _payload_problems(member, field, limit)
