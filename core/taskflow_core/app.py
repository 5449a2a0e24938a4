"""The composition root: everything a server, a worker or a scheduler stands on, opened and closed together."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from taskflow_core.announce import Announcer
from taskflow_core.clock import DatabaseClock
from taskflow_core.db import Database, open_database
from taskflow_core.dead_letters.discard import DeadLetterDiscard
from taskflow_core.dead_letters.read import DeadLetterReader
from taskflow_core.dead_letters.replay import DeadLetterReplay
from taskflow_core.events import EventFeed
from taskflow_core.executions.advance import Advancement
from taskflow_core.executions.assembly import Executions
from taskflow_core.executions.plan import Limits
from taskflow_core.executions.progress import NodeProgress
from taskflow_core.executions.read import ExecutionReader
from taskflow_core.executions.rerun import ExecutionRerun
from taskflow_core.executions.retention import ExecutionRetention
from taskflow_core.executions.start import ExecutionStart
from taskflow_core.executions.steer import ExecutionSteering
from taskflow_core.executions.watch import watched_executions
from taskflow_core.paging import PageTokens
from taskflow_core.queue import HORIZON_SECONDS, Queue, open_redis
from taskflow_core.queues.held import HeldTasks
from taskflow_core.queues.settings import QueueSettings
from taskflow_core.result_store import ResultStore, open_result_store
from taskflow_core.retry import RetryPolicy
from taskflow_core.schedules.assembly import Schedules, assemble_schedules
from taskflow_core.settings import Settings
from taskflow_core.stats.statistics import Statistics
from taskflow_core.tail import Tail
from taskflow_core.tail.log import Log
from taskflow_core.tasks.cancel import TaskCancellation
from taskflow_core.tasks.create import TaskCreation
from taskflow_core.tasks.missing_hints import MissingHints
from taskflow_core.tasks.read import TaskReader
from taskflow_core.tasks.report import TaskReporting
from taskflow_core.tasks.result import TaskResults
from taskflow_core.tasks.retention import Retention, RetentionLimits
from taskflow_core.tasks.retry import TaskRetry
from taskflow_core.tasks.rows import Row
from taskflow_core.tasks.settle import TaskSettlement
from taskflow_core.tasks.sweep import Sweep, SweepLimits
from taskflow_core.tasks.watch import watched_tasks
from taskflow_core.tasks.watch_all import TenantWatch
from taskflow_core.watch import Watch, WatchTimes
from taskflow_core.webhooks.assemble import WebhookParts, assemble_webhooks
from taskflow_core.workflows.checks import WorkflowChecks
from taskflow_core.workflows.definitions import Workflows
from taskflow_core.workflows.evaluation import Expressions
from taskflow_core.workflows.sandbox import Sandbox


@dataclass(frozen=True)
class App:
    """What lives as long as the process, handed to whatever needs it."""

    settings: Settings
    database: Database
    clock: DatabaseClock
    queue: Queue
    announcer: Announcer
    feed: EventFeed
    reader: TaskReader
    dead_letters: DeadLetterReader
    dead_letter_discard: DeadLetterDiscard
    dead_letter_replay: DeadLetterReplay
    results: TaskResults
    creation: TaskCreation
    cancellation: TaskCancellation
    retry: TaskRetry
    settlement: TaskSettlement
    held: HeldTasks
    queues: QueueSettings
    reporting: TaskReporting
    watch: Watch[Row]
    schedules: Schedules
    watch_all: TenantWatch
    sweep: Sweep
    retention: Retention
    stats: Statistics
    webhooks: WebhookParts
    expressions: Expressions
    workflows: Workflows
    executions: Executions


@asynccontextmanager
async def open_app(settings: Settings, process: str) -> AsyncIterator[App]:
    """Connect to PostgreSQL and Redis, and disconnect at the end, last first.

    `process` names the connections: `server`, `worker` or `scheduler`. Raises ValueError for a setting that cannot be.
    """
    store = await open_result_store(settings)
    async with open_database(settings, f"taskflow {process}") as database:
        client = open_redis(settings)
        sandbox = Sandbox()
        try:
            clock = DatabaseClock(database)
            await clock.set()
            app = _assemble(settings, database, clock, Queue(client, clock.now), sandbox, store)
            yield app
            await app.watch_all.close()
            await app.creation.drain()
            await app.executions.start.drain()
            await app.reporting.drain()
            await app.executions.node_progress.drain()
            await app.settlement.drain()
            await app.held.drain()
            await app.schedules.ring.drain()
            await app.webhooks.settlement.drain()
            await app.announcer.drain()
            await app.clock.drain()
        finally:
            await sandbox.close()
            await client.aclose(close_connection_pool=True)


@asynccontextmanager
async def listening(feed: EventFeed) -> AsyncIterator[None]:
    """Keep the feed of events running meanwhile."""
    listener = asyncio.create_task(feed.listen())
    try:
        yield
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


def _assemble(
    settings: Settings,
    database: Database,
    clock: DatabaseClock,
    queue: Queue,
    sandbox: Sandbox,
    store: ResultStore | None,
) -> App:
    announcer = Announcer(queue)
    feed = EventFeed(database, queue)
    page_tokens = PageTokens.of(settings)

    expressions = Expressions(sandbox)
    advancement = _advancement(settings, queue, announcer, expressions)
    watch_times = _watch_times(settings)
    executions = _executions(settings, database, announcer, feed, page_tokens, watch_times, advancement)

    reader = TaskReader(database, page_tokens)
    held = HeldTasks(database, announcer)
    cancellation = TaskCancellation(database, queue, announcer, advancement)
    settlement = TaskSettlement(database, announcer, held, advancement)
    dead_letters = DeadLetterReader(database, page_tokens)
    stats = _statistics(settings, database)
    return App(
        settings=settings,
        database=database,
        clock=clock,
        queue=queue,
        announcer=announcer,
        feed=feed,
        # Tasks, from their creation to their end
        creation=TaskCreation(database, announcer),
        reporting=TaskReporting(database, announcer, executions.node_progress),
        settlement=settlement,
        results=_results(settings, database, store),
        cancellation=cancellation,
        retry=TaskRetry(database, announcer),
        # Looking at tasks
        reader=reader,
        watch=Watch(watched_tasks(database, feed), feed, page_tokens, watch_times),
        watch_all=_watch_all(settings, database, clock, feed, page_tokens, watch_times, reader),
        stats=stats,
        # Dead letters
        dead_letters=dead_letters,
        dead_letter_discard=DeadLetterDiscard(database, announcer, dead_letters),
        dead_letter_replay=DeadLetterReplay(database, announcer, dead_letters),
        # Queues
        held=held,
        queues=QueueSettings(database, held, page_tokens),
        # Workflows
        expressions=expressions,
        workflows=Workflows(database, page_tokens, WorkflowChecks(database, settings.max_payload_bytes)),
        executions=executions,
        # What starts tasks, and what tells of them
        schedules=assemble_schedules(
            settings, database, queue, announcer, cancellation, page_tokens, executions
        ),
        webhooks=assemble_webhooks(settings, database, queue, page_tokens),
        # What the scheduler does to keep the house
        sweep=_sweep(settings, database, queue, announcer, settlement, cancellation, held, executions),
        retention=_retention(settings, database, announcer, store, stats),
    )


def _results(settings: Settings, database: Database, store: ResultStore | None) -> TaskResults:
    return TaskResults(
        database, store, inline_bytes=settings.result_inline_bytes, max_bytes=settings.max_result_bytes
    )


def _watch_times(settings: Settings) -> WatchTimes:
    return WatchTimes(
        keep_alive=settings.keep_alive_interval,
        max_duration=settings.max_watch_duration,
        patience=settings.slow_reader_patience,
    )


def _watch_all(
    settings: Settings,
    database: Database,
    clock: DatabaseClock,
    feed: EventFeed,
    page_tokens: PageTokens,
    watch_times: WatchTimes,
    reader: TaskReader,
) -> TenantWatch:
    event_log = Log(database)
    kept = min(settings.retention_seconds, settings.dead_letter_retention_seconds)
    return TenantWatch(
        event_log, Tail(event_log, feed), reader, page_tokens, watch_times, kept=kept, now=clock.now
    )


def _statistics(settings: Settings, database: Database) -> Statistics:
    return Statistics(
        database,
        lease_seconds=settings.lease_seconds,
        keep_alive=settings.keep_alive_interval,
        max_duration=settings.max_watch_duration,
    )


def _sweep(
    settings: Settings,
    database: Database,
    queue: Queue,
    announcer: Announcer,
    settlement: TaskSettlement,
    cancellation: TaskCancellation,
    held: HeldTasks,
    executions: Executions,
) -> Sweep:
    limits = SweepLimits(
        max_crashes=settings.max_crashes,
        cancel_grace=settings.cancel_grace,
        # The worker is given the time to say it itself.
        timeout_grace=settings.lease_seconds,
        default_retry=RetryPolicy(),
    )
    jitter = random.Random()  # noqa: S311 - no secret
    missing_hints = MissingHints(database, queue, horizon=HORIZON_SECONDS)
    end_overdue = executions.steering.end_overdue
    return Sweep(
        database, announcer, settlement, cancellation, held, missing_hints, end_overdue, limits, jitter
    )


def _retention(
    settings: Settings,
    database: Database,
    announcer: Announcer,
    store: ResultStore | None,
    stats: Statistics,
) -> Retention:
    limits = RetentionLimits(
        tasks=settings.retention_seconds, dead_letters=settings.dead_letter_retention_seconds
    )
    return Retention(database, announcer, store, stats.rollup, limits)


def _advancement(
    settings: Settings, queue: Queue, announcer: Announcer, expressions: Expressions
) -> Advancement:
    limits = Limits(payload_bytes=settings.max_payload_bytes, result_bytes=settings.max_result_bytes)
    jitter = random.Random()  # noqa: S311 - no secret
    return Advancement(announcer, queue, expressions, limits, jitter)


def _executions(
    settings: Settings,
    database: Database,
    announcer: Announcer,
    feed: EventFeed,
    page_tokens: PageTokens,
    watch_times: WatchTimes,
    advancement: Advancement,
) -> Executions:
    reader = ExecutionReader(database, page_tokens)
    return Executions(
        advancement=advancement,
        retention=ExecutionRetention(database, announcer, settings.retention_seconds),
        start=ExecutionStart(database, advancement),
        steering=ExecutionSteering(database, advancement, reader),
        rerun=ExecutionRerun(database, advancement, reader),
        reader=reader,
        node_progress=NodeProgress(database, announcer),
        watch=Watch(watched_executions(reader, feed), feed, page_tokens, watch_times),
    )
