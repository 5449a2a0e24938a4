"""The examples in other languages, run as their READMEs say, where their toolchain is. CI has them all."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.stack import StackAddresses

CLIENTS = Path(__file__).parents[2] / "clients"
# The first run on a machine may have to fetch what the example needs, and to compile it.
INSTALL_SECONDS = 300
RUN_SECONDS = 60


def command(name: str) -> str:
    """The command of a toolchain; without it the test is skipped, but fails in CI."""
    found = shutil.which(name)
    if found is None and "CI" not in os.environ:
        pytest.skip(f"there is no {name}")
    assert found is not None, f"CI needs {name}"
    return found


def run(*words: str, folder: Path, seconds: float, **environment: str) -> str:
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def assert_followed_to_the_result(output: str) -> None:
    assert re.search(r"^submitted [0-9a-f-]{36}$", output, re.MULTILINE), output
    lines = re.findall(r"^#(\d+) ([A-Z]+)", output, re.MULTILINE)
    assert lines, output
    numbers = [int(number) for number, _ in lines]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert lines[-1][1] == "SUCCEEDED"
    [result] = re.findall(r"^result (.*)$", output, re.MULTILINE)
    assert "832040" in result


@pytest.mark.timeout(INSTALL_SECONDS + RUN_SECONDS)
def test_the_go_example_follows_a_task(stack: StackAddresses, tmp_path: Path) -> None:
    folder, program = CLIENTS / "go", tmp_path / "example"
    run(command("go"), "build", "-o", str(program), ".", folder=folder, seconds=INSTALL_SECONDS)
    assert_followed_to_the_result(
        run(str(program), folder=folder, seconds=RUN_SECONDS, TASKFLOW_GRPC=stack.grpc)
    )


@pytest.mark.timeout(INSTALL_SECONDS + RUN_SECONDS)
def test_the_typescript_example_follows_a_task(stack: StackAddresses) -> None:
    folder, npm = CLIENTS / "typescript", command("npm")
    if not is_installed(folder):
        run(npm, "ci", folder=folder, seconds=INSTALL_SECONDS)
    run(npm, "run", "build", folder=folder, seconds=RUN_SECONDS)
    assert_followed_to_the_result(
        run(npm, "start", folder=folder, seconds=RUN_SECONDS, TASKFLOW_GRPC=stack.grpc)
    )


def is_installed(folder: Path) -> bool:
    """Whether `npm ci` has run since the lock file and the generated client last changed."""
    installed = folder / "node_modules/.package-lock.json"
    contract = CLIENTS.parent / "gen/typescript"
    sources = [folder / "package-lock.json", *contract.rglob("*.*s"), contract / "package.json"]
    return installed.exists() and all(
        source.stat().st_mtime <= installed.stat().st_mtime for source in sources
    )
