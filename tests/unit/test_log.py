import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from taskflow_core.log import configure_logging
from taskflow_core.settings import Settings


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """What is configured here ends here."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_has_its_process_its_time_and_what_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"), "server")
    structlog.contextvars.bind_contextvars(request_id="abc")
    structlog.get_logger().info("call", code="OK")

    [line] = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "call",
        "level": "info",
        "process": "server",
        "request_id": "abc",
        "code": "OK",
    }


def test_libraries_write_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json"), "worker")
    structlog.contextvars.bind_contextvars(task_id="7")
    logging.getLogger("sqlalchemy.pool").warning("connection %s lost", 3)

    [line] = lines(capsys)
    assert line["event"] == "connection 3 lost"
    assert (line["logger"], line["level"], line["process"], line["task_id"]) == (
        "sqlalchemy.pool",
        "warning",
        "worker",
        "7",
    )


def test_arq_is_heard_from_warnings_on_and_ours_from_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="json", log_level="info"), "worker")
    logging.getLogger("arq.worker").info("0.01s -> run_task")
    logging.getLogger("arq.worker").warning("a job was lost")
    structlog.get_logger().debug("too fine")

    assert [line["event"] for line in lines(capsys)] == ["a job was lost"]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_shown_with_its_stack_but_no_variables(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure_logging(Settings.model_validate({"log_format": log_format}), "server")

    def fail(password: str) -> None:
        raise ValueError(len(password))

    try:
        fail("hunter" + "2")
    except ValueError:
        structlog.get_logger().exception("failed")

    text = capsys.readouterr().err
    assert "Traceback" in text
    assert "ValueError: 7" in text
    assert "hunter2" not in text


def test_a_console_line_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_format="console"), "server")
    structlog.get_logger().info("server ready", address="127.0.0.1:50051")

    text = capsys.readouterr().err
    assert "server ready" in text
    assert "address=127.0.0.1:50051" in text
    assert "\x1b" not in text
