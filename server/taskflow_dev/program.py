"""Child processes that never outlive their parent for long.

On Linux the kernel signals a child when its parent dies, however it dies. Everywhere, a file per child says
which process it was, so that the next start can stop it.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LAUNCHER = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.02
LEFTOVER_GRACE_SECONDS = 5


class NotStartedError(Exception):
    """A program ended before it was ready, or was not ready in time."""


@dataclass(frozen=True)
class Program:
    """What to run, how to tell that it serves, and how to stop it.

    Start programs from a thread that lives as long as they shall: to the kernel, that thread is the parent.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool] = lambda: True
    environment: Mapping[str, str] = field(default_factory=dict)
    user: tuple[int, int] | None = None  # user id and group id, where not ours
    stop_signal: signal.Signals = signal.SIGTERM
    start_seconds: float = 60
    poll_seconds: float = POLL_SECONDS  # between two looks whether it is ready
    stop_seconds: float = 30

    def launch_command(self) -> list[str]:
        """Returns the command that becomes the program, tied to the life of this process."""
        user, group = self.user or (os.geteuid(), os.getegid())
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER)]
        return [
            *launcher,
            *map(str, (int(self.stop_signal), os.getpid(), user, group)),
            *self.command,
        ]

    def full_environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}


@contextlib.contextmanager
def running(program: Program, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a program until the block ends. Its output goes to `NAME.log` in the folder.

    Raises NotStartedError with the end of that log.
    """
    log = folder / f"{program.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603
            program.launch_command(),
            env=program.full_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the parent, which stops its children in order
        )
    remember(program, process.pid, folder)
    try:
        _wait_until_ready(program, process, log)
        yield process
    finally:
        _stop(program, process)
        forget(program, folder)


def wait_until(condition: Callable[[], bool], *, seconds: float, poll_seconds: float = POLL_SECONDS) -> bool:
    """Waits for what can only be asked for; says whether it came in time."""
    deadline = time.monotonic() + seconds
    while not (came := condition()) and time.monotonic() < deadline:
        time.sleep(poll_seconds)
    return came


def _wait_until_ready(program: Program, process: subprocess.Popen[bytes], log: Path) -> None:
    wait_until(lambda: process.poll() is not None or program.is_ready(), seconds=program.start_seconds)
    if process.returncode is not None or not program.is_ready():
        why = "was not ready in time" if process.returncode is None else f"ended with {process.returncode}"
        raise NotStartedError(f"{program.name} {why}:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(program: Program, process: subprocess.Popen[bytes]) -> None:
    process.send_signal(program.stop_signal)
    try:
        process.wait(program.stop_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    kill_group(process.pid)


def kill_group(process_id: int) -> None:
    """Kills what a child started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process_id, signal.SIGKILL)


def remember(program: Program, process_id: int, folder: Path) -> None:
    """Writes down which process runs and how to stop it, for a start after a crash."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it ended at once, as the caller will see
        started = psutil.Process(process_id).create_time()
        _pid_file(program.name, folder).write_text(f"{process_id} {started!r} {int(program.stop_signal)}\n")


def forget(program: Program, folder: Path) -> None:
    _pid_file(program.name, folder).unlink(missing_ok=True)


def stop_leftovers(folder: Path) -> list[str]:
    """Stops what an earlier parent started in this folder and could not stop. Returns their names."""
    leftovers = {}
    for file in folder.glob("*.pid"):
        process_id, started, stop_signal = file.read_text().split()
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(int(process_id))
            if process.create_time() == float(started):  # else the id belongs to another process by now
                process.send_signal(int(stop_signal))
                leftovers[file.stem] = process
    _, stubborn = psutil.wait_procs(leftovers.values(), timeout=LEFTOVER_GRACE_SECONDS)
    for process in stubborn:
        process.kill()
    psutil.wait_procs(stubborn)
    for process in leftovers.values():
        kill_group(process.pid)
    for file in folder.glob("*.pid"):
        file.unlink()
    return sorted(leftovers)


def _pid_file(name: str, folder: Path) -> Path:
    return folder / f"{name}.pid"
