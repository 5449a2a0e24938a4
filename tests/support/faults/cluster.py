"""A TaskFlow of real processes, whose parts can be killed, stopped, cut off and started again."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen
from typing import Literal

import asyncpg
import psutil
import redis.asyncio as redis

from support.faults import executions
from support.faults.proxy import Proxy
from taskflow_core.migrate import upgrade
from taskflow_dev import postgres, valkey
from taskflow_dev.ports import free_port
from taskflow_dev.program import Program, running, wait_until

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
    "TASKFLOW_LOG_FORMAT": "json",
    "TASKFLOW_LOG_LEVEL": "info",
}
Kind = Literal["server", "worker", "scheduler"]


@dataclass(frozen=True, eq=False)
class Process:
    """One running process of the cluster."""

    kind: str
    popen: "Popen[bytes]"
    log: Path
    stack: ExitStack

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def is_alive(self) -> bool:
        return self.popen.poll() is None

    @property
    def is_ready(self) -> bool:
        return self.is_alive and self.said(f"{self.kind} ready")

    def said(self, words: str) -> bool:
        """Whether its log has these words."""
        return words in self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.popen.send_signal(number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.popen.kill()
        self.popen.wait()

    async def ended(self, seconds: float) -> int:
        """The exit status. Raises TimeoutError if it is still there after `seconds`."""
        await until(lambda: not self.is_alive, seconds, f"{self.kind} {self.pid} ends; {self.tail()}")
        return int(self.popen.returncode)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


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
        self._servers: dict[str, Process] = {}
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
        for process in self._processes:
            process.signal(signal.SIGCONT)
            process.kill()
            process.stack.close()
        for process in self._servers.values():
            process.stack.close()
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
        victims = [psutil.Process(process.pid) for process in self._processes if process.is_alive]
        for server in self._servers.values():
            parent = psutil.Process(server.pid)
            victims += [parent, *parent.children(recursive=True)]
        for victim in victims:
            victim.kill()
        for process in (*self._processes, *self._servers.values()):
            process.popen.wait()
        psutil.wait_procs(victims, timeout=10)
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
        self._servers["postgres"] = self._run(self._postgres.program())

    def restart_postgres_immediately(self) -> None:
        """Stop PostgreSQL as `pg_ctl -m immediate` does, without a checkpoint, and start it again."""
        self._servers["postgres"].signal(signal.SIGQUIT)
        self._servers["postgres"].popen.wait()
        self.start_postgres()

    def start_valkey(self) -> None:
        self._servers["valkey"] = self._run(self._valkey.program())

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

    def _start_all(self, kinds: list[Kind]) -> list[Process]:
        """Start them side by side, and wait until all are ready."""
        processes = self._spawn(kinds)
        for process in processes:
            _wait_until_ready(process)
        return processes

    def _spawn(self, kinds: list[Kind]) -> list[Process]:
        processes = [self._run(self._program(kind)) for kind in kinds]
        self._processes += processes
        return processes

    def _program(self, kind: Kind) -> Program:
        self._started += 1
        arguments = ["--import", str(HANDLERS)] if kind == "worker" else []
        redis_line = self.redis_of_server if kind == "server" else self.redis_of_workers
        return Program(
            name=f"{kind}-{self._started}",
            command=(sys.executable, "-m", "taskflow_cli", kind, *arguments),
            environment={
                **SETTINGS,
                "TASKFLOW_DATABASE_URL": replace(self._postgres, port=self.database.port).url(),
                "TASKFLOW_REDIS_URL": replace(self._valkey, port=redis_line.port).url(),
                "TASKFLOW_GRPC_PORT": str(self.grpc_port),
                executions.ENVIRONMENT: str(self.executions),
            },
        )

    def _run(self, program: Program) -> Process:
        stack = ExitStack()
        popen = stack.enter_context(running(program, self.folder))
        return Process(program.name.partition("-")[0], popen, self.folder / f"{program.name}.log", stack)

    def _reap(self) -> None:
        for process in self._processes:
            if not process.is_alive:
                process.stack.close()
        self._processes = [process for process in self._processes if process.is_alive]


def _wait_until_ready(process: Process) -> None:
    wait_until(lambda: process.is_ready or not process.is_alive, seconds=60)
    assert process.is_ready, process.tail()


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float, what: str) -> None:
    """Wait until something is so. Raises TimeoutError, which says what was waited for."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while True:
        is_so = condition()
        if is_so if isinstance(is_so, bool) else await is_so:
            return
        if clock() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.02)
