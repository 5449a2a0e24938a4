"""The execution log: what handlers really did, in a file that no fault of ours can take back.

Each line is one `write` to a file opened for appending, so that lines of several processes never mix.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Step = Literal["begin", "end", "stopped"]

ENVIRONMENT = "TASKFLOW_FAULTS_EXECUTIONS"


@dataclass(frozen=True)
class Execution:
    """One line: a handler began, ended or was stopped. `at` is monotonic, and the same for all processes."""

    step: Step
    tenant: str
    task_id: str
    attempt: int
    pid: int
    at: float


def note(step: Step, tenant: str, task_id: str, attempt: int) -> None:
    """Append a line. Called by handlers."""
    line = f"{step} {tenant} {task_id} {attempt} {os.getpid()} {time.monotonic()}\n"
    file = os.open(os.environ[ENVIRONMENT], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def read(file: Path, tenant: str) -> Iterator[Execution]:
    """The lines about the tasks of one tenant, as they were written."""
    if not file.exists():
        return
    # A line that is being written may be seen in part.
    whole_lines, _, _ = file.read_text().rpartition("\n")
    for line in whole_lines.splitlines():
        step, of_tenant, task_id, attempt, pid, at = line.split()
        if of_tenant == tenant:
            assert step in ("begin", "end", "stopped")
            yield Execution(step, tenant, task_id, int(attempt), int(pid), float(at))  # type: ignore[arg-type]
