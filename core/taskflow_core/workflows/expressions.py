"""Expressions: CEL over what an execution knows, JSON in and JSON out.

A scope has the variables by name:

    input      the input of the execution
    nodes      of each node that is final, by its id: {"result": ..., "status": "SUCCEEDED", "error": ...};
               a SKIPPED one has null for both
    execution  {"id": ..., "name": ..., "workflow_version": 3, "create_time": datetime}
    item, index  inside a map
    signal     in the condition of a WAIT node: {"name": ..., "payload": ..., "sender": ..., "time": datetime}

Only what an expression names needs to be there: see `Expression.variables` and `Expression.node_ids`. Integers stay
integers. What is named and not there is an error; `has(input.x)` asks.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from taskflow_core.payloads import MAX_DEPTH
from taskflow_core.workflows.cel_library import cel
from taskflow_core.workflows.expression_syntax import ExpressionError, Reference, Syntax, analyse

MAX_LENGTH = 2000  # characters
# Of JSON, about: what an expression may read, and what it may give.
MAX_BYTES = 4 * 1024 * 1024
MAX_COPIED_BYTES = 64 * 1024 * 1024
# The variable that stands for some elements of a list, and how many those are.
PIECE = "piece_of_list"
PIECE_ELEMENTS = 64
# What CEL can count with; beyond, its integers become doubles.
_INTEGERS = range(-(2**63), 2**64)

Scope = Mapping[str, Any]
Functions = Mapping[str, Callable[..., Any]]
NO_FUNCTIONS: Functions = {}
# The members that are wanted of a value, by name; None for all of it.
_Wanted = dict[str, Any] | None

_PARSE_ERROR = re.compile(
    r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*?)(?: expecting \{.*)?$", re.MULTILINE
)


@dataclass(frozen=True)
class Expression:
    """An expression that CEL can read."""

    source: str
    syntax: Syntax
    program: cel.Program

    @cached_property
    def variables(self) -> frozenset[str]:
        """The variables that it names."""
        return frozenset(reference.variable for reference in self.syntax.references)

    @cached_property
    def node_ids(self) -> frozenset[str]:
        """The nodes that it names."""
        return frozenset(
            str(reference.steps[0])
            for reference in self.syntax.references
            if reference.variable == "nodes" and reference.steps
        )

    @cached_property
    def wanted(self) -> dict[str, _Wanted]:
        """The parts of each variable that it reads, as far as its text tells."""
        wanted: dict[str, _Wanted] = {}
        for reference in self.syntax.references:
            _want(wanted, reference)
        return wanted


@lru_cache(maxsize=10_000)
def compile_expression(source: str) -> Expression:
    """Read an expression. Raises ExpressionError, with the position of what is wrong."""
    if len(source) > MAX_LENGTH:
        raise ExpressionError(f"{len(source)} characters; at most {MAX_LENGTH} are allowed")
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise _not_cel(source, str(error)) from None
    return Expression(source, analyse(source), program)


def used(expression: Expression, scope: Scope) -> tuple[dict[str, Any], int]:
    """What an expression reads of a scope, and about how many bytes of JSON that is.

    Raises ExpressionError for a variable that is not there, more than MAX_BYTES, and integers that CEL has not.
    """
    weight = _Weight("reads")
    parts = {}
    for variable, wanted in expression.wanted.items():
        if variable not in scope:
            raise ExpressionError(f"unknown variable {variable!r}; there are: {', '.join(sorted(scope))}")
        parts[variable] = _pick(scope[variable], wanted, weight)
    # Each time that it is named it may be copied: `input.text + input.text + ...`
    if weight.total * len(expression.syntax.references) > MAX_COPIED_BYTES:
        raise ExpressionError(f"reads {weight.total} bytes too often; let a task compute it")
    return parts, weight.total


def evaluate(expression: Expression, parts: Scope, functions: Functions = NO_FUNCTIONS) -> Any:
    """The value of an expression over what it reads: JSON, or datetime, or timedelta. Raises ExpressionError.

    For what needs no bounds. `functions` of that name take the place of CEL's own.
    """
    return _evaluate(expression, parts, functions, _Weight("gives"))


def evaluate_in_pieces(expression: Expression, parts: Scope, functions: Functions) -> Any:
    """As `evaluate`, for what needs bounds. Maps and filters of a list are evaluated for a few elements at a time.

    CEL copies the list that it makes for each element that it adds.
    """
    head = expression.syntax.references[0] if expression.syntax.stages else None
    values = None if head is None else _reach(parts, head)
    if not isinstance(values, list):
        return _evaluate(expression, parts, functions, _Weight("gives"))
    for stage in expression.syntax.stages:
        piece = compile_expression(f"{PIECE}{stage}")
        others = {name: value for name, value in parts.items() if name in piece.variables}
        found: list[Any] = []
        weight = _Weight("gives")
        for start in range(0, len(values), PIECE_ELEMENTS):
            some = {PIECE: values[start : start + PIECE_ELEMENTS]}
            found += _evaluate(piece, {**others, **some}, functions, weight)
        values = found
    return values


def _evaluate(expression: Expression, parts: Scope, functions: Functions, weight: "_Weight") -> Any:
    try:
        context = cel.Context(variables=dict(parts), functions=dict(functions))
        value: Any = expression.program.execute(context)
    except Exception as error:  # noqa: BLE001 - CEL's errors are of many classes, its functions' of any
        raise ExpressionError(_explained(error, expression, parts)) from None
    return _json(value, weight, depth=0)


def _reach(parts: Mapping[str, Any], reference: Reference) -> Any:
    value: Any = parts[reference.variable]
    for step in reference.steps:
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def follow(expression: Expression, scope: Scope) -> Any:
    """The value of an expression that is a path, exact and without a copy. Raises ExpressionError."""
    [reference] = expression.syntax.references
    if reference.variable not in scope:
        raise ExpressionError(
            f"unknown variable {reference.variable!r}; there are: {', '.join(sorted(scope))}"
        )
    value = scope[reference.variable]
    for step in reference.steps:
        if isinstance(value, dict) and isinstance(step, str):
            if step not in value:
                raise ExpressionError(_missing(step, expression, scope))
            value = value[step]
        elif isinstance(value, list) and isinstance(step, int):
            if step >= len(value):
                raise ExpressionError(f"no element {step} in a list of {len(value)}")
            value = value[step]
        else:
            raise ExpressionError(f"no member {step!r} in {name_of(value)}")
    return value


def json_value(value: Any) -> Any:
    """A value as JSON: times and durations become texts, as the contract writes them."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return f"{value.total_seconds():.9f}".rstrip("0").rstrip(".") + "s"
    return value


