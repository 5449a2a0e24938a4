"""`make demo`, and the examples for Python, as a newcomer runs them."""

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import folder_for_servers

EXAMPLES = Path(__file__).parents[2] / "clients/python/examples"
DEMO_SECONDS = 100


def processes_with(variable: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if variable in process.environ():
                found.append(process)
        except psutil.Error:
            continue  # it ended meanwhile, or is none of ours
    return found


@pytest.fixture
def temporary_folder() -> Any:
    """Not pytest's own, which is closed to the user that PostgreSQL runs as for root."""
    with folder_for_servers() as folder:
        folder.chmod(0o711)
        yield folder


def test_the_demo_shows_everything_and_leaves_nothing(temporary_folder: Path) -> None:
    mark = f"TASKFLOW_TEST_{uuid.uuid4().hex}"
    demo = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py")],
        env={**os.environ, mark: "1", "TMPDIR": str(temporary_folder), "COLUMNS": "140"},
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert demo.stderr == ""
    for shown in ("RETRYING ConnectionError", " primes", "sunny", "you@example.org", "dead letter"):
        assert shown in demo.stdout
    assert processes_with(mark) == []
    assert list(temporary_folder.iterdir()) == []


def test_a_demo_that_fails_says_why_and_shows_the_log(temporary_folder: Path) -> None:
    demo = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py")],
        env={**os.environ, "TMPDIR": str(temporary_folder), "TASKFLOW_WORKER_SLOTS": "none"},
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )
    assert demo.returncode == 1, demo.stdout + demo.stderr
    assert "The demo failed" in demo.stdout
    assert "worker_slots" in demo.stdout
    assert list(temporary_folder.iterdir()) == []


def test_the_example_submits_and_watches(stack: Any) -> None:
    example = subprocess.run(
        [sys.executable, str(EXAMPLES / "submit_and_watch.py")],
        env={**os.environ, "TASKFLOW_GRPC": stack.grpc},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = example.stdout.splitlines()
    assert lines[0].startswith("submitted ")
    assert lines[-1] == "result {'n': 30, 'value': 832040}"
    assert any("SUCCEEDED" in line for line in lines)
