"""What every command shares: where the service is, how to call it, and how failures are told."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.markup import escape

from taskflow_client import ApiError, TaskFlow, Unavailable

TASK_ENDED_BADLY = 1
DEFINITION_IS_WRONG = 1
NOT_DONE = 3
SHOWN_VIOLATIONS = 5

Parameters = ParamSpec("Parameters")
Command = TypeVar("Command", bound=Callable[..., Any])


def calls_taskflow(
    function: Callable[Concatenate[TaskFlow, Parameters], Awaitable[None]],
) -> Callable[..., None]:
    """Make a command of a coroutine function that gets a client; adds `--address` and `--tenant`."""

    @click.option(
        "--address",
        envvar="TASKFLOW_ADDRESS",
        default="127.0.0.1:50051",
        show_default=True,
        show_envvar=True,
        help="The gRPC server, as HOST:PORT.",
    )
    @click.option(
        "--tenant", envvar="TASKFLOW_TENANT", default="", show_envvar=True, help="Act for this tenant."
    )
    @functools.wraps(function)
    def command(address: str, tenant: str, *args: Any, **options: Any) -> None:
        async def run() -> None:
            # People look on: say at once that nobody answers.
            async with TaskFlow(address, tenant=tenant, retries=False) as taskflow:
                await function(taskflow, *args, **options)

        try:
            asyncio.run(run())
        except Unavailable as error:
            tell(f"{address}: {error.message}")
            hint = "Start a server with `taskflow dev`, or name another with --address or TASKFLOW_ADDRESS."
            tell(hint, style="red")
            sys.exit(NOT_DONE)
        except ApiError as error:
            _explain(error)
            sys.exit(NOT_DONE)
        except TimeoutError as error:
            tell(f"{error}; it goes on: look again with `taskflow task wait`")
            sys.exit(NOT_DONE)

    return command


def tell(message: str, *, style: str = "bold red") -> None:
    """Writes a line about a failure to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[{style}]{escape(message)}[/]")


def _explain(error: ApiError) -> None:
    quote = f"; request id {error.request_id}" if error.request_id and not error.field_violations else ""
    tell(f"{error.message} ({error.reason or error.code.name}{quote})")
    if len(error.field_violations) > 1:
        for violation in error.field_violations[:SHOWN_VIOLATIONS]:
            tell(f"{violation.field}: {violation.description}", style="red")
