"""The examples in other languages, run as their READMEs say, where their toolchain is. CI has them all."""

import base64
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook

from support.stack import StackAddresses

CLIENTS = Path(__file__).parents[2] / "clients"
# The first run on a machine may have to fetch what the example needs, and to compile it.
INSTALL_SECONDS = 300
RUN_SECONDS = 60
SECRET = "whsec_" + "A" * 32
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
PRIVATE = "whsk_" + base64.b64encode(bytes(32)).decode()
PUBLIC = "whpk_" + base64.b64encode(PRIVATE_KEY.public_key().public_bytes_raw()).decode()


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
def receiving(*words: str, folder: Path) -> Iterator[tuple[str, IO[str]]]:
    """A receiver at work: its URL, and what it prints."""
    environment = {
        **os.environ,
        "TASKFLOW_WEBHOOK_KEYS": f"{SECRET} {PUBLIC}",
        "RECEIVER_ADDRESS": "127.0.0.1:0",
    }
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            assert receiver.stdout is not None
            address = receiver.stdout.readline().rpartition(" ")[2].strip()
            yield f"http://{address}/", receiver.stdout
        finally:
            receiver.terminate()


def assert_believes_only_what_is_signed(stack: StackAddresses, url: str, lines: IO[str]) -> None:
    assert_believes_deliveries(stack, url, lines, {"secret": SECRET})
    assert_believes_deliveries(stack, url, lines, {"secret": PRIVATE, "signature_scheme": "ED25519"})

    now, body = datetime.now(UTC), '{"type": "task.failed", "version": 1, "unknown": {}}'

    def hmac_signed(webhook_id: str, sent_at: datetime, secret: str = SECRET) -> str:
        return f"v1a,x v1,AAAA {Webhook(secret).sign(webhook_id, sent_at, body)}"

    def ed25519_signed(webhook_id: str, sent_at: datetime, key: Ed25519PrivateKey = PRIVATE_KEY) -> str:
        signature = key.sign(f"{webhook_id}.{int(sent_at.timestamp())}.{body}".encode())
        return f"v1,AAAA v1a,AAAA v1a,{base64.b64encode(signature).decode()}"

    def send(sent: str, webhook_id: str, sent_at: datetime, signature: str) -> int:
        timestamp = str(int(sent_at.timestamp()))
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature,
        }
        return httpx.post(url, content=sent, headers=headers).status_code

    for name, sign in (("hmac", hmac_signed), ("ed25519", ed25519_signed)):
        assert send(body, name, now, sign(name, now)) == 204
        assert send(body, name, now, sign(name, now)) == 204, "what comes twice is taken twice, and told once"
        assert send(body.replace("failed", "passed"), name, now, sign(name, now)) == 400
        assert send(body, "other", now, sign(name, now)) == 400
        for then in (now - timedelta(minutes=6), now + timedelta(minutes=6)):
            assert send(body, name, then, sign(name, then)) == 400
    assert send(body, "x", now, hmac_signed("x", now, "whsec_" + "B" * 32)) == 400
    assert send(body, "x", now, hmac_signed("x", now, "whsec_" + PUBLIC.removeprefix("whpk_"))) == 400
    assert send(body, "x", now, ed25519_signed("x", now, Ed25519PrivateKey.generate())) == 400
    assert httpx.post(url, content=body).status_code == 400
    assert send(body, "last", now, hmac_signed("last", now)) == 204
    assert [lines.readline().split()[-1] for _ in range(3)] == ["task.failed"] * 3


def assert_believes_deliveries(
    stack: StackAddresses, url: str, lines: IO[str], signing: dict[str, str]
) -> None:
    # A tenant of its own, so that it is told of nothing that other tests do.
    headers = {"x-tenant-id": f"t-{uuid4().hex[:12]}"}
    with httpx.Client(base_url=f"{stack.rest}/api/v1", headers=headers, timeout=30) as rest:
        wanted = {"url": url, "event_types": ["task.created", "workflow.started"], **signing}
        webhook = rest.post("/webhooks", json=wanted).json()
        assert webhook["public_key"] in ("", PUBLIC)
        try:
            for kind in ("task.created", "workflow.started"):
                tried = rest.post(f"/webhooks/{webhook['id']}:test", json={"event_type": kind}).json()
                assert tried["status"] == "SUCCEEDED", tried
                assert lines.readline().split()[1:] == [kind, str(UUID(int=0))]
        finally:
            rest.delete(f"/webhooks/{webhook['id']}")


def test_the_python_receiver_believes_only_what_is_signed(stack: StackAddresses) -> None:
    folder = CLIENTS / "python/examples"
    with receiving(sys.executable, "webhook_receiver.py", folder=folder) as (url, lines):
        assert_believes_only_what_is_signed(stack, url, lines)


@pytest.mark.timeout(INSTALL_SECONDS + RUN_SECONDS)
def test_the_go_receiver_believes_only_what_is_signed(stack: StackAddresses, tmp_path: Path) -> None:
    folder, program = CLIENTS / "go", tmp_path / "receiver"
    run(command("go"), "build", "-o", str(program), "./receiver", folder=folder, seconds=INSTALL_SECONDS)
    with receiving(str(program), folder=folder) as (url, lines):
        assert_believes_only_what_is_signed(stack, url, lines)


@pytest.mark.timeout(INSTALL_SECONDS + RUN_SECONDS)
def test_the_typescript_receiver_believes_only_what_is_signed(stack: StackAddresses) -> None:
    folder, npm = CLIENTS / "typescript", command("npm")
    if not is_installed(folder):
        run(npm, "ci", folder=folder, seconds=INSTALL_SECONDS)
    run(npm, "run", "build", folder=folder, seconds=RUN_SECONDS)
    with receiving(command("node"), "dist/receiver.js", folder=folder) as (url, lines):
        assert_believes_only_what_is_signed(stack, url, lines)
