"""Limits of queues."""

from collections.abc import Iterable
from typing import Any

from taskflow_core.errors import InvalidArgument
from taskflow_proto.v1 import queue_pb2, queue_service_pb2
from taskflow_server.masks import fields_to_change


def queue_limits(request: queue_service_pb2.UpdateQueueRequest) -> dict[str, Any]:
    """The limits to change, with their new values; zero lifts a limit, as if it were not set.

    Raises InvalidArgument at `update_mask` or `queue.task_type_limits`.
    """
    queue = request.queue
    values = {
        "max_concurrency": queue.max_concurrency or None,
        "max_rate": queue.max_rate or None,
        "task_type_limits": _task_type_limits(queue.task_type_limits),
    }
    wanted = fields_to_change(request.update_mask, queue, values)
    return {name: value for name, value in values.items() if name in wanted}


def _task_type_limits(limits: Iterable[queue_pb2.TaskTypeLimit]) -> dict[str, dict[str, Any]]:
    by_type: dict[str, dict[str, Any]] = {}
    for index, limit in enumerate(limits):
        if limit.task_type in by_type:
            raise InvalidArgument.at(
                f"queue.task_type_limits[{index}].task_type",
                f"{limit.task_type!r} occurs twice",
                found=limit.task_type,
            )
        by_type[limit.task_type] = {
            "max_concurrency": limit.max_concurrency or None,
            "max_rate": limit.max_rate or None,
        }
    return by_type
