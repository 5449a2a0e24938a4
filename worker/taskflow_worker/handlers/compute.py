"""`compute`: arithmetic that keeps a CPU busy, in a process of its own, with progress.

Integers beyond 2^53 come back as text of decimal digits, as JSON readers that use doubles would round them.
"""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from taskflow_worker.context import TaskContext
from taskflow_worker.handlers import operations
from taskflow_worker.payloads import parse_payload
from taskflow_worker.registry import register_task_handler


class Choice(BaseModel):
    """What every payload has."""

    model_config = ConfigDict(strict=True)

    operation: Literal["fibonacci", "factorial", "primes", "matrix", "pi", "collatz"]


class _Parameters(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    operation: str


class Fibonacci(_Parameters):
    """`{n, value}`: the n-th Fibonacci number."""

    n: int = Field(ge=0, le=100_000)


class Factorial(_Parameters):
    """`{n, digits, value}`: n! and how many decimal digits it has."""

    n: int = Field(ge=0, le=20_000)


class Primes(_Parameters):
    """`{limit, count, last}`: how many primes there are up to `limit`, and the largest ten."""

    limit: int = Field(ge=2, le=1_000_000_000)


class Matrix(_Parameters):
    """`{size, seed, trace, sum}`: of the product of two square matrices of random digits."""

    size: int = Field(ge=1, le=500)
    seed: int = Field(default=0, ge=0, le=2**53)


class Pi(_Parameters):
    """`{digits, value}`: pi with so many digits behind the point."""

    digits: int = Field(ge=1, le=50_000)


class Collatz(_Parameters):
    """`{limit, start, steps}`: the start up to `limit` with the longest Collatz sequence."""

    limit: int = Field(ge=1, le=5_000_000)


OPERATIONS: dict[str, tuple[type[_Parameters], Callable[..., dict[str, Any]]]] = {
    "fibonacci": (Fibonacci, operations.fibonacci),
    "factorial": (Factorial, operations.factorial),
    "primes": (Primes, operations.primes),
    "matrix": (Matrix, operations.matrix),
    "pi": (Pi, operations.pi),
    "collatz": (Collatz, operations.collatz),
}


@register_task_handler
async def compute(context: TaskContext, payload: Any) -> dict[str, Any]:
    """Compute fibonacci, factorial, primes, matrix, pi or collatz.

    The payload has `operation` and the fields of its class above. Raises InvalidPayload.
    """
    parameters, function = OPERATIONS[parse_payload(Choice, payload).operation]
    values = parse_payload(parameters, payload).model_dump(exclude={"operation"}).values()
    return await context.run_in_process(function, *values)
