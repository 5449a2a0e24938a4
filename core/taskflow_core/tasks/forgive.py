"""What was taken for the death of a worker, and was not: its attempts do not count as crashes."""

from collections.abc import Sequence
from uuid import UUID

from taskflow_core.db import Database, until_answered

# The outcome tells that it was forgiven, so it is so only once, however often this runs.
FORGIVE = """
WITH forgiven AS (
  UPDATE task_attempts a SET outcome = 'RELEASED'
  FROM unnest($2::uuid[], $3::int[]) AS lost (task_id, attempt)
  WHERE a.task_id = ANY($2::uuid[]) AND a.task_id = lost.task_id AND a.attempt = lost.attempt
    AND a.session_id = $1 AND a.outcome = 'LOST'
  RETURNING a.task_id
)
UPDATE tasks t SET crashes = t.crashes - 1 FROM forgiven
WHERE t.id = ANY($2::uuid[]) AND t.id = forgiven.task_id AND t.crashes > 0
"""


async def forgive(database: Database, session_id: int, attempts: Sequence[tuple[UUID, int]]) -> None:
    """Take back that these attempts of a session count as crashes of their tasks, where they do.

    A task that is a dead letter for it by now stays one.
    """
    ordered = sorted(attempts)
    await until_answered(
        lambda: database.by_key.execute(
            FORGIVE, session_id, [task_id for task_id, _ in ordered], [attempt for _, attempt in ordered]
        ),
        "forgive lost attempts",
    )
