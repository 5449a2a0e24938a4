"""The rows of tasks and workers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_attempts",
        sa.Column("task_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('CANCELLED', 'FAILED', 'LOST', 'RELEASED', 'SUCCEEDED')",
            name=op.f("task_attempts_outcome"),
        ),
        sa.PrimaryKeyConstraint("task_id", "attempt", name=op.f("task_attempts_pkey")),
    )
    op.create_table(
        "task_events",
        sa.Column("task_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "kind IN ('CANCELLED', 'CANCEL_REQUESTED', 'CREATED', 'DISCARDED', 'FAILED', 'LOG', 'PROGRESS', 'QUEUED', 'RELEASED', 'REPLAYED', 'RETRYING', 'STARTED', 'SUCCEEDED')",
            name=op.f("task_events_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('CANCELLED', 'FAILED', 'QUEUED', 'RETRYING', 'RUNNING', 'SCHEDULED', 'SUCCEEDED')",
            name=op.f("task_events_status"),
        ),
        sa.PrimaryKeyConstraint("task_id", "sequence", name=op.f("task_events_pkey")),
    )
    op.create_table(
        "task_results",
        sa.Column("task_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("task_results_pkey")),
    )
    op.create_table(
        "task_types",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("attempt_timeout", sa.Double(), nullable=False),
        sa.Column("retry_policy", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("task_types_pkey")),
    )
    op.create_table(
        "tasks",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_form", sa.Text(), nullable=False),
        sa.Column("retry_policy", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("attempt_timeout", sa.Double(), nullable=True),
        sa.Column("expire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("claim_token", sa.UUID(), nullable=True),
        sa.Column("attempt_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt_deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("progress", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("dead_letter_reason", sa.Text(), nullable=True),
        sa.Column("last_sequence", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("unique_key", sa.Text(), nullable=True),
        sa.Column("unique_scope", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("schedule_id", sa.UUID(), nullable=True),
        sa.Column("execution_id", sa.UUID(), nullable=True),
        sa.Column("node_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(dead_letter_reason IS NOT NULL) <= (status = 'FAILED')", name=op.f("tasks_dead_letter")
        ),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))",
            name=op.f("tasks_finished"),
        ),
        sa.CheckConstraint("(session_id IS NOT NULL) = (status = 'RUNNING')", name=op.f("tasks_running")),
        sa.CheckConstraint("payload_form IN ('STRUCT', 'JSON')", name=op.f("tasks_payload_form")),
        sa.CheckConstraint("priority IN ('CRITICAL', 'HIGH', 'LOW', 'NORMAL')", name=op.f("tasks_priority")),
        sa.CheckConstraint(
            "status IN ('CANCELLED', 'FAILED', 'QUEUED', 'RETRYING', 'RUNNING', 'SCHEDULED', 'SUCCEEDED')",
            name=op.f("tasks_status"),
        ),
        sa.CheckConstraint("unique_scope IN ('UNFINISHED', 'WAITING')", name=op.f("tasks_unique_scope")),
        sa.CheckConstraint("(unique_key IS NULL) = (unique_scope IS NULL)", name=op.f("tasks_unique_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("tasks_pkey")),
        postgresql_with={
            "fillfactor": "80",
            "autovacuum_vacuum_scale_factor": "0.02",
            "autovacuum_analyze_scale_factor": "0.02",
        },
    )
    op.create_index("tasks_created", "tasks", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index(
        "tasks_expiring",
        "tasks",
        ["expire_at"],
        unique=False,
        postgresql_where=sa.text(
            "expire_at IS NOT NULL AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))"
        ),
    )
    op.create_index(
        "tasks_finished",
        "tasks",
        ["tenant_id", "finished_at", "id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "tasks_queued", "tasks", ["run_at", "id"], unique=False, postgresql_where=sa.text("status = 'QUEUED'")
    )
    op.create_index(
        "tasks_request_id",
        "tasks",
        ["tenant_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index(
        "tasks_running", "tasks", ["session_id"], unique=False, postgresql_where=sa.text("status = 'RUNNING'")
    )
    op.create_index(
        "tasks_tags",
        "tasks",
        ["tags"],
        unique=False,
        postgresql_using="gin",
        postgresql_where=sa.text("tags <> '{}'"),
    )
    op.create_index(
        "tasks_timed",
        "tasks",
        ["run_at", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('RETRYING', 'SCHEDULED')"),
    )
    op.create_index(
        "tasks_unique_key",
        "tasks",
        ["tenant_id", "unique_key"],
        unique=True,
        postgresql_where=sa.text(
            "unique_key IS NOT NULL AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')) AND (unique_scope = 'UNFINISHED' OR attempt = 0)"
        ),
    )
    op.create_table(
        "worker_sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("queues", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("priorities", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("task_types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("worker_sessions_pkey")),
    )
    op.create_index(
        "worker_sessions_open",
        "worker_sessions",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "worker_sessions_open", table_name="worker_sessions", postgresql_where=sa.text("ended_at IS NULL")
    )
    op.drop_table("worker_sessions")
    op.drop_index(
        "tasks_unique_key",
        table_name="tasks",
        postgresql_where=sa.text(
            "unique_key IS NOT NULL AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED')) AND (unique_scope = 'UNFINISHED' OR attempt = 0)"
        ),
    )
    op.drop_index(
        "tasks_timed", table_name="tasks", postgresql_where=sa.text("status IN ('RETRYING', 'SCHEDULED')")
    )
    op.drop_index(
        "tasks_tags", table_name="tasks", postgresql_using="gin", postgresql_where=sa.text("tags <> '{}'")
    )
    op.drop_index("tasks_running", table_name="tasks", postgresql_where=sa.text("status = 'RUNNING'"))
    op.drop_index("tasks_request_id", table_name="tasks", postgresql_where=sa.text("request_id IS NOT NULL"))
    op.drop_index("tasks_queued", table_name="tasks", postgresql_where=sa.text("status = 'QUEUED'"))
    op.drop_index("tasks_finished", table_name="tasks", postgresql_where=sa.text("finished_at IS NOT NULL"))
    op.drop_index(
        "tasks_expiring",
        table_name="tasks",
        postgresql_where=sa.text(
            "expire_at IS NOT NULL AND NOT (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))"
        ),
    )
    op.drop_index("tasks_created", table_name="tasks")
    op.drop_table("tasks")
    op.drop_table("task_types")
    op.drop_table("task_results")
    op.drop_table("task_events")
    op.drop_table("task_attempts")
