"""`taskflow worker` and `taskflow scheduler`."""

import asyncio
import signal
from collections.abc import Sequence

import click
import uvloop

from taskflow_core.app import open_app
from taskflow_core.log import configure_logging
from taskflow_core.memory import keep_what_is_loaded
from taskflow_core.queue import Lane, lanes
from taskflow_core.settings import Settings
from taskflow_core.states import Priority
from taskflow_worker.deliveries import Deliverer
from taskflow_worker.engine import TaskWorker
from taskflow_worker.registry import RegistrationError, Registry, load_registry
from taskflow_worker.scheduler import run_scheduler
from taskflow_worker.service_handlers import service_handlers

# What a draining worker has for its own work, after the grace of its handlers, before it is ended.
LAST_SECONDS = 3.0


@click.command()
@click.option(
    "--lanes",
    "priorities",
    default=",".join(Priority).lower(),
    show_default=True,
    help="Priorities to serve, separated by commas.",
)
@click.option("--queues", default="default", show_default=True, help="Named queues to serve, by commas.")
@click.option(
    "--import", "imports", multiple=True, metavar="MODULE", help="Where your handlers are; repeatable."
)
def worker(priorities: str, queues: str, imports: Sequence[str]) -> None:
    """Run tasks."""
    settings = Settings()
    configure_logging(settings, "worker")
    try:
        wanted = [Priority(name.strip().upper()) for name in priorities.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{error}; allowed: {', '.join(Priority).lower()}") from error
    try:
        registry = load_registry(imports)
    except RegistrationError as error:
        raise click.ClickException(str(error)) from error
    served = lanes([name.strip() for name in queues.split(",")], wanted)
    uvloop.run(_work(settings, registry, served))


async def _work(settings: Settings, registry: Registry, served: Sequence[Lane]) -> None:
    async with open_app(settings, "worker") as app:
        for handler in service_handlers(app):
            registry.add(handler)
        task_worker = TaskWorker(app, registry, served)
        deliverer = Deliverer(app)
        keep_what_is_loaded()
        # What may be left then: handlers that swallow their cancellation, a database that does not answer.
        limit = settings.worker_drain_grace + settings.cancel_grace + LAST_SECONDS

        def drain() -> None:
            task_worker.drain()
            deliverer.drain()
            # The kernel ends the process, also if a handler holds the event loop.
            signal.setitimer(signal.ITIMER_REAL, limit)

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, drain)
        # If one of the two fails, the other drains, and the process ends with the error.
        delivering = asyncio.create_task(deliverer.run())
        delivering.add_done_callback(lambda _: task_worker.drain())
        try:
            await task_worker.main()
        finally:
            deliverer.drain()
            await delivering


@click.command()
def scheduler() -> None:
    """Keep the house: sweep up what others left behind."""
    settings = Settings()
    configure_logging(settings, "scheduler")
    uvloop.run(_keep_house(settings))


async def _keep_house(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_app(settings, "scheduler") as app:
        keep_what_is_loaded()
        await run_scheduler(app, stop)
