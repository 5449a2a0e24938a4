"""The processes of a cluster: how they are started, told, killed and asked."""

import ctypes
import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from support.forks import FORKS
from taskflow_dev.launch import PR_SET_PDEATHSIG
from taskflow_dev.program import Program, running, wait_until


class Process(ABC):
    """One process, named after what it is, with its log."""

    def __init__(self, kind: str, log: Path) -> None:
        self.kind = kind
        self.log = log

    @property
    @abstractmethod
    def pid(self) -> int: ...

    @property
    @abstractmethod
    def exit_status(self) -> int | None:
        """None while it lives; negative for a signal."""

    @abstractmethod
    def wait(self) -> None: ...

    @property
    def is_alive(self) -> bool:
        return self.exit_status is None

    @property
    def is_ready(self) -> bool:
        return self.is_alive and self.said(f"{self.kind} ready")

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.is_ready or not self.is_alive, seconds=60)
        assert self.is_ready, self.tail()

    def signal(self, number: signal.Signals) -> None:
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def said(self, words: str) -> bool:
        """Whether its log has these words."""
        return self.log.exists() and words in self.log.read_text(errors="replace")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


class Spawned(Process):
    """A program of its own."""

    def __init__(self, program: Program, folder: Path) -> None:
        super().__init__(program.name.partition("-")[0], folder / f"{program.name}.log")
        self._stack = ExitStack()
        self._popen: subprocess.Popen[bytes] = self._stack.enter_context(running(program, folder))

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        return self._popen.poll()

    def wait(self) -> None:
        self._popen.wait()
        self._stack.close()


class Forked(Process):
    """`taskflow worker` or `taskflow scheduler`.

    They die by the dozen here, so they are forked. What they run, and all that follows, is the command that users run.
    """

    def __init__(self, kind: str, log: Path, arguments: list[str], environment: Mapping[str, str]) -> None:
        super().__init__(kind, log)
        self._process: ForkServerProcess = FORKS.Process(
            target=_run, args=(kind, log, arguments, dict(environment)), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> None:
        self._process.join()


def _run(kind: str, log: Path, arguments: list[str], environment: Mapping[str, str]) -> None:
    from taskflow_worker import __main__ as commands  # noqa: PLC0415 - in the forked process only

    if sys.platform == "linux":
        # With the process that forks, which ends with the tests, however they end.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update(environment)
    getattr(commands, kind).main(arguments)
