"""The processes under measurement: durable PostgreSQL, Valkey, one server, workers, one scheduler. No Envoy."""

import asyncio
import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from taskflow_dev.program import Program, running, wait_until
from taskflow_dev.stack import Options, prepare

HANDLERS = Path(__file__).with_name("handlers.py")


@dataclass(frozen=True)
class Measured:
    """Where the running processes are."""

    grpc: str
    database_url: str
    redis_url: str
    processes: dict[str, psutil.Process]
    start_worker: Callable[[str], None]  # for lanes, as `taskflow worker` takes them


ALL_LANES = "critical,high,normal,low"


@contextlib.contextmanager
def measured_stack(workers: Sequence[str] = (ALL_LANES, ALL_LANES), **settings: str) -> Iterator[Measured]:
    """Run everything until the block ends, with a worker for each of the given lanes.

    `settings` are environment variables.
    """
    with tempfile.TemporaryDirectory(prefix="taskflow-bench-") as name, contextlib.ExitStack() as stack:
        parts = prepare(Options(folder=Path(name), imports=(str(HANDLERS),)))
        processes: dict[str, psutil.Process] = {}

        def start(program: Program) -> None:
            process = stack.enter_context(running(program, parts.options.folder))
            processes[program.name] = psutil.Process(process.pid)

        def start_worker(lanes: str) -> None:
            number = sum(name.startswith("worker") for name in processes)
            like = parts.workers()[0]
            command = list(like.command)
            command[command.index("--lanes") + 1] = lanes
            start(_with(like, f"worker-{number}", environment, tuple(command)))
            signed_in = "SELECT count(*) FROM worker_sessions"
            wait_until(lambda: int(parts.postgres.query(signed_in)) > number, seconds=60)

        start(parts.postgres.program())
        parts.postgres.create_database()
        start(parts.valkey.program())
        environment = {**parts.environment, "TASKFLOW_LOG_LEVEL": "warning", **settings}
        _run(parts.migrate(), environment)
        for server in parts.servers():
            start(_with(server, server.name, {**server.environment, **environment}))
        start(_with(parts.scheduler(), "scheduler", environment))
        for lanes in workers:
            start_worker(lanes)
        yield Measured(
            grpc=parts.grpc_address,
            database_url=environment["TASKFLOW_DATABASE_URL"],
            redis_url=environment["TASKFLOW_REDIS_URL"],
            processes=processes,
            start_worker=start_worker,
        )


def _with(
    program: Program, name: str, environment: dict[str, str], command: tuple[str, ...] | None = None
) -> Program:
    return Program(
        name=name,
        command=command or program.command,
        environment=environment,
        is_ready=program.is_ready if name == "server" else lambda: True,
        poll_seconds=program.poll_seconds,
        stop_seconds=program.stop_seconds,
    )


def _run(program: Program, environment: dict[str, str]) -> None:
    subprocess.run(program.command, env={**os.environ, **environment}, check=True, capture_output=True)


async def until_all_final(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Wait until no task waits or runs. What is asked meanwhile is cheap: counting would slow down what is measured."""
    states = (
        "status = 'QUEUED' AND NOT held",
        "status IN ('RETRYING', 'SCHEDULED')",
        "status = 'RUNNING'",
        "status = 'QUEUED' AND held",
    )
    some = " OR ".join(f"EXISTS (SELECT FROM tasks WHERE {state})" for state in states)
    while await connection.fetchval(f"SELECT {some}"):
        await asyncio.sleep(0.02)
