"""The `taskflow` command as its users run it: in a process of its own.

Not in that of the tests: its event loop, which comes and goes, would take away wake-ups of gRPC that are meant for
theirs.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


class CommandLine:
    """Runs commands with some environment variables."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **env}

    def invoke(self, command: click.Command, words: Sequence[str], *, input: str | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "taskflow_cli", str(command.name), *words],
            env=self._environment,
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)
