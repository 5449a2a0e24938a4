"""Webhooks, their deliveries, and the trigger that plans deliveries with the events."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from taskflow_core.models.base import TransactionId

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# Whether a webhook with these types is told of an event. Progress must be named in full.
WANTS = """
CREATE FUNCTION webhook_wants(event_types text[], event_type text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN event_type = 'task.progress' THEN event_type = ANY (event_types)
  ELSE event_types && ARRAY[event_type, split_part(event_type, '.', 1) || '.*', '*'] END
"""

# Plans one event for all webhooks of its tenant that want it, in the transaction of the caller. For whatever is
# not a task event; planning the same event again does nothing. `what` has the rows as they are now, by kind, as
# webhooks/envelope.py reads them: {"fire": ...}, {"execution": ..., "node_run": ...}, {"webhook": ...}.
PLAN = """
CREATE FUNCTION plan_webhooks(
  for_tenant text, of_type text, subject uuid, number integer, happened_at timestamptz, what jsonb,
  of_execution uuid DEFAULT NULL, of_schedule uuid DEFAULT NULL, of_task uuid DEFAULT NULL
) RETURNS void LANGUAGE sql VOLATILE
BEGIN ATOMIC
  INSERT INTO webhook_deliveries (
    tenant_id, webhook_id, event_type, event_time, sequence, subject_id, data, execution_id, schedule_id, task_id)
  SELECT for_tenant, w.id, of_type, happened_at, number, subject, what, of_execution, of_schedule, of_task
  FROM webhooks w
  WHERE w.tenant_id = for_tenant AND w.status = 'ENABLED' AND webhook_wants(w.event_types, of_type)
  ON CONFLICT DO NOTHING;
END
"""

# Task events are planned wherever they are written: the statements that write them know nothing of webhooks.
# Without webhooks it costs the look at an empty index. Tasks are found by an array of keys, because the pool of
# the hot statements does not plan nested loops; correlated SELECTs instead of NOT EXISTS for the same reason.
PLAN_TASK_EVENTS = """
CREATE FUNCTION plan_task_webhooks() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  told uuid[];
BEGIN
  IF NOT EXISTS (SELECT FROM webhooks WHERE status = 'ENABLED') THEN
    RETURN NULL;
  END IF;
  SELECT array_agg(DISTINCT task_id) INTO told FROM written
  WHERE kind IN ('CREATED', 'STARTED', 'PROGRESS', 'RETRYING', 'SUCCEEDED', 'FAILED', 'CANCELLED')
    AND tenant_id IN (SELECT w.tenant_id FROM webhooks w WHERE w.status = 'ENABLED');
  IF told IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO webhook_deliveries (
    tenant_id, webhook_id, event_type, event_time, sequence, subject_id, task_id, data, event_xid)
  SELECT tenant_id, webhook_id, event_type, created_at, sequence, task_id, task_id, data, xid FROM (
    SELECT e.tenant_id, w.id AS webhook_id, types.event_type, e.created_at, e.sequence, e.task_id, e.xid,
      jsonb_build_object('task', to_jsonb(t)) AS data
    FROM written e
    JOIN (VALUES
      ('CREATED', 'task.created'), ('STARTED', 'task.started'), ('PROGRESS', 'task.progress'),
      ('RETRYING', 'task.retrying'), ('SUCCEEDED', 'task.success'), ('FAILED', 'task.failed'),
      ('FAILED', 'task.dead_lettered'), ('CANCELLED', 'task.cancelled')) AS types (kind, event_type)
      ON types.kind = e.kind
    JOIN webhooks w
      ON w.tenant_id = e.tenant_id AND w.status = 'ENABLED' AND webhook_wants(w.event_types, types.event_type)
    JOIN (
      SELECT id, name, task_type, queue, priority, tags, retry_policy, attempt_timeout, expire_at, status, run_at,
        attempt, failed_attempts, cancel_requested_at, progress, error, last_sequence, unique_key, unique_scope,
        schedule_id, execution_id, node_id, created_at, started_at, finished_at
      FROM tasks WHERE id = ANY (told)
    ) AS t ON t.id = e.task_id
    WHERE e.kind <> 'PROGRESS' OR NOT coalesce((
        SELECT true FROM webhook_deliveries d
        WHERE d.webhook_id = w.id AND d.subject_id = e.task_id AND d.event_type = 'task.progress' AND NOT d.test
          AND d.event_time > e.created_at - interval '1 second' LIMIT 1), false)
      AND e.sequence = (SELECT max(o.sequence) FROM written o WHERE o.task_id = e.task_id AND o.kind = 'PROGRESS')
    ORDER BY e.task_id, e.sequence, types.event_type DESC
  ) AS planned
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$
"""

TRIGGER = """
CREATE TRIGGER plan_webhooks AFTER INSERT ON task_events REFERENCING NEW TABLE AS written
FOR EACH STATEMENT EXECUTE FUNCTION plan_task_webhooks()
"""


def upgrade() -> None:
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("webhook_id", sa.UUID(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("remote_address", sa.Text(), nullable=False),
        sa.Column(
            "request_headers", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("response_status", sa.Integer(), nullable=False),
        sa.Column(
            "response_headers", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("response_body", sa.Text(), nullable=False),
        sa.Column("response_truncated", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("latency", sa.Double(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('ADDRESS_REFUSED', 'BAD_STATUS', 'CONNECTION_FAILED', 'LOST', 'SUCCEEDED', 'TIMED_OUT', 'TLS_FAILED')",
            name=op.f("webhook_attempts_outcome"),
        ),
        sa.PrimaryKeyConstraint("delivery_id", "attempt", name=op.f("webhook_attempts_pkey")),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.UUID(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("webhook_id", sa.UUID(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sequence", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("subject_id", sa.UUID(), nullable=False),
        sa.Column("task_id", sa.UUID(), nullable=True),
        sa.Column("execution_id", sa.UUID(), nullable=True),
        sa.Column("schedule_id", sa.UUID(), nullable=True),
        sa.Column("test", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column(
            "event_xid", TransactionId(), server_default=sa.text("pg_current_xact_id()"), nullable=False
        ),
        sa.Column("status", sa.Text(), server_default=sa.text("'PENDING'"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts_before", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("response_status", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(ended_at IS NOT NULL) = (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))",
            name=op.f("webhook_deliveries_ended"),
        ),
        sa.CheckConstraint(
            "(lease_until IS NOT NULL) = (status = 'SENDING')", name=op.f("webhook_deliveries_sending")
        ),
        sa.CheckConstraint(
            "status IN ('CANCELLED', 'FAILED', 'PENDING', 'RETRYING', 'SENDING', 'SUCCEEDED')",
            name=op.f("webhook_deliveries_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_deliveries_pkey")),
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_analyze_scale_factor": "0.02",
        },
    )
    op.create_index(
        "webhook_deliveries_created", "webhook_deliveries", ["webhook_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "webhook_deliveries_due",
        "webhook_deliveries",
        ["webhook_id", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('PENDING', 'RETRYING') AND NOT test"),
    )
    op.create_index(
        "webhook_deliveries_ended",
        "webhook_deliveries",
        ["ended_at", "id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index(
        "webhook_deliveries_event",
        "webhook_deliveries",
        ["webhook_id", "subject_id", "event_type", "sequence", "event_time"],
        unique=True,
        postgresql_where=sa.text("NOT test"),
    )
    op.create_index(
        "webhook_deliveries_sending",
        "webhook_deliveries",
        ["webhook_id", "lease_until"],
        unique=False,
        postgresql_where=sa.text("status = 'SENDING'"),
    )
    op.create_index(
        "webhook_deliveries_tests",
        "webhook_deliveries",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("test AND status = 'PENDING'"),
    )
    op.create_index(
        "webhook_deliveries_unfinished",
        "webhook_deliveries",
        ["webhook_id", "id"],
        unique=False,
        postgresql_where=sa.text("NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')) AND NOT test"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("condition", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("header_names", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_secret_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("signature_scheme", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("retry_policy", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("request_timeout", sa.Double(), nullable=False),
        sa.Column("max_concurrency", sa.Integer(), nullable=False),
        sa.Column("ordered", sa.Boolean(), nullable=False),
        sa.Column("disable_after", sa.Double(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ENABLED'"), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("consecutive_failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("circuit_open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "signature_scheme IN ('ED25519', 'HMAC_SHA256')", name=op.f("webhooks_signature_scheme")
        ),
        sa.CheckConstraint(
            "status IN ('DISABLED', 'ENABLED', 'FAILING', 'GONE')", name=op.f("webhooks_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhooks_pkey")),
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("webhooks_created", "webhooks", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index(
        "webhooks_enabled",
        "webhooks",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("status = 'ENABLED'"),
    )
    op.create_index(
        "webhooks_request_id",
        "webhooks",
        ["tenant_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    for statement in (WANTS, PLAN, PLAN_TASK_EVENTS, TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER plan_webhooks ON task_events")
    op.execute("DROP FUNCTION plan_task_webhooks")
    op.execute("DROP FUNCTION plan_webhooks")
    op.execute("DROP FUNCTION webhook_wants")
    op.drop_table("webhook_attempts")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
