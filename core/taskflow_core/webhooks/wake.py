"""Waking the deliverers: something may be due that no task event rings for. A lost ring costs a second."""

import asyncio

import structlog

from taskflow_core.queue import REDIS_ERRORS, Queue

log = structlog.get_logger()

WEBHOOKS_CHANNEL = "taskflow:webhooks"


async def wake_deliverers(queue: Queue) -> None:
    """Ring, after the commit. Never fails."""
    try:
        async with asyncio.timeout(2):
            await queue.redis.publish(WEBHOOKS_CHANNEL, b"")
    except (*REDIS_ERRORS, TimeoutError) as error:
        log.warning("redis: deliverers look by themselves", error=repr(error))
