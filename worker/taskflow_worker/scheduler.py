"""The process that keeps the house: it fires schedules, and sweeps up what others left behind.

Any number may run; the database sees to it that nothing is done twice. APScheduler is the timer of the house.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from taskflow_core.app import App
from taskflow_core.db import CONNECTION_ERRORS
from taskflow_core.queue import REDIS_ERRORS
from taskflow_worker.firing import ScheduleTimer

log = structlog.get_logger()

# Seconds until a sweep that waits for a line gone silent is given up.
PATIENCE = 60.0


async def run_scheduler(app: App, stop: asyncio.Event) -> None:
    """Keep the house until `stop` is set."""
    scheduler = AsyncIOScheduler(timezone=UTC)
    started_at = datetime.now(UTC)
    works = (
        (_sweep, app.settings.sweep_seconds),
        (_delete_old, app.settings.retention_interval),
        (_count_log, app.settings.stats_seconds),
    )
    for place, (work, seconds) in enumerate(works, start=1):
        scheduler.add_job(
            work,
            "interval",
            args=[app],
            seconds=seconds,
            # Not at the same moment, in which all else would have to wait.
            next_run_time=started_at + timedelta(seconds=seconds * place / len(works)),
            # A late run is as good as one in time, and one at a time is enough.
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
    scheduler.start()
    log.info("scheduler ready", sweep_seconds=app.settings.sweep_seconds)
    timer = ScheduleTimer(app.schedules.firing, app.queue)
    try:
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(work) for work in (timer.tick_on(), timer.listen(), _keep_pace(scheduler))
            ]
            await stop.wait()
            for task in running:
                task.cancel()
    finally:
        scheduler.shutdown(wait=False)


async def _keep_pace(scheduler: AsyncIOScheduler) -> None:
    """Let no job wait for a clock that was set back: APScheduler goes by the clock of this machine."""
    while True:
        await asyncio.sleep(1)
        now = datetime.now(UTC)
        for job in scheduler.get_jobs():
            if job.next_run_time > now + job.trigger.interval:
                job.modify(next_run_time=now)


async def _sweep(app: App) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            moved = await app.sweep.run()
    except (*CONNECTION_ERRORS, *REDIS_ERRORS) as error:
        log.warning("sweep failed, the next one follows", error=repr(error))
        return
    if moved:
        log.info("swept", **moved)


async def _delete_old(app: App) -> None:
    try:
        deleted = await app.retention.run()
        deliveries = await app.webhooks.retention.run()
        executions = await app.executions.retention.run()
    except CONNECTION_ERRORS as error:
        log.warning("retention failed, the next run follows", error=repr(error))
        return
    if deliveries:
        deleted["deliveries"] = deliveries
    if executions:
        deleted["executions"] = executions
    if deleted:
        log.info("deleted what was old", **deleted)


async def _count_log(app: App) -> None:
    try:
        await app.stats.rollup.run()
    except CONNECTION_ERRORS as error:
        log.warning("statistics are behind, the next count follows", error=repr(error))
