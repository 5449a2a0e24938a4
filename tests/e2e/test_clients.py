"""The examples in other languages, run as their READMEs say, where their toolchain is. CI has them all."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from support.stack import StackAddresses

CLIENTS = Path(__file__).parents[2] / "clients"
# The first run on a machine may have to fetch what the example needs, and to compile it.
INSTALL_SECONDS = 300
RUN_SECONDS = 60
SECRET = "whsec_" + "A" * 32


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


@contextmanager
def receiving(*words: str, folder: Path, secret: str) -> Iterator[tuple[str, IO[str]]]:
    """A receiver at work: its URL, and what it prints."""
    environment = {
        **os.environ,
        "TASKFLOW_WEBHOOK_SECRET": secret,
        "RECEIVER_ADDRESS": "127.0.0.1:0",
    }
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            assert receiver.stdout is not None
            address = receiver.stdout.readline().rpartition(" ")[2].strip()
            yield f"http://{address}/", receiver.stdout
        finally:
            receiver.terminate()


def assert_believes_only_what_is_signed(stack: StackAddresses, url: str, secret: str, lines: IO[str]) -> None:
    # A tenant of its own, so that it is told of nothing that other tests do.
    headers = {"x-tenant-id": f"t-{uuid4().hex[:12]}"}
    with httpx.Client(base_url=f"{stack.rest}/api/v1", headers=headers, timeout=30) as rest:
        wanted = {"url": url, "event_types": ["task.created", "workflow.started"], "secret": secret}
        webhook = rest.post("/webhooks", json=wanted).json()
        try:
            for kind in ("task.created", "workflow.started"):
                tried = rest.post(f"/webhooks/{webhook['id']}:test", json={"event_type": kind}).json()
                assert tried["status"] == "SUCCEEDED", tried
                assert lines.readline().split()[1:] == [kind, str(UUID(int=0))]
        finally:
            rest.delete(f"/webhooks/{webhook['id']}")

    now, body = datetime.now(UTC), '{"type": "task.failed", "version": 1, "unknown": {}}'

    def send(sent_at: datetime, sent: str = body, key: str = secret, webhook_id: str = "one") -> int:
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": f"v1a,x v1,AAAA {Webhook(key).sign(webhook_id, sent_at, body)}",
        }
        return httpx.post(url, content=sent, headers=headers).status_code

    assert send(now) == send(now) == 204, "an event that comes twice is taken twice, and told once"
    assert send(now, body.replace("failed", "passed")) == 400
    assert send(now - timedelta(minutes=6)) == send(now + timedelta(minutes=6)) == 400
    assert send(now, key="whsec_" + "B" * 32) == 400
    assert httpx.post(url, content=body).status_code == 400
    assert send(now, webhook_id="two") == 204
    assert [lines.readline().split()[-1] for _ in range(2)] == ["task.failed"] * 2


@pytest.mark.timeout(INSTALL_SECONDS + RUN_SECONDS)
def test_the_go_receiver_believes_only_what_is_signed(stack: StackAddresses, tmp_path: Path) -> None:
    folder, program = CLIENTS / "go", tmp_path / "receiver"
    run(command("go"), "build", "-o", str(program), "./receiver", folder=folder, seconds=INSTALL_SECONDS)
    with receiving(str(program), folder=folder, secret=SECRET) as (url, lines):
        assert_believes_only_what_is_signed(stack, url, SECRET, lines)


@pytest.mark.timeout(INSTALL_SECONDS + RUN_SECONDS)
def test_the_typescript_receiver_believes_only_what_is_signed(stack: StackAddresses) -> None:
    folder, npm = CLIENTS / "typescript", command("npm")
    if not is_installed(folder):
        run(npm, "ci", folder=folder, seconds=INSTALL_SECONDS)
    run(npm, "run", "build", folder=folder, seconds=RUN_SECONDS)
    with receiving(command("node"), "dist/receiver.js", folder=folder, secret=SECRET) as (url, lines):
        assert_believes_only_what_is_signed(stack, url, SECRET, lines)
