"""Dead letters, one by one and in groups."""

from taskflow_core.tasks.rows import Row
from taskflow_proto.v1 import dead_letter_pb2
from taskflow_server.pack.tasks import task
from taskflow_server.pack.values import timestamp

DeadLetter = dead_letter_pb2.DeadLetter


def dead_letter(row: Row, *, full: bool = False) -> dead_letter_pb2.DeadLetter:
    """A dead letter, with the payload of its task if `full`."""
    return DeadLetter(
        task=task(row, full=full),
        cause=row["dead_letter_reason"],
        fingerprint=row["error_fingerprint"],
        dead_time=timestamp(row["finished_at"]),
        replay_count=row["replays"],
    )


def dead_letter_group(row: Row) -> dead_letter_pb2.DeadLetterGroup:
    """Dead letters that failed alike; the row is the last of them, with what is said of all."""
    return dead_letter_pb2.DeadLetterGroup(
        fingerprint=row["error_fingerprint"],
        count=row["size"],
        error_type=row["error"]["type"],
        task_types=row["task_types"],
        queues=row["queues"],
        first_time=timestamp(row["first_time"]),
        last_time=timestamp(row["last_time"]),
        sample=dead_letter(row),
    )
