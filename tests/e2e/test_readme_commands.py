"""Every shell command in README works as it is written, but for the address of the stack."""

import asyncio
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from taskflow_client import TaskFlow

ROOT = Path(__file__).parents[2]
# Tested elsewhere, as each starts a stack of its own or all of these tests: test_demo.py, test_dev.py, CI.
MAKE = {"make demo", "make test", "make up"}


def commands() -> list[str]:
    """The commands in blocks of shell, with continued lines joined and comments left out."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    return [re.sub(r"\s+#.*", "", line).strip() for line in lines if line.strip()]


def in_an_hour() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_the_readme_has_no_make_command_but_those_tested_elsewhere():
    assert {command for command in commands() if command.startswith("make")} == MAKE


async def task_for(command: str, address: str) -> str:
    """The id of a task to which the command may be done."""
    async with TaskFlow(address) as client:
        if ":cancel" not in command and ":retry" not in command:
            return (await client.submit("echo", {})).id
        waiting = await client.submit("echo", {}, schedule_time=in_an_hour())
        if ":retry" in command:
            await client.cancel(waiting.id)
        return waiting.id


@pytest.mark.parametrize("command", [command for command in commands() if command not in MAKE])
async def test_a_command_of_the_readme_works(stack, command: str):
    task_id = await task_for(command, stack.grpc)
    here = command.replace("http://127.0.0.1:8080", stack.rest)
    here = here.replace(".venv/bin/taskflow", f"{sys.executable} -m taskflow_cli")
    environment = {"TASK_ID": task_id, "TASKFLOW_ADDRESS": stack.grpc}
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", here],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"code":' not in done.stdout, done.stdout
