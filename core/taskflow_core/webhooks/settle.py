"""SENDING -> SUCCEEDED | RETRYING | FAILED | CANCELLED: how an attempt to deliver ended, and how the webhook fares.

Deliveries that end together share one transaction. A webhook whose every attempt fails is tried by one request at
a time after `CIRCUIT_FAILURES` of them, and disabled after its `disable_after`; one that answers 410 at once.
"""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from taskflow_core.batching import Batcher
from taskflow_core.db import Connection, Database, until_answered
from taskflow_core.retry import RetryPolicy
from taskflow_core.states import DeliveryOutcome, DeliveryStatus, WebhookStatus
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.disable import disable

# About a day in all.
DEFAULT_RETRY = RetryPolicy(
    max_attempts=12, initial_backoff=5.0, max_backoff=5 * 3600.0, backoff_multiplier=4.0, jitter="NONE"
)
# Waits are spread by this part also without jitter, so that what failed together does not return together.
SPREAD = 0.1
KEPT_ATTEMPTS = 50
CIRCUIT_FAILURES = 10
CIRCUIT_SECONDS = 60.0

SETTLE = """
WITH ended AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[],
    $9::int[], $10::jsonb[], $11::text[], $12::bool[], $13::float8[], $14::float8[]) AS ended (
    id, attempt, status, outcome, error, url, remote_address, request_headers, response_status, response_headers,
    response_body, response_truncated, latency, delay)
), mine AS MATERIALIZED (
  SELECT d.id, d.webhook_id FROM webhook_deliveries d JOIN ended ON ended.id = d.id AND ended.attempt = d.attempt
  WHERE d.id = ANY($1::uuid[]) AND d.status = 'SENDING' ORDER BY d.id FOR UPDATE OF d
), moved AS (
  UPDATE webhook_deliveries d SET
    status = CASE WHEN ended.status = 'RETRYING' AND w.status <> 'ENABLED' THEN 'CANCELLED' ELSE ended.status END,
    ended_at = CASE WHEN ended.status = 'RETRYING' AND w.status = 'ENABLED' THEN NULL ELSE now() END,
    due_at = CASE WHEN ended.status = 'RETRYING' THEN now() + make_interval(secs => ended.delay) ELSE d.due_at END,
    lease_until = NULL, response_status = ended.response_status, error = ended.error
  FROM mine JOIN ended ON ended.id = mine.id JOIN webhooks w ON w.id = mine.webhook_id
  WHERE d.id = ANY($1::uuid[]) AND d.id = mine.id
  RETURNING d.id, d.webhook_id, d.attempt, d.test, d.started_at, ended.outcome
), attempts AS (
  INSERT INTO webhook_attempts (delivery_id, attempt, webhook_id, outcome, error, url, remote_address,
    request_headers, response_status, response_headers, response_body, response_truncated, started_at, latency)
  SELECT moved.id, moved.attempt, moved.webhook_id, ended.outcome, ended.error, ended.url, ended.remote_address,
    ended.request_headers, ended.response_status, ended.response_headers, ended.response_body,
    ended.response_truncated, moved.started_at, ended.latency
  FROM moved JOIN ended ON ended.id = moved.id
), forgotten AS (
  DELETE FROM webhook_attempts a USING moved
  WHERE moved.attempt > $15 AND a.delivery_id = moved.id AND a.attempt <= moved.attempt - $15
)
SELECT webhook_id, test, outcome FROM moved
"""

