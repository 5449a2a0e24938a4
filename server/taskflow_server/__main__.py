"""`taskflow server`."""

import asyncio
import os
import signal

import click
import uvloop

from taskflow_core.app import listening, open_app
from taskflow_core.log import configure_logging
from taskflow_core.memory import keep_what_is_loaded
from taskflow_core.settings import Settings


@click.command()
def server() -> None:
    """Answer gRPC calls."""
    settings = Settings()
    configure_logging(settings, "server")
    # Read when grpc is imported: we never fork, and its own log says in C++ what ours says better.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    from taskflow_server.dead_letter_service import DeadLetterService  # noqa: PLC0415 - after the environment is set
    from taskflow_server.drain import Drain  # noqa: PLC0415
    from taskflow_server.queue_service import QueueService  # noqa: PLC0415
    from taskflow_server.schedule_service import ScheduleService  # noqa: PLC0415
    from taskflow_server.server import serving  # noqa: PLC0415
    from taskflow_server.stats_service import StatsService  # noqa: PLC0415
    from taskflow_server.task_service import TaskService  # noqa: PLC0415
    from taskflow_server.webhook_service import WebhookService  # noqa: PLC0415
    from taskflow_server.workflow_service import WorkflowService  # noqa: PLC0415

    async with open_app(settings, "server") as app, listening(app.feed):
        drain = Drain()
        servicers = [
            TaskService(app),
            DeadLetterService(app),
            QueueService(app),
            ScheduleService(app),
            WorkflowService(app),
            WebhookService(app),
            StatsService(app, drain),
        ]
        keep_what_is_loaded()
        async with serving(app, servicers, drain):
            await _until_told_to_stop()


async def _until_told_to_stop() -> None:
    """Wait for SIGTERM or Ctrl-C. A second one during the drain ends the process at once."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        await told.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


if __name__ == "__main__":
    server()
