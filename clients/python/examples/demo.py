"""TaskFlow in half a minute: starts everything, submits real work, shows it live, and cleans up.

Run it with `make demo`.
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from taskflow_cli.follow import follow_in_lines, follow_with_bar, progress_bars
from taskflow_cli.show import coloured, took
from taskflow_client import RetryPolicy, Task, TaskEndedBadly, TaskFlow
from taskflow_dev.program import Program, running

HANDLERS = Path(__file__).with_name("demo_handlers.py")
LOOPBACK = "127.0.0.1"
START_SECONDS = 60
WORK_SECONDS = 60
LOG_LINES = 25

console = Console(highlight=False)


class DemoFailed(Exception):
    """Something did not go as it should."""


@dataclass(frozen=True)
class Submitted:
    """A task of the demo: what it is for, how it was submitted, and how it is to end."""

    title: str
    way: str
    task: Task
    expected: str = "SUCCEEDED"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="taskflow-demo-") as name:
        folder = Path(name)
        try:
            asyncio.run(demo(folder))
        except KeyboardInterrupt:
            console.print("[dim]stopped[/]")
            sys.exit(130)
        except Exception as error:  # noqa: BLE001 - whatever it is, people want to know it and see the log
            what = str(error).partition("\n")[0] or "it took too long"
            console.print(f"[bold red]The demo failed:[/] {type(error).__name__}: {escape(what)}")
            show_log(folder / "dev.log")
            sys.exit(1)


async def demo(folder: Path) -> None:
    console.rule("[bold]TaskFlow")
    async with mailbox() as (smtp_port, mails):
        with page() as page_url, stack(folder, smtp_port) as addresses:
            async with TaskFlow(addresses["grpc"]) as taskflow:
                console.print("\nFour tasks, two over REST and two over gRPC:")
                tasks = [
                    await asyncio.to_thread(submit_primes, addresses["rest"]),
                    await asyncio.to_thread(submit_call, addresses["rest"], page_url),
                    await submit_email(taskflow),
                    await submit_flaky(taskflow),
                ]
                async with asyncio.timeout(WORK_SECONDS):
                    ended = await watch(taskflow, tasks)
                    results = await asyncio.gather(*(summary(taskflow, task) for task in ended))
            show_results(tasks, ended, results)
            check(tasks, ended, mails)
            started = time.monotonic()
            console.print("Stopping everything ...")
    console.print(f"Stopped in {time.monotonic() - started:.1f} s; nothing is left running.\n")
    show_next_steps()


@contextmanager
def stack(folder: Path, smtp_port: int) -> Iterator[dict[str, str]]:
    """A whole TaskFlow on free ports, its data in a temporary folder. Gives its addresses."""
    ready_file = folder / "ready.json"
    program = Program(
        name="dev",
        command=(
            *(sys.executable, "-m", "taskflow_cli", "dev", "--ephemeral"),
            *("--ready-file", str(ready_file), "--import", str(HANDLERS)),
        ),
        environment={
            "TASKFLOW_SMTP_PORT": str(smtp_port),
            "TASKFLOW_HTTP_ALLOW_PRIVATE": "true",  # the page is on this machine
        },
        is_ready=ready_file.exists,
        start_seconds=START_SECONDS,
    )
    started = time.monotonic()
    console.print("Starting PostgreSQL, Valkey, Envoy, a server, two workers and the scheduler ...")
    with running(program, folder):
        addresses: dict[str, str] = json.loads(ready_file.read_text())
        console.print(
            f"Ready in {time.monotonic() - started:.1f} s:"
            f" REST {addresses['rest']}/api/v1, gRPC {addresses['grpc']}"
        )
        yield addresses


@asynccontextmanager
async def mailbox() -> AsyncIterator[tuple[int, list[Envelope]]]:
    """A real SMTP server on a free port, and the messages that it has got."""
    mails: list[Envelope] = []

    class Keeper:
        async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:
            mails.append(envelope)
            return "250 kept"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Keeper(), hostname="localhost", loop=loop), LOOPBACK, 0)
    async with server:
        yield server.sockets[0].getsockname()[1], mails


@contextmanager
def page() -> Iterator[str]:
    """A web page of this machine. Gives its URL."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"weather": "sunny", "degrees": 21}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the screen for the tasks."""

    with ThreadingHTTPServer((LOOPBACK, 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}/weather"
        finally:
            server.shutdown()
            thread.join()


def submit_primes(rest: str) -> Submitted:
    body = {
        "name": "Count primes",
        "task_type": "compute",
        "payload": {"operation": "primes", "limit": 400_000_000},
        "priority": "high",
    }
    return Submitted("Count primes", "REST", post_task(rest, body))


def submit_call(rest: str, url: str) -> Submitted:
    body = {"name": "Ask for the weather", "task_type": "http_request", "payload": {"url": url}}
    return Submitted("Ask for the weather", "REST", post_task(rest, body))


def post_task(rest: str, body: dict[str, Any]) -> Task:
    request = urllib.request.Request(  # noqa: S310 - an address of this machine
        f"{rest}/api/v1/tasks", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        answer = json.load(response)
    return Task(id=answer["id"], name=answer["name"], task_type=answer["task_type"])


async def submit_email(taskflow: TaskFlow) -> Submitted:
    message = {"to": "you@example.org", "subject": "Hello from TaskFlow", "text": "It works."}
    return Submitted("Send an email", "gRPC", await taskflow.submit("email", message, name="Send an email"))


async def submit_flaky(taskflow: TaskFlow) -> Submitted:
    task = await taskflow.submit(
        "demo.sync_inventory",
        {"service": "inventory.example.org"},
        name="Call a dead service",
        retry_policy=RetryPolicy(max_attempts=3, initial_backoff=timedelta(seconds=0.5), jitter=False),
    )
    return Submitted("Call a dead service", "gRPC", task, expected="FAILED")


async def watch(taskflow: TaskFlow, tasks: Sequence[Submitted]) -> Sequence[Task]:
    """The tasks at their end, shown live until then: each through a watch of its own."""
    if not console.is_terminal:
        return await asyncio.gather(
            *(follow_in_lines(taskflow.watch(each.task), each.title) for each in tasks)
        )
    with progress_bars(console) as progress:
        return await asyncio.gather(
            *(follow_with_bar(taskflow.watch(each.task), progress, each.title) for each in tasks)
        )


def show_results(tasks: Sequence[Submitted], ended: Sequence[Task], results: Sequence[str]) -> None:
    table = Table(title="\nResults", title_style="bold", title_justify="left", header_style="bold")
    for name in ("task", "type", "over", "status", "attempts", "took"):
        table.add_column(name, no_wrap=True)
    table.add_column("result", overflow="fold")
    for each, task, result in zip(tasks, ended, results, strict=True):
        table.add_row(
            each.title,
            task.task_type,
            each.way,
            coloured(Task.Status.Name(task.status)),
            str(task.attempt),
            took(task.create_time, task.end_time),
            escape(result),
        )
    console.print(table)
    console.print(
        "The last one is a [bold]dead letter[/]: kept, with every attempt, until it is retried or discarded.\n"
    )


async def summary(taskflow: TaskFlow, task: Task) -> str:
    """The result of a task, or why it has none, in a few words."""
    try:
        result = await taskflow.result(task)
    except TaskEndedBadly as error:
        return str(error)
    match task.task_type:
        case "compute":
            return f"{result['count']:,} primes"
        case "http_request":
            return f"{result['status']} {json.dumps(result['body'])}"
    return f"accepted for {', '.join(result['accepted'])}"


def check(tasks: Sequence[Submitted], ended: Sequence[Task], mails: Sequence[Envelope]) -> None:
    """Raises DemoFailed if something is not as promised."""
    for each, task in zip(tasks, ended, strict=True):
        status = Task.Status.Name(task.status)
        if status != each.expected:
            raise DemoFailed(f"{each.title!r} is {status}, not {each.expected}: {task.error.message}")
    if len(mails) != 1:
        raise DemoFailed(f"{len(mails)} emails arrived, not 1")


def show_next_steps() -> None:
    taskflow = os.path.relpath(Path(sys.executable).with_name("taskflow"))
    body = '{"task_type": "compute", "payload": {"operation": "fibonacci", "n": 30}, "priority": "high"}'
    steps = [
        "[dim]# keep it running[/]",
        "make up",
        "[dim]# in another terminal: submit a task, and watch it live[/]",
        f'{taskflow} task submit compute \'{{"operation": "pi", "digits": 20000}}\' --watch',
        "[dim]# the same from any language[/]",
        f"curl http://{LOOPBACK}:8080/api/v1/tasks -d {escape(repr(body))}",
    ]
    console.rule("What to try next", align="left")
    console.print("\n".join(steps), soft_wrap=True)  # whole lines, to copy


def show_log(log: Path) -> None:
    """The last lines of the stack's log, if it has started at all."""
    if log.exists():
        console.print("[bold]The last lines of the log:[/]")
        for line in log.read_text(errors="replace").splitlines()[-LOG_LINES:]:
            console.print(f"[dim]{escape(line)}[/]", soft_wrap=True)


if __name__ == "__main__":
    main()
