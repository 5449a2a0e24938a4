"""ENABLED -> DISABLED | GONE | FAILING: a webhook gets no more events, and what waits for it is cancelled."""

from uuid import UUID

from taskflow_core.db import Connection
from taskflow_core.states import WebhookStatus

IS_ENABLED = "SELECT status = 'ENABLED' FROM webhooks WHERE id = $1 FOR UPDATE"

# Only what a caller does is a change of the resource.
DISABLE = """
UPDATE webhooks SET status = $2, note = $3, circuit_open_until = NULL,
  updated_at = CASE WHEN $4 THEN now() ELSE updated_at END, revision = revision + $4::bool::int
WHERE id = $1 AND (status = 'ENABLED' OR $4)
"""

CANCEL_WAITING = """
UPDATE webhook_deliveries SET status = 'CANCELLED', ended_at = now()
WHERE webhook_id = $1 AND status IN ('PENDING', 'RETRYING') AND NOT test
"""

# Other webhooks of the tenant may want to know. Nothing secret is told.
TELL = """
SELECT plan_webhooks(w.tenant_id, 'webhook.disabled', w.id, 0, now(), jsonb_build_object('webhook', to_jsonb(w)))
FROM (
  SELECT id, tenant_id, name, description, url, event_types, status, note, last_success_at, failing_since,
    consecutive_failures, created_at, updated_at
  FROM webhooks WHERE id = $1
) AS w
"""


async def disable(
    connection: Connection, webhook_id: UUID, status: WebhookStatus, note: str, *, by_caller: bool
) -> None:
    """Disable a webhook that the transaction has locked.

    A caller may also disable what is disabled: then only status and note change, and nobody is told again.
    """
    was_enabled = await connection.fetchval(IS_ENABLED, webhook_id)
    await connection.execute(DISABLE, webhook_id, status.value, note, by_caller)
    if was_enabled:
        await connection.execute(CANCEL_WAITING, webhook_id)
        await connection.execute(TELL, webhook_id)
