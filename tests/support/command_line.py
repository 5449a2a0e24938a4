"""The `taskflow` command as its users run it: in a process of its own.

Not in that of the tests: its event loop, which comes and goes, would take away wake-ups of gRPC that are meant for
theirs.
"""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from support.forks import FORKS

SECONDS = 60


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
        with tempfile.TemporaryDirectory(prefix="taskflow-test-") as name:
            folder = Path(name)
            (folder / "stdin").write_text(input or "")
            arguments = (folder, [str(command.name), *words], self._environment)
            process = FORKS.Process(target=_run, args=arguments)
            process.start()
            process.join(SECONDS)
            if process.exitcode is None:
                process.kill()
                raise TimeoutError(f"taskflow {command.name} {' '.join(words)} did not end in {SECONDS} s")
            return Result(process.exitcode, (folder / "stdout").read_text(), (folder / "stderr").read_text())


def _run(folder: Path, words: list[str], environment: Mapping[str, str]) -> None:
    from taskflow_cli.__main__ import main  # noqa: PLC0415 - in the forked process only

    flags = os.O_WRONLY | os.O_CREAT
    for number, file in enumerate(
        (
            os.open(folder / "stdin", os.O_RDONLY),
            os.open(folder / "stdout", flags),
            os.open(folder / "stderr", flags),
        )
    ):
        os.dup2(file, number)
    sys.stdin = os.fdopen(0)
    os.environ.clear()
    os.environ.update(environment)
    main(args=words, prog_name="taskflow")
