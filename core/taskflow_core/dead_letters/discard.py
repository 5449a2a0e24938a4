"""Discarding dead letters: the tasks stay FAILED, but nobody needs to look at them any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from taskflow_core.announce import Announcement, Announcer
from taskflow_core.db import Database, until_answered
from taskflow_core.dead_letters.read import DeadLetterReader
from taskflow_core.dead_letters.selection import Selection
from taskflow_core.models import DEAD_LETTER

# What one call discards at most.
LIMIT = 10_000

# Locked in the order of their ids, so that two calls that meet on the same rows don't lock each other out.
DISCARD = f"""
WITH found AS MATERIALIZED (
  SELECT id FROM tasks WHERE id = ANY($1::uuid[]) AND tenant_id = $2 AND {DEAD_LETTER} ORDER BY id FOR UPDATE
), moved AS (
  UPDATE tasks t SET discarded_at = now(), last_sequence = t.last_sequence + 1
  FROM found WHERE t.id = found.id
  RETURNING t.id, t.tenant_id, t.status, t.attempt, t.last_sequence
), logged AS (
  INSERT INTO task_events (task_id, sequence, tenant_id, kind, status, attempt, actor, data)
  SELECT id, last_sequence, tenant_id, 'DISCARDED', status, attempt, $3, jsonb_build_object('message', $4::text)
  FROM moved
)
SELECT id FROM moved
"""  # noqa: S608 - the condition is our own


@dataclass(frozen=True)
class Discarded:
    """How many were discarded, and whether more match than one call discards."""

    count: int
    more: bool


class DeadLetterDiscard:
    """Discards dead letters."""

    def __init__(self, database: Database, announcer: Announcer, reader: DeadLetterReader) -> None:
        self._database = database
        self._announcer = announcer
        self._reader = reader

    async def discard(self, tenant_id: str, selection: Selection, actor: str, reason: str) -> Discarded:
        """Discard the oldest of the selected. Raises InvalidArgument (INVALID_FILTER)."""
        found = await self._reader.oldest(tenant_id, selection, LIMIT + 1)
        count = await self._discard(tenant_id, [task_id for _, task_id in found[:LIMIT]], actor, reason)
        return Discarded(count, more=len(found) > LIMIT)

    async def _discard(self, tenant_id: str, task_ids: Sequence[UUID], actor: str, reason: str) -> int:
        async def once() -> list[UUID]:
            rows = await self._database.pool.fetch(DISCARD, task_ids, tenant_id, actor, reason)
            return [row["id"] for row in rows]

        # Safe to repeat: what is discarded is not found again.
        discarded = await until_answered(once, "discard dead letters", give_up_after=5)
        self._announcer.announce(map(Announcement, discarded))
        return len(discarded)
