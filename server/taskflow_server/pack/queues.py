"""Queues and their limits."""

from taskflow_core.etags import etag_of
from taskflow_core.tasks.rows import Row
from taskflow_proto.v1 import queue_pb2
from taskflow_server.pack.values import timestamp


def queue(row: Row) -> queue_pb2.Queue:
    """A queue, with its limits."""
    return queue_pb2.Queue(
        name=row["name"],
        max_concurrency=row["max_concurrency"] or 0,
        max_rate=row["max_rate"] or 0.0,
        task_type_limits=[
            queue_pb2.TaskTypeLimit(
                task_type=task_type,
                max_concurrency=limit["max_concurrency"] or 0,
                max_rate=limit["max_rate"] or 0.0,
            )
            for task_type, limit in sorted((row["task_type_limits"] or {}).items())
        ],
        status=row["status"],
        note=row["note"],
        update_time=timestamp(row["updated_at"]),
        etag=etag_of(row),
    )
