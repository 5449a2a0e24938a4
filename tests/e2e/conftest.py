"""The whole stack as its users run it: one `taskflow dev` for all tests of a run."""

import json
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from conftest import folder_for_servers
from support.stack import StackAddresses
from taskflow_dev.ports import free_port
from taskflow_dev.program import Program, running

ROOT = Path(__file__).parents[2]
HANDLERS = (ROOT / "tests/support/handlers.py", ROOT / "clients/python/examples/workflows/handlers.py")
STOPPED_SECONDS = 20


@pytest.fixture(scope="session")
def stack() -> Iterator[StackAddresses]:
    """PostgreSQL, Valkey, Envoy, server, workers for all lanes and scheduler, with the handlers of support."""
    with folder_for_servers() as folder:
        smtp_port = free_port()
        ready_file = folder / "ready.json"
        program = Program(
            name="dev",
            command=(
                *(sys.executable, "-m", "taskflow_cli", "dev", "--ephemeral"),
                *("--ready-file", str(ready_file)),
                *(word for module in HANDLERS for word in ("--import", str(module))),
            ),
            environment={
                "TMPDIR": str(folder),
                "TASKFLOW_SMTP_PORT": str(smtp_port),
                "TASKFLOW_HTTP_ALLOW_PRIVATE": "true",
                "TASKFLOW_WEBHOOK_ALLOW_HTTP": "true",
                "TASKFLOW_MAX_RESULT_BYTES": str(8 * 1024 * 1024),
            },
            is_ready=ready_file.exists,
            start_seconds=60,
            stop_seconds=60,
        )
        with running(program, folder) as process:
            addresses = json.loads(ready_file.read_text())
            yield StackAddresses(**addresses, smtp_port=smtp_port)
            children = psutil.Process(process.pid).children(recursive=True)
        assert process.returncode == 0, (folder / "dev.log").read_text()[-4000:]
        _, survivors = psutil.wait_procs(children, timeout=STOPPED_SECONDS)
        assert not survivors


@pytest.fixture
def rest(stack: StackAddresses) -> Iterator[httpx.Client]:
    """REST through Envoy, in a tenant of this test's own."""
    headers = {"x-tenant-id": f"test-{secrets.token_hex(6)}"}
    with httpx.Client(base_url=stack.rest, headers=headers, timeout=30) as client:
        yield client
