"""The log of every process: readable on a terminal, JSON lines elsewhere, one format for all libraries.

Modules say `log = structlog.get_logger()` and never hand loggers about. What a call or an attempt is about
(request_id, tenant, task_id ...) is bound once with `structlog.contextvars` and shows in each of its lines.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from taskflow_core.settings import Settings

# Libraries that say at INFO what our own lines say better.
QUIET_LIBRARIES = ("arq.worker", "apscheduler", "httpx")


def configure_logging(settings: Settings, process: str) -> None:
    """Send all lines, ours and those of the standard `logging`, to stderr. `process` stands in every line."""
    level = logging.getLevelName(settings.log_level.upper())
    on_terminal = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    before, last = _common(process), _console() if on_terminal else _json()

    structlog.configure(
        processors=[*before, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Straight to the file: the way through `logging` costs several times as much.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.captureWarnings(True)
    for library in QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(level, logging.WARNING))


def _common(process: str) -> list[Processor]:
    def add_process(_: Any, __: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_process,
    ]


def _console() -> list[Processor]:
    # Plain stack traces: the decorated ones print local variables, and those may hold secrets.
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
