"""Handing attempts back that ended because the database was away: the worker lived, and no task crashed it.

The sweep may have been first, and counted a crash: that is taken back. A worker that really died meanwhile
hands nothing back, so its attempts count.
"""

import asyncio
from collections.abc import Sequence

from taskflow_core.app import App
from taskflow_core.tasks.forgive import forgive
from taskflow_core.tasks.settle import Settlement
from taskflow_worker.runner import Attempt


async def hand_back(app: App, session_id: int, attempts: Sequence[Attempt]) -> None:
    """Release attempts of a lost session, once their handlers have stopped or had time to."""
    # An attempt that has a result by now writes it first, if nobody was quicker.
    if runs := [attempt.run for attempt in attempts if attempt.run is not None]:
        await asyncio.wait(runs, timeout=app.settings.cancel_grace)
    released = await asyncio.gather(*(app.settlement.settle(_released(attempt)) for attempt in attempts))
    late = [attempt.task for attempt, is_released in zip(attempts, released, strict=True) if not is_released]
    if late:
        await forgive(app.database, session_id, [(task["id"], task["attempt"]) for task in late])


def _released(attempt: Attempt) -> Settlement:
    return Settlement(
        task_id=attempt.task["id"],
        attempt=attempt.task["attempt"],
        session_id=attempt.session_id,
        worker=attempt.worker,
        status="QUEUED",
        outcome="RELEASED",
        message="the database was away for longer than the lease",
    )
