"""What can be wrong with a definition, and where."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from taskflow_core.errors import FieldError, InvalidArgument

# In the order in which the contract has the fields; a path sorts by where it stands in the definition.
_FIELDS = (
    *("name", "description", "tags", "nodes", "edges", "input_schema", "output_schema", "output_expression"),
    *("priority", "queue", "execution_timeout"),
)
_STEPS = re.compile(r'([A-Za-z_]\w*)|\[(\d+)\]|\["([^"]*)"\]')


class Rule(StrEnum):
    """The kinds of problems beside the rules of the contract."""

    BAD_EXPRESSION = "BAD_EXPRESSION"
    BAD_SCHEMA = "BAD_SCHEMA"
    CYCLE = "CYCLE"
    DUPLICATE_ID = "DUPLICATE_ID"
    JOIN_NEVER_MET = "JOIN_NEVER_MET"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    RECURSION = "RECURSION"
    UNKNOWN_BRANCH = "UNKNOWN_BRANCH"
    UNKNOWN_NODE = "UNKNOWN_NODE"
    UNKNOWN_TASK_TYPE = "UNKNOWN_TASK_TYPE"
    UNKNOWN_WORKFLOW = "UNKNOWN_WORKFLOW"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong; `rule` is a Rule, or a rule of the contract such as `string.max_len`."""

    field: str
    rule: str
    description: str


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each once, in the order of the definition."""
    return sorted(dict.fromkeys(problems), key=lambda problem: _place(problem.field))


def refusal(problems: Sequence[Problem], within: str) -> InvalidArgument:
    """The error for all of them; `within` is the field of the request that holds the definition."""
    fields = [
        FieldError(
            f"{within}.{problem.field}" if problem.field else within, problem.description, problem.rule
        )
        for problem in problems
    ]
    others = len(fields) - 1
    more = f" (and {others} more)" if others else ""
    reason = "LIMIT_EXCEEDED" if problems[0].rule == Rule.LIMIT_EXCEEDED else "INVALID_FIELDS"
    return InvalidArgument(f"{fields[0].field}: {fields[0].description}{more}", fields, reason=reason)


def _place(path: str) -> tuple[tuple[int, int, str], ...]:
    return tuple(_rank(name, index, key) for name, index, key in _STEPS.findall(path))


def _rank(name: str, index: str, key: str) -> tuple[int, int, str]:
    if index:
        return (0, int(index), "")
    return (_FIELDS.index(name) if name in _FIELDS else len(_FIELDS), 0, name or key)
