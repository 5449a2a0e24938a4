"""What a method of a servicer may ask of the calls to it, besides the usual."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True)
class CallOptions:
    """`timeout`: seconds, instead of `call_timeout`, for unary calls that wait on purpose.

    `checked`: False if the method checks its messages itself, because a wrong one must not end its stream.
    """

    timeout: float | None = None
    checked: bool = True


def call_options(*, timeout: float | None = None, checked: bool = True) -> Callable[[Method], Method]:
    """Mark a method of a servicer; it stays as it is."""

    def mark(method: Method) -> Method:
        vars(method)["call_options"] = CallOptions(timeout, checked)
        return method

    return mark


def options_of(method: Callable[..., Any]) -> CallOptions:
    """What the method asks for."""
    options = getattr(method, "call_options", CallOptions())
    assert isinstance(options, CallOptions)  # noqa: S101 - only `call_options` writes it
    return options
