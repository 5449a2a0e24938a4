"""`taskflow task` against the whole stack."""

import json
from typing import Any

import httpx
import pytest

from support.command_line import CommandLine, Result
from support.rest import ok
from taskflow_cli.task import task
from taskflow_dev.ports import free_port


class Shell:
    """Runs `taskflow task ...` at one address."""

    def __init__(self, address: str) -> None:
        self._environment = {"TASKFLOW_ADDRESS": address}

    def __call__(self, *words: str, input: str | None = None) -> Result:
        return CommandLine(env=self._environment).invoke(task, words, input=input)

    def succeed(self, *words: str, input: str | None = None) -> str:
        """What a command writes that ends well."""
        result = self(*words, input=input)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()


@pytest.fixture
def taskflow(stack: Any) -> Shell:
    return Shell(stack.grpc)


def test_submit_writes_the_id_alone_for_scripts(taskflow: Shell) -> None:
    task_id = taskflow.succeed("submit", "echo", '{"n": 30}', "--name", "An echo", "--tag", "cli")
    assert taskflow.succeed("result", task_id) == '{"n": 30}'
    shown = taskflow.succeed("get", task_id)
    assert "An echo" in shown
    assert "SUCCEEDED" in shown


def test_submit_reads_the_payload_from_standard_input_and_waits(taskflow: Shell) -> None:
    big = '{"n": 9007199254740993}'
    assert taskflow.succeed("submit", "echo", "-", "--wait", input=big) == big


def test_submit_can_show_the_way_to_the_result(taskflow: Shell) -> None:
    # What happens before the watch is open, its snapshot stands for: so it is given time.
    lines = taskflow.succeed("submit", "test.steps", '{"steps": 3}', "--in", "3s", "--watch").splitlines()
    assert any("LOG step 2" in line for line in lines)
    assert lines[-1] == "3"


def test_json_is_named_as_in_the_contract(taskflow: Shell) -> None:
    submitted = json.loads(taskflow.succeed("submit", "echo", "--priority", "high", "--json"))
    assert submitted["task_type"] == "echo"
    assert submitted["priority"] == "HIGH"
    assert submitted["cancel_requested"] is False
    updates = [json.loads(line) for line in taskflow.succeed("watch", submitted["id"], "--json").splitlines()]
    assert updates[0]["id"] == updates[-1]["id"] == submitted["id"]
    assert updates[-1]["status"] == "SUCCEEDED"


def test_whole_numbers_are_shown_as_such(taskflow: Shell, stack: Any) -> None:
    new = {"task_type": "echo", "payload": {"n": 30, "half": 0.5}}
    task_id = ok(httpx.post(f"{stack.rest}/api/v1/tasks", json=new))["id"]
    for shown in (taskflow.succeed("get", task_id), taskflow.succeed("get", task_id, "--json")):
        assert '"n": 30' in shown
        assert '"half": 0.5' in shown
        assert "30.0" not in shown


def test_a_failed_task_is_exit_status_1_and_says_why(taskflow: Shell) -> None:
    result = taskflow("submit", "test.refuse", '{"reason": "no [red] ink"}', "--wait")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Fail: no [red] ink" in result.stderr
    assert "taskflow task attempts" in result.stderr


def test_a_task_waits_until_its_time_and_can_be_cancelled_and_retried(taskflow: Shell) -> None:
    task_id = taskflow.succeed("submit", "echo", "--in", "1h30m")
    assert "SCHEDULED" in taskflow.succeed("get", task_id)
    assert "CANCELLED" in taskflow.succeed("cancel", task_id, "--reason", "not needed")
    waited = taskflow("wait", task_id)
    assert waited.exit_code == 1
    assert "not needed" in taskflow.succeed("events", task_id)
    taskflow.succeed("retry", task_id)
    assert json.loads(taskflow.succeed("wait", task_id, "--json"))["status"] == "SUCCEEDED"


def test_a_wait_that_takes_too_long_is_exit_status_3(taskflow: Shell) -> None:
    task_id = taskflow.succeed("submit", "echo", "--in", "1h")
    result = taskflow("wait", task_id, "--timeout", "50ms")
    assert result.exit_code == 3
    assert task_id in result.stderr
    taskflow.succeed("cancel", task_id)


def test_lists_take_filter_order_and_limit(taskflow: Shell) -> None:
    ids = [taskflow.succeed("submit", "echo", "--tag", "listed") for _ in range(3)]
    words = ("list", "--filter", 'tags : "listed"', "--order", "create_time", "--limit", "2")
    listed = [json.loads(line)["id"] for line in taskflow.succeed(*words, "--json").splitlines()]
    assert listed == ids[:2]
    table = taskflow.succeed(*words).splitlines()
    assert table[0].split()[:3] == ["ID", "NAME", "TYPE"]
    assert [line.split()[0] for line in table[1:]] == ids[:2]
    assert taskflow.succeed("list", "--filter", 'tags : "nobody"') == "none"


def test_attempts_and_types_are_tables(taskflow: Shell) -> None:
    task_id = taskflow.succeed("submit", "test.flaky", '{"failures": 1}', "--max-attempts", "1")
    assert taskflow("wait", task_id).exit_code == 1
    assert "ConnectionError: failure 1" in taskflow.succeed("attempts", task_id)
    assert "Return the payload" in taskflow.succeed("types")


def test_another_tenant_sees_nothing(taskflow: Shell) -> None:
    task_id = taskflow.succeed("submit", "echo")
    result = taskflow("get", task_id, "--tenant", "stranger")
    assert result.exit_code == 3
    assert "NOT_FOUND" in result.stderr


def test_a_refused_call_names_the_field(taskflow: Shell) -> None:
    result = taskflow("get", "not-an-id")
    assert result.exit_code == 3
    assert "task_id" in result.stderr
    assert "INVALID_FIELDS" in result.stderr


def test_without_a_server_it_says_how_to_start_one() -> None:
    address = f"127.0.0.1:{free_port()}"
    result = Shell(address)("list")
    assert result.exit_code == 3
    assert address in result.stderr
    assert "taskflow dev" in result.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("submit", "echo", '{"n": '), "not JSON"),
        (("submit", "echo", "[1]"), "not a JSON object"),
        (("submit", "echo", "--in", "soon"), "not a length of time"),
        (("submit", "echo", "--at", "tomorrow"), "not a time"),
        (("submit", "echo", "--in", "5m", "--at", "2030-01-01"), "exclude each other"),
        (("submit", "echo", "--priority", "urgent"), "critical"),
    ],
)
def test_wrong_usage_is_exit_status_2(words: tuple[str, ...], complaint: str) -> None:
    result = Shell("127.0.0.1:1")(*words)
    assert result.exit_code == 2
    assert complaint in result.stderr
