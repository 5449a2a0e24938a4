"""A handler of your own is a marked function: `taskflow dev --import demo_handlers.py` serves it."""

import asyncio
from typing import Any

from taskflow_worker import TaskContext, register_task_handler


@register_task_handler("demo.sync_inventory")
async def sync_inventory(context: TaskContext, payload: dict[str, Any]) -> None:
    """Talk to a service that is always down."""
    context.progress(20, "connecting")
    context.log(f"connecting to {payload['service']}, attempt {context.attempt}")
    await asyncio.sleep(0.3)
    raise ConnectionError(f"{payload['service']} does not answer")
