"""A TaskFlow of real processes, whose parts can be killed, stopped, cut off and started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import asyncpg
import psutil
import redis.asyncio as redis

from support.faults import executions
from support.faults.clocks import WrongClock
from support.faults.processes import Forked, Process, Spawned
from support.faults.proxy import Proxy
from support.waiting import until
from taskflow_core.migrate import upgrade
from taskflow_dev import postgres, valkey
from taskflow_dev.ports import free_port
from taskflow_dev.program import Program

HANDLERS = Path(__file__).parents[1] / "fault_handlers.py"

# Short, so that tests are quick; long enough that two busy cores do not look like a fault.
LEASE = 3.0
SWEEP = 0.3
SETTINGS = {
    "TASKFLOW_LEASE_SECONDS": f"{LEASE}",
    "TASKFLOW_HEARTBEAT_SECONDS": "0.5",
    "TASKFLOW_SWEEP_SECONDS": f"{SWEEP}",
    "TASKFLOW_WORKER_SLOTS": "20",
    "TASKFLOW_WORKER_DRAIN_GRACE": "2",
    "TASKFLOW_CANCEL_GRACE": "0.5",
    "TASKFLOW_DRAIN_DELAY": "0",
    "TASKFLOW_DRAIN_GRACE": "2",
    "TASKFLOW_KEEP_ALIVE_INTERVAL": "0.5",
    "TASKFLOW_WEBHOOK_ALLOW_HTTP": "true",
    "TASKFLOW_HTTP_ALLOW_PRIVATE": "true",
    "TASKFLOW_DELIVERY_LEASE_GRACE": "1",
    "TASKFLOW_LOG_FORMAT": "json",
    "TASKFLOW_LOG_LEVEL": "info",
}
Kind = Literal["server", "worker", "scheduler"]


class Cluster:
    """PostgreSQL (with fsync), Valkey, one server, workers and a scheduler, all over lines that can be cut.

    `database` is the line of all processes to PostgreSQL, `redis_of_server` and `redis_of_workers` those to
    Valkey. Tests themselves go past them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executions = folder / "executions.log"
        self.grpc_port = free_port()
        self._started = 0
        self._processes: list[Process] = []
        self._postgres = postgres.prepare(folder, durable=True)
        self._valkey = valkey.prepare(folder)
        self._servers: dict[str, Spawned] = {}
        self.database = Proxy(self._postgres.port)
        self.redis_of_server = Proxy(self._valkey.port)
        self.redis_of_workers = Proxy(self._valkey.port)
        self._proxies = (self.database, self.redis_of_server, self.redis_of_workers)

    # Everything together

    def start(self) -> None:
        """Start PostgreSQL and Valkey, and make the tables."""
        for proxy in self._proxies:
            proxy.start()
        self.start_postgres()
        self._postgres.create_database()
        self.start_valkey()
        upgrade(self._postgres.url())

    def stop(self) -> None:
        for process in (*self._processes, *self._servers.values()):
            process.kill()
        for proxy in self._proxies:
            proxy.stop()

    def heal(self, workers: int = 2) -> None:
        """Bring everything up that is not, and mend all lines: one server, one scheduler, so many workers."""
        for proxy in self._proxies:
            proxy.accept()
            proxy.speak()
            proxy.cut_after("", 0)
        for name, start in (("postgres", self.start_postgres), ("valkey", self.start_valkey)):
            if not self._servers[name].is_alive:
                start()
        for process in self._processes:
            process.signal(signal.SIGCONT)
        self._reap()
        missing: list[Kind] = []
        for kind, count in (("server", 1), ("scheduler", 1), ("worker", workers)):
            there = self.all(kind)
            for process in there[count:]:
                process.kill()
            missing += [kind] * (count - len(there))  # type: ignore[list-item]
        self._reap()
        self._start_all(missing)

    def kill_everything(self) -> None:
        """Kill -9 of every process at once, PostgreSQL and Valkey with them."""
        processes = [process for process in (*self._processes, *self._servers.values()) if process.is_alive]
        children = psutil.Process(self._servers["postgres"].pid).children(recursive=True)
        for pid in (*(process.pid for process in processes), *(child.pid for child in children)):
            # A backend may have ended by itself: its client, or its postmaster, was killed before it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for process in processes:
            process.wait()
        psutil.wait_procs(children, timeout=10)
        # Else its next start would count as ready before it is.
        (self.folder / "postgres" / "postmaster.pid").unlink(missing_ok=True)

    # TaskFlow's own processes

    def all(self, kind: str) -> list[Process]:
        return [process for process in self._processes if process.kind == kind and process.is_alive]

    @property
    def workers(self) -> list[Process]:
        return self.all("worker")

    @property
    def server(self) -> Process:
        (server,) = self.all("server")
        return server

    @property
    def scheduler(self) -> Process:
        (scheduler,) = self.all("scheduler")
        return scheduler

    def start_server(self) -> Process:
        return self._start_all(["server"])[0]

    def start_worker(self) -> Process:
        return self._start_all(["worker"])[0]

    def start_scheduler(self) -> Process:
        return self._start_all(["scheduler"])[0]

    def start_by_clock(self, kind: Kind, clock: WrongClock) -> Process:
        """Start a process of its own whose wall clock is wrong. Kill it before the next test."""
        process = self._spawn_one(kind, clock)
        self._processes.append(process)
        process.wait_until_ready()
        return process

    @asynccontextmanager
    async def supervised(self, kind: Kind = "worker", count: int = 2) -> AsyncIterator[None]:
        """Meanwhile, start another process of the kind whenever one ends, as any supervisor does."""

        async def keep() -> None:
            while True:
                missing = count - len(self.all(kind))
                if missing > 0:
                    self._spawn([kind] * missing)
                await asyncio.sleep(0.05)

        keeper = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    # PostgreSQL and Valkey

    def start_postgres(self) -> None:
        self._servers["postgres"] = Spawned(self._postgres.program(), self.folder)

    def restart_postgres_immediately(self) -> None:
        """Stop PostgreSQL as `pg_ctl -m immediate` does, without a checkpoint, and start it again."""
        self._servers["postgres"].signal(signal.SIGQUIT)
        self._servers["postgres"].wait()
        self.start_postgres()

    def start_valkey(self, clock: WrongClock | None = None) -> None:
        """Start it; its wall clock may be wrong."""
        program = self._valkey.program()
        if clock is not None:
            program = replace(program, environment={**program.environment, **clock.environment})
        self._servers["valkey"] = Spawned(program, self.folder)

    def stop_valkey(self) -> None:
        self._servers["valkey"].kill()

    @asynccontextmanager
    async def sql(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection of the test's own."""
        connection = await asyncpg.connect(self._postgres.url())
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[redis.Redis]:
        """A client of the test's own."""
        async with redis.Redis.from_url(self._valkey.url()) as client:
            yield client

    def _start_all(self, kinds: Sequence[Kind]) -> list[Process]:
        """Start them side by side, and wait until all are ready."""
        processes = self._spawn(kinds)
        for process in processes:
            process.wait_until_ready()
        return processes

    def _spawn(self, kinds: Sequence[Kind]) -> list[Process]:
        processes = [self._spawn_one(kind) for kind in kinds]
        self._processes += processes
        return processes

    def _spawn_one(self, kind: Kind, clock: WrongClock | None = None) -> Process:
        self._started += 1
        name = f"{kind}-{self._started}"
        redis_line = self.redis_of_server if kind == "server" else self.redis_of_workers
        environment = {
            **SETTINGS,
            "TASKFLOW_DATABASE_URL": replace(self._postgres, port=self.database.port).url(),
            "TASKFLOW_REDIS_URL": replace(self._valkey, port=redis_line.port).url(),
            "TASKFLOW_GRPC_PORT": str(self.grpc_port),
            executions.ENVIRONMENT: str(self.executions),
        }
        arguments = ["--import", str(HANDLERS)] if kind == "worker" else []
        if kind == "server" or clock is not None:
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
            environment |= {} if clock is None else clock.environment
            command = (sys.executable, "-m", "taskflow_cli", kind, *arguments)
            return Spawned(Program(name=name, command=command, environment=environment), self.folder)
        return Forked(kind, self.folder / f"{name}.log", arguments, environment)

    def _reap(self) -> None:
        for process in self._processes:
            if not process.is_alive:
                process.wait()
        self._processes = [process for process in self._processes if process.is_alive]


async def ended(process: Process, seconds: float) -> int:
    """The exit status of a process that is to end. Raises TimeoutError if it does not in time."""
    await until(lambda: not process.is_alive, seconds, f"{process.kind} {process.pid} ends")
    assert process.exit_status is not None
    return process.exit_status
