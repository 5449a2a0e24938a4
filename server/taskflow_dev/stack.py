"""Which programs make up the stack, and the environment that ties them together."""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import taskflow_core
from taskflow_dev import envoy, postgres, valkey
from taskflow_dev.ports import LOOPBACK, free_port, is_free, is_open
from taskflow_dev.program import Program

# Server and workers finish what they are at for up to 20 s (TASKFLOW_DRAIN_GRACE, TASKFLOW_WORKER_DRAIN_GRACE).
STOP_SECONDS = 25.0
POLL_SECONDS = 0.1  # Python takes its time to import
# The lanes of a worker each: work that can't wait never waits behind other work.
WORKER_LANES = (("critical",), ("high", "normal", "low"))


class PortTakenError(Exception):
    """Somebody else listens on a port that was asked for."""


@dataclass(frozen=True)
class Options:
    """What `taskflow dev` was asked for. A port of 0 means a free one."""

    folder: Path
    rest_port: int = 0
    grpc_port: int = 0
    servers: int = 1
    imports: Sequence[str] = ()
    durable: bool = True


@dataclass(frozen=True)
class Stack:
    """Everything that `taskflow dev` runs, prepared but not started."""

    options: Options
    postgres: postgres.Postgres
    valkey: valkey.Valkey
    envoy: envoy.Envoy
    server_ports: tuple[int, ...]
    environment: Mapping[str, str] = field(repr=False)

    @property
    def rest_url(self) -> str:
        return self.envoy.url

    @property
    def grpc_address(self) -> str:
        return f"{LOOPBACK}:{self.server_ports[0]}"

    def is_migrated(self) -> bool:
        """Says whether nothing has changed since `note_migration`, neither here nor in the database.

        Finding that out costs a fiftieth of what `taskflow migrate` needs to come to the same answer.
        """
        return self._schema_file.exists() and self._schema_file.read_text() == self._schema()

    def note_migration(self) -> None:
        self._schema_file.write_text(self._schema())

    def migrate(self) -> Program:
        return self._command("migrate", "migrate")

    def servers(self) -> list[Program]:
        several = len(self.server_ports) > 1
        return [
            self._command(
                f"server-{number}" if several else "server",
                "server",
                environment={"TASKFLOW_GRPC_HOST": LOOPBACK, "TASKFLOW_GRPC_PORT": str(port)},
                is_ready=partial(is_open, port),
            )
            for number, port in enumerate(self.server_ports, start=1)
        ]

    def workers(self) -> list[Program]:
        imports = [word for module in self.options.imports for word in ("--import", module)]
        return [
            self._command(
                f"worker-{lanes[0]}",
                *("worker", "--lanes", ",".join(lanes), *imports),
                is_ready=self._have_workers_signed_in,
            )
            for lanes in WORKER_LANES
        ]

    def scheduler(self) -> Program:
        return self._command("scheduler", "scheduler")

    @property
    def _schema_file(self) -> Path:
        return self.options.folder / "schema"

    def _schema(self) -> str:
        """Names the revision of the database and the scripts that lead to it."""
        scripts = sorted((Path(taskflow_core.__file__).parent / "migrations").rglob("*.py"))
        digest = hashlib.sha256(b"".join(script.read_bytes() for script in scripts)).hexdigest()
        if self.postgres.query("SELECT to_regclass('alembic_version') IS NULL") == "t":
            return f"none {digest}\n"
        revision = self.postgres.query("SELECT version_num FROM alembic_version")
        return f"{revision} {digest}\n"

    def _have_workers_signed_in(self) -> bool:
        # The sessions of an earlier life may look alive until their lease ends.
        signed_in = self.postgres.query(
            "SELECT count(*) FROM worker_sessions WHERE ended_at IS NULL AND started_at > pg_postmaster_start_time()"
        )
        return int(signed_in) >= len(WORKER_LANES)

    def _command(
        self,
        name: str,
        *words: str,
        environment: Mapping[str, str] | None = None,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> Program:
        return Program(
            name=name,
            command=(sys.executable, "-m", "taskflow_cli", *words),
            environment={**self.environment, **(environment or {})},
            is_ready=is_ready,
            poll_seconds=POLL_SECONDS,
            stop_seconds=STOP_SECONDS,
        )


def prepare(options: Options) -> Stack:
    """Makes folders and configurations, and chooses ports. Raises PortTakenError."""
    rest_port = _chosen(options.rest_port, "--rest-port")
    server_ports = tuple(
        _chosen(options.grpc_port and options.grpc_port + number, "--grpc-port")
        for number in range(options.servers)
    )
    database = postgres.prepare(options.folder, durable=options.durable)
    hints = valkey.prepare(options.folder)
    front = envoy.prepare(options.folder, server_ports=server_ports, port=rest_port)
    environment = {
        "TASKFLOW_DATABASE_URL": database.url(),
        "TASKFLOW_REDIS_URL": hints.url(),
        # This log is for people; what is set outside wins.
        "TASKFLOW_LOG_FORMAT": os.environ.get("TASKFLOW_LOG_FORMAT", "console"),
        "TASKFLOW_RESULT_STORE": os.environ.get(
            "TASKFLOW_RESULT_STORE", (options.folder.absolute() / "results").as_uri()
        ),
        # Nobody routes around a server that drains: the whole stack stops.
        "TASKFLOW_DRAIN_DELAY": "0",
        "PYTHONUNBUFFERED": "1",
    }
    return Stack(options, database, hints, front, server_ports, environment)


def _chosen(port: int, option: str) -> int:
    if port and not is_free(port):
        raise PortTakenError(f"port {port} is taken: choose another with {option}, or 0 for a free one")
    return port or free_port()
