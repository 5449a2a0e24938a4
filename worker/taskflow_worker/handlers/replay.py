"""`taskflow.replay`: puts dead letters back to work, at a set rate."""

import asyncio
from typing import Any
from uuid import UUID

from taskflow_core.app import App
from taskflow_core.dead_letters.replay import ReplayOrder
from taskflow_core.retry import RetryPolicy
from taskflow_core.service_tasks import REPLAY
from taskflow_worker.context import TaskContext
from taskflow_worker.outcome import InvalidPayload
from taskflow_worker.registry import Handler

# A slow replay of much may take days; its worker's lease, and not its time, says whether it is alive.
TIMEOUT = 30 * 24 * 3600.0
# It outlives a database that is away for a while.
RETRY = RetryPolicy(max_attempts=20)


def replay_handler(app: App) -> Handler:
    """The handler of replays, over core's own functions."""

    async def replay(context: TaskContext, payload: dict[str, Any]) -> dict[str, int]:
        """Replays dead letters."""
        try:
            order = ReplayOrder.read(payload)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidPayload(f"not an order to replay: {error!r}") from error
        run = await app.dead_letter_replay.begin(
            context.tenant_id, UUID(context.task_id), context.attempt, order
        )
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            run = await app.dead_letter_replay.next_batch(run)
            if run.finished:
                return {"replayed": run.replayed, "skipped": run.skipped}
            # From when it was due, so that slow batches don't slow the rate; but time lost is not caught up.
            due = max(due + order.seconds_per_batch, clock() - order.seconds_per_batch)
            await asyncio.sleep(due - clock())

    return Handler(REPLAY, replay, timeout=TIMEOUT, retry=RETRY)
