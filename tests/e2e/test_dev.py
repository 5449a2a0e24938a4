"""`taskflow dev`: one command from nothing to a stack that serves, and back."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest

from conftest import folder_for_servers
from taskflow_dev.ports import LOOPBACK, is_open
from taskflow_dev.program import wait_until

PROGRAMS = {"postgres", "valkey", "envoy", "server", "worker-critical", "worker-high", "scheduler"}


@dataclass
class Dev:
    """A running `taskflow dev`."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    ready_file: Path
    data: Path

    @property
    def addresses(self) -> dict[str, str]:
        addresses: dict[str, str] = json.loads(self.ready_file.read_text())
        return addresses

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, name: str) -> int:
        return int((self.data / f"{name}.pid").read_text().split()[0])

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> str:
        self.process.send_signal(with_signal)
        self.process.wait(timeout=60)
        return self.text()

    def text(self) -> str:
        self.output.seek(0)
        return self.output.read().decode()


@contextlib.contextmanager
def running_dev(folder: Path, *options: str) -> Iterator[Dev]:
    ready_file = folder / "ready.json"
    ready_file.unlink(missing_ok=True)  # of a stack that was killed
    data = folder / "data"
    command = [sys.executable, "-m", "taskflow_cli", "dev", "--ready-file", str(ready_file), *options]
    if "--ephemeral" not in options:
        command += ["--data", str(data), "--rest-port", "0", "--grpc-port", "0"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (
        tempfile.TemporaryFile() as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment) as process,
    ):
        dev = Dev(process, output, ready_file, data)
        try:
            wait_until(lambda: ready_file.exists() or process.poll() is not None, seconds=60)
            assert ready_file.exists(), dev.text()
            yield dev
        finally:
            if process.poll() is None:
                dev.stop()


def until_gone(processes: list[psutil.Process]) -> None:
    _, left = psutil.wait_procs(processes, timeout=60)
    assert not left


@pytest.fixture(scope="module")
def dev() -> Iterator[Dev]:
    """One stack, for tests that leave it running."""
    with folder_for_servers() as folder, running_dev(folder) as running:
        yield running


def test_a_throwaway_stack_serves_and_leaves_nothing(data_folder: Path) -> None:
    with running_dev(data_folder, "--ephemeral", "--servers", "2") as dev:
        assert httpx.get(f"{dev.addresses['rest']}/healthz").status_code == 200
        assert dev.addresses["grpc"].startswith(f"{LOOPBACK}:")
        assert is_open(int(dev.addresses["grpc"].rpartition(":")[2]))
        children = dev.children()
        output = dev.stop(signal.SIGINT)
    assert dev.process.returncode == 0, output
    assert "TaskFlow is ready" in output
    until_gone(children)
    assert list(data_folder.iterdir()) == []


def test_a_killed_stack_leaves_nothing_that_blocks_the_next(data_folder: Path) -> None:
    with running_dev(data_folder) as dev:
        children = dev.children()
        assert {file.stem for file in dev.data.glob("*.pid")} == PROGRAMS
        dev.process.kill()
        dev.process.wait(timeout=60)
    if sys.platform == "linux":
        until_gone(children)
    with running_dev(data_folder) as dev:
        assert httpx.get(f"{dev.addresses['rest']}/healthz").status_code == 200
        until_gone(children)
    assert (dev.data / "postgres" / "PG_VERSION").exists()
    assert list(dev.data.glob("*.pid")) == []


def test_a_second_stack_on_the_same_data_is_refused(dev: Dev) -> None:
    second = dev_that_fails("--data", str(dev.data))
    assert second.returncode == 1
    assert f"another `taskflow dev` runs in {dev.data}" in second.stderr


def test_a_taken_port_is_named(dev: Dev) -> None:
    taken = dev.addresses["rest"].rpartition(":")[2]
    second = dev_that_fails("--ephemeral", "--rest-port", taken)
    assert second.returncode == 1
    assert f"port {taken} is taken: choose another with --rest-port" in second.stderr


@pytest.mark.parametrize("name", ["server", "valkey", "envoy", "postgres"])
def test_a_part_that_dies_is_started_again(dev: Dev, name: str) -> None:
    first = dev.child(name)
    psutil.Process(first).kill()
    assert wait_until(lambda: has_changed(dev, name, first), seconds=60)
    assert wait_until(lambda: answers(f"{dev.addresses['rest']}/healthz"), seconds=60)


def test_a_missing_module_is_named() -> None:
    done = dev_that_fails("--ephemeral", "--import", "no_such_handlers")
    assert done.returncode == 2
    assert "there is no module no_such_handlers" in done.stderr


def dev_that_fails(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "taskflow_cli", "dev", *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def has_changed(dev: Dev, name: str, first: int) -> bool:
    # The file is away, or empty, while the supervisor writes a new one.
    with contextlib.suppress(FileNotFoundError, IndexError):
        return dev.child(name) != first
    return False


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False