# In one order, so that two workers do not wait for each other. A success that says nothing new writes nothing.
FARE = """
WITH told AS (
  SELECT * FROM unnest($1::uuid[], $2::int[], $3::bool[]) AS told (id, failures, succeeded)
), locked AS MATERIALIZED (
  SELECT w.id FROM webhooks w JOIN told ON told.id = w.id
  WHERE NOT (told.succeeded AND w.consecutive_failures = 0
    AND coalesce(w.last_success_at > now() - interval '1 second', false))
  ORDER BY w.id FOR UPDATE OF w
)
UPDATE webhooks w SET
  last_success_at = CASE WHEN told.succeeded THEN now() ELSE w.last_success_at END,
  consecutive_failures = CASE WHEN told.succeeded THEN 0 ELSE w.consecutive_failures + told.failures END,
  failing_since = CASE WHEN told.succeeded THEN NULL ELSE coalesce(w.failing_since, now()) END,
  circuit_open_until = CASE
    WHEN told.succeeded THEN NULL
    WHEN w.consecutive_failures + told.failures >= $4 THEN now() + make_interval(secs => $5)
    ELSE w.circuit_open_until END
FROM locked JOIN told ON told.id = locked.id
WHERE w.id = locked.id
RETURNING w.id, w.status = 'ENABLED' AND w.failing_since < now() - make_interval(secs => w.disable_after) AS is_failing,
  w.disable_after
"""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How one attempt ended, as its worker saw it. `retry_after`: seconds that the receiver asked for."""

    delivery: Row
    outcome: DeliveryOutcome
    error: str = ""
    url: str = ""
    remote_address: str = ""
    request_headers: dict[str, str] = field(default_factory=dict)
    response_status: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: str = ""
    response_truncated: bool = False
    latency: float = 0.0
    retry_after: float = 0.0

    @property
    def is_gone(self) -> bool:
        return self.response_status == 410 and not self.delivery["test"]


class DeliverySettlement:
    """Writes how attempts ended. The statement is fenced by the attempt: a worker that lost its lease writes nothing."""

    def __init__(self, database: Database, rng: random.Random) -> None:
        self._database = database
        self._rng = rng
        self._batcher: Batcher[Sent, None] = Batcher(self._settle, writers=1)

    async def settle(self, sent: Sent) -> None:
        """Write the end of an attempt. Repeats until the database answers."""
        await self._batcher.submit(sent)

    async def drain(self) -> None:
        """Wait until everything handed over is written."""
        await self._batcher.drain()

    async def _settle(self, batch: Sequence[Sent]) -> list[None]:
        # Decided once, so that a repetition writes the same.
        moves = [self._move(sent) for sent in batch]

        async def once() -> None:
            async with self._database.pool.acquire() as connection, connection.transaction():
                moved = await connection.fetch(SETTLE, *_columns(batch, moves), KEPT_ATTEMPTS)
                await _tell_webhooks(
                    connection, moved, {s.delivery["webhook_id"] for s in batch if s.is_gone}
                )

        await until_answered(once, "settle deliveries")
        return [None] * len(batch)

    def _move(self, sent: Sent) -> tuple[DeliveryStatus, float]:
        """The status that follows, and with RETRYING the seconds until the next attempt."""
        delivery = sent.delivery
        if sent.outcome is DeliveryOutcome.SUCCEEDED:
            return DeliveryStatus.SUCCEEDED, 0.0
        policy = policy_of(delivery["retry_policy"])
        failures = delivery["attempt"] - delivery["attempts_before"]
        if delivery["test"] or sent.is_gone or not policy.allows_retry(failures, sent.outcome):
            return DeliveryStatus.FAILED, 0.0
        if sent.outcome is DeliveryOutcome.LOST:
            return DeliveryStatus.RETRYING, 0.0
        wait = policy.backoff(failures, self._rng) * self._rng.uniform(1 - SPREAD, 1 + SPREAD)
        return DeliveryStatus.RETRYING, max(wait, sent.retry_after)


def policy_of(stored: dict[str, Any] | None) -> RetryPolicy:
    """The policy of a webhook, completed by the defaults of webhooks."""
    return RetryPolicy(**{**vars(DEFAULT_RETRY), **(stored or {})})


async def _tell_webhooks(connection: Connection, moved: Sequence[Row], gone: set[UUID]) -> None:
    """Note how each webhook fares, and disable those that are gone or fail for too long. Tests count for nothing."""
    failures: defaultdict[UUID, int] = defaultdict(int)
    succeeded: set[UUID] = set()
    for row in moved:
        if row["test"] or row["outcome"] == DeliveryOutcome.LOST:
            continue
        if row["outcome"] == DeliveryOutcome.SUCCEEDED:
            succeeded.add(row["webhook_id"])
        else:
            failures[row["webhook_id"]] += 1
    ids = sorted(succeeded | set(failures))
    if not ids:
        return
    fares = await connection.fetch(
        FARE,
        ids,
        [failures[webhook_id] for webhook_id in ids],
        [webhook_id in succeeded for webhook_id in ids],
        CIRCUIT_FAILURES,
        CIRCUIT_SECONDS,
    )
    for webhook_id in sorted(gone & set(failures)):
        note = "the receiver answered 410 Gone"
        await disable(connection, webhook_id, WebhookStatus.GONE, note, by_caller=False)
    for row in sorted(fares, key=lambda row: row["id"]):
        if row["is_failing"]:
            note = f"every attempt failed for {row['disable_after'] / 86_400:g} days"
            await disable(connection, row["id"], WebhookStatus.FAILING, note, by_caller=False)


def _columns(batch: Sequence[Sent], moves: Sequence[tuple[DeliveryStatus, float]]) -> list[list[Any]]:
    return [
        [s.delivery["id"] for s in batch],
        [s.delivery["attempt"] for s in batch],
        [status.value for status, _ in moves],
        [s.outcome.value for s in batch],
        [s.error for s in batch],
        [s.url for s in batch],
        [s.remote_address for s in batch],
        [s.request_headers for s in batch],
        [s.response_status for s in batch],
        [s.response_headers for s in batch],
        [s.response_body for s in batch],
        [s.response_truncated for s in batch],
        [s.latency for s in batch],
        [delay for _, delay in moves],
    ]
