"""Deleting old executions, with their node runs, graphs, signals and events. Their tasks go as tasks do."""

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Database

BATCH = 100

# A child stays as long as its parent, which may want to know how it ended, or it to run on.
DELETE = """
WITH old AS MATERIALIZED (
  SELECT e.id FROM workflow_executions e
  WHERE e.finished_at IS NOT NULL AND e.finished_at < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT FROM workflow_executions p
                    WHERE p.id = e.parent_execution_id)
  ORDER BY e.finished_at, e.id LIMIT $2 FOR UPDATE SKIP LOCKED
), runs AS (
  DELETE FROM node_runs n USING old WHERE n.execution_id = old.id
), scopes AS (
  DELETE FROM execution_scopes s USING old WHERE s.execution_id = old.id
), signals AS (
  DELETE FROM execution_signals s USING old WHERE s.execution_id = old.id
), events AS (
  DELETE FROM execution_events v USING old WHERE v.execution_id = old.id
)
DELETE FROM workflow_executions e USING old WHERE e.id = old.id RETURNING e.id
"""


class ExecutionRetention:
    """Deletes executions that have been final for `seconds`. Any number of processes may do it."""

    def __init__(self, database: Database, announcer: Announcer, seconds: float) -> None:
        self._database = database
        self._announcer = announcer
        self._seconds = seconds

    async def run(self) -> int:
        """Delete all that is old, and return how many executions that were."""
        deleted = 0
        while True:
            rows = await self._database.pool.fetch(DELETE, self._seconds, BATCH)
            # Who watches one of them is told.
            self._announcer.announce(Announcement(row["id"]) for row in rows)
            deleted += len(rows)
            # Children go in the round after that of their parents.
            if not rows:
                return deleted
