"""Functions for the processes of a pool, which import them by name."""

import os
import signal
import subprocess
import sys
from typing import Any

from taskflow_worker.processes import report_progress

REPORTS = 5000


class Picky(Exception):
    """An error that pickle cannot rebuild."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def process_id() -> int:
    return os.getpid()


def length(text: str) -> int:
    return len(text)


def repeat(text: str, times: int) -> str:
    return text * times


def count_with_progress() -> str:
    for number in range(REPORTS):
        report_progress(message=f"number {number}", current=number + 1, total=REPORTS, unit="numbers")
    return "counted"


def report_and_hang(percent: float) -> None:
    """Reports the id of the process, then keeps its CPU busy for ever."""
    report_progress(percent, str(os.getpid()))
    while True:
        pass


def start_a_child_and_hang() -> None:
    """Reports the id of a process that it has started, and waits for that."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    report_progress(1, str(child.pid))
    child.wait()


def refuse(reason: str) -> None:
    raise ValueError(reason)


def raise_picky() -> None:
    raise Picky("one", "two")


def exit_python() -> None:
    sys.exit(3)


def exit_at_once(code: int) -> None:
    os._exit(code)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def return_a_lambda() -> Any:
    return lambda: None