def name_of(value: Any) -> str:
    """What kind of value it is, for people."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "an object"
        case datetime():
            return "a timestamp"
        case timedelta():
            return "a duration"
    return f"a {type(value).__name__}"


def constant_truth(source: str) -> bool | None:
    """What a condition that reads nothing is, each time; None for any other, also for one that is wrong."""
    found = _constant(source)
    return found[0] if found is not None and isinstance(found[0], bool) else None


def constant_kind(source: str) -> str | None:
    """What kind of value an expression that reads nothing gives; None for any other."""
    found = _constant(source)
    return None if found is None else name_of(found[0])


@lru_cache(maxsize=10_000)
def _constant(source: str) -> tuple[Any] | None:
    try:
        expression = compile_expression(source)
        if expression.syntax.references or expression.syntax.needs_bounds:
            return None
        return (evaluate(expression, {}),)
    except ExpressionError:
        return None


class _Weight:
    """Counts bytes of JSON, about, and ends what grows too large."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self.total = 0

    def add(self, count: int) -> None:
        self.total += count
        if self.total > MAX_BYTES:
            raise ExpressionError(f"{self._verb} more than {MAX_BYTES} bytes")


def _want(wanted: dict[str, _Wanted], reference: Reference) -> None:
    names = [reference.variable]
    for step in reference.steps:
        if not isinstance(step, str):
            break
        names.append(step)
    for name in names[:-1]:
        inner = wanted.setdefault(name, {})
        if inner is None:
            return
        wanted = inner
    wanted[names[-1]] = None


def _pick(value: Any, wanted: _Wanted, weight: _Weight) -> Any:
    """The wanted parts of a value. What is not an object is taken whole."""
    if wanted is None or not isinstance(value, dict):
        _weigh(value, weight)
        return value
    return {name: _pick(value[name], inner, weight) for name, inner in wanted.items() if name in value}


def _weigh(value: Any, weight: _Weight) -> None:
    match value:
        case str():
            weight.add(len(value) + 2)
        case dict():
            for name, member in value.items():
                weight.add(len(name) + 4)
                _weigh(member, weight)
        case list():
            weight.add(2)
            for element in value:
                _weigh(element, weight)
        case int() if value not in _INTEGERS:
            raise ExpressionError(
                f"{value} has more than 64 bits, which expressions cannot count with; only a plain path can take it on"
            )
        case _:
            weight.add(8)


def _json(value: Any, weight: _Weight, depth: int) -> Any:
    """A value of CEL as JSON; outermost, times and durations stay what they are."""
    if depth > MAX_DEPTH:
        raise ExpressionError(f"gives more than {MAX_DEPTH} levels of nesting")
    match value:
        case dict():
            return {_key(key, weight): _json(member, weight, depth + 1) for key, member in value.items()}
        case list() | tuple():
            weight.add(2)
            return [_json(element, weight, depth + 1) for element in value]
        case str():
            weight.add(len(value) + 2)
        case float() if not math.isfinite(value):
            raise ExpressionError(f"gives {value}, which is not JSON")
        case None | bool() | int() | float():
            weight.add(8)
        case datetime() | timedelta():
            return json_value(value) if depth else value
        case _:
            raise ExpressionError(f"gives {name_of(value)}, which is not JSON")
    return value


def _key(key: Any, weight: _Weight) -> str:
    if not isinstance(key, str):
        raise ExpressionError(f"gives an object whose key is {name_of(key)}; keys must be texts")
    weight.add(len(key) + 4)
    return key


def _not_cel(source: str, message: str) -> ExpressionError:
    found = _PARSE_ERROR.search(message)
    if found is None:
        return ExpressionError(message.splitlines()[0])
    line, column, what = int(found[1]), int(found[2]), found[3]
    before = sum(len(text) + 1 for text in source.split("\n")[: line - 1])
    return ExpressionError(what.replace("'<EOF>'", "its end"), before + column)


def _explained(error: Exception, expression: Expression, parts: Scope) -> str:
    """The first sentence of CEL's error; the others give advice on Python."""
    if isinstance(error, KeyError):
        return _missing(str(error.args[0]), expression, parts)
    first, _, _ = str(error).partition(". ")
    if "MemoryError" in first:
        return "takes too much memory; let a task compute it"
    return first.partition(": the operation")[0].rstrip(".")


def _missing(key: str, expression: Expression, scope: Scope) -> str:
    if key in expression.node_ids and key not in scope.get("nodes", {}):
        return f"node {key!r} is not final"
    return f"no such member {key!r}; has(...) asks whether there is one"
