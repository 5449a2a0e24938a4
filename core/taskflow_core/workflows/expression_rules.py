"""What can be wrong with the expressions of a definition: each is read, and what it names must be there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from taskflow_core.workflows.expression_syntax import ExpressionError, Reference
from taskflow_core.workflows.expressions import compile_expression, constant_kind
from taskflow_core.workflows.graph import (
    Condition,
    Delay,
    Graph,
    Node,
    Parallel,
    Subworkflow,
    TaskTemplate,
    Wait,
)
from taskflow_core.workflows.levels import Level
from taskflow_core.workflows.problems import Problem, Rule
from taskflow_core.workflows.shape_rules import meant

NODE_MEMBERS = ("result", "status", "error")
MEMBERS = {
    "execution": ("id", "name", "workflow_version", "create_time"),
    "signal": ("name", "payload", "sender", "time"),
}


@dataclass(frozen=True)
class _Use:
    """An expression, where it stands, and what it can see."""

    field: str
    source: str
    visible: frozenset[str] | None  # nodes; None: not known, because of a cycle
    variables: tuple[str, ...]
    is_condition: bool = False


def expression_problems(level: Level, whole: Graph) -> Iterator[Problem]:
    """All that is wrong with the expressions of one graph of a definition."""
    for use in _uses(level):
        try:
            expression = compile_expression(use.source)
        except ExpressionError as error:
            yield Problem(use.field, Rule.BAD_EXPRESSION, str(error))
            continue
        for reference in expression.syntax.references:
            yield from _reference_problems(use, reference, level, whole)
        kind = constant_kind(use.source) if use.is_condition else None
        if kind is not None and kind != "a boolean":
            yield Problem(use.field, Rule.BAD_EXPRESSION, f"gives {kind}, not true or false")


def _uses(level: Level) -> Iterator[_Use]:
    variables = ("input", "nodes", "execution", *(("item", "index") if level.in_map else ()))
    is_known = level.is_acyclic
    everything = level.all_of_it() if is_known else None
    for path, node in level.nodes():
        before = level.before(node.id) if is_known else None
        for field, source, is_condition in _of_node(node):
            seen = (*variables, "signal") if isinstance(node.work, Wait) else variables
            yield _Use(f"{path}.{field}", source, before, seen, is_condition)
        if node.compensation is not None:
            for field, source in _computed(
                "compensation.payload_expressions", node.compensation.payload_expressions
            ):
                yield _Use(f"{path}.{field}", source, everything, variables)
    for path, edge in level.edges():
        if edge.condition is not None:
            visible = level.before(edge.source) | {edge.source} if is_known else None
            yield _Use(f"{path}.condition", edge.condition, visible, variables, is_condition=True)
        for field, source in _computed("input_expressions", edge.input_expressions):
            yield _Use(f"{path}.{field}", source, level.before(edge.target) if is_known else None, variables)
    if level.graph.output_expression is not None:
        yield _Use(f"{level.path}output_expression", level.graph.output_expression, everything, variables)


def _of_node(node: Node) -> Iterator[tuple[str, str, bool]]:
    """The expressions of a node: field, text, and whether it is a condition."""
    match node.work:
        case TaskTemplate():
            for field, source in _computed("task.payload_expressions", node.work.payload_expressions):
                yield field, source, False
        case Parallel() if node.work.items is not None:
            yield "parallel.map.items", node.work.items, False
        case Condition():
            for index, branch in enumerate(node.work.branches):
                yield f"condition.branches[{index}].condition", branch.condition, True
        case Delay() if node.work.expression is not None:
            yield "delay.expression", node.work.expression, False
        case Subworkflow():
            for field, source in _computed("subworkflow.input_expressions", node.work.input_expressions):
                yield field, source, False
        case Wait() if node.work.condition is not None:
            yield "wait.condition", node.work.condition, True


def _computed(field: str, expressions: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, source in expressions.items():
        yield f'{field}["{name}"]', source


def _reference_problems(use: _Use, reference: Reference, level: Level, whole: Graph) -> Iterator[Problem]:
    at = f" (at character {reference.position})"
    if reference.variable not in use.variables:
        there_are = ", ".join(use.variables)
        what = f"unknown variable {reference.variable!r}; there are: {there_are}"
        yield Problem(use.field, Rule.BAD_EXPRESSION, what + at)
    elif reference.variable == "nodes":
        yield from _node_problems(use, reference, level, whole)
    elif reference.variable in MEMBERS and reference.steps:
        members = MEMBERS[reference.variable]
        if reference.steps[0] not in members:
            what = f"{reference.variable!r} has no {reference.steps[0]!r}; it has {', '.join(members)}"
            yield Problem(use.field, Rule.BAD_EXPRESSION, what + at)


def _node_problems(use: _Use, reference: Reference, level: Level, whole: Graph) -> Iterator[Problem]:
    at = f" (at character {reference.position})"
    if not reference.steps or not isinstance(reference.steps[0], str):
        what = "`nodes` is followed by the id of a node: nodes.<id>.result"
        yield Problem(use.field, Rule.BAD_EXPRESSION, what + at)
        return
    node_id = reference.steps[0]
    if (why_not := _why_not_seen(node_id, use, level, whole)) is not None:
        yield Problem(use.field, Rule.UNKNOWN_NODE, why_not + at)
    if len(reference.steps) > 1 and reference.steps[1] not in NODE_MEMBERS:
        what = f"a node has {', '.join(NODE_MEMBERS)}, not {reference.steps[1]!r}"
        yield Problem(use.field, Rule.BAD_EXPRESSION, what + at)


def _why_not_seen(node_id: str, use: _Use, level: Level, whole: Graph) -> str | None:
    """Why an expression cannot see a node, if so."""
    if use.visible is not None and node_id in use.visible:
        return None
    if level.sees(node_id):
        return None if use.visible is None else f"node {node_id!r} does not come before this"
    try:
        graph, _ = whole.find(node_id)
    except KeyError:
        return f"no node {node_id!r} in the workflow{meant(node_id, level.node_ids())}"
    owner = next((node.id for _, node in whole.walk() if graph in node.graphs()), "")
    return f"node {node_id!r} lies inside {owner!r}; what it gives is part of nodes.{owner}.result"
