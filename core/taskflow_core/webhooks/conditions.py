"""Conditions on events in CEL, bounded in size and time."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import cel
import structlog

from taskflow_core.errors import InvalidArgument

log = structlog.get_logger()

MAX_LENGTH = 2000
# Each can go over a list within another: together with the length this bounds the work.
MAX_LOOPS = 2
# Also in a text or where no parenthesis follows: a comment between the two must not hide one.
_LOOP = re.compile(r"\b(?:all|exists|exists_one|map|filter)\b")


def check_condition(condition: str, field: str) -> None:
    """Raises InvalidArgument at `field` if it does not compile or could take long."""
    if not condition:
        return
    if len(condition) > MAX_LENGTH:
        raise InvalidArgument.at(field, f"{len(condition)} characters; at most {MAX_LENGTH} are allowed")
    loops = len(_LOOP.findall(condition))
    if loops > MAX_LOOPS:
        raise InvalidArgument.at(
            field, f"{loops} of all, exists, exists_one, map and filter; at most {MAX_LOOPS} are allowed"
        )
    try:
        _program(condition)
    except ValueError as error:
        raise InvalidArgument.at(field, f"is not CEL: {_first_line(error)}") from None


def holds(condition: str, event: Mapping[str, Any]) -> bool:
    """Whether a condition is true of an event. One that fails, as for want of a field, is not."""
    if not condition:
        return True
    try:
        return _program(condition).execute({"event": dict(event)}) is True
    except Exception as error:  # noqa: BLE001 - the engine raises what the expression of a caller brings about
        log.debug("a condition failed, the event is left out", error=repr(error), type=event["type"])
        return False


@functools.lru_cache(maxsize=1000)
def _program(condition: str) -> Any:
    return cel.compile(condition)


def _first_line(error: Exception) -> str:
    text = str(error)
    # The engine's message quotes the whole expression before it comes to the point.
    return text.partition("ERROR:")[2].strip().partition("\n")[0] or text[:200]
