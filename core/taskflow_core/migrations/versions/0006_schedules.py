"""Schedules and their fires."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("task_type", sa.Text(), nullable=True),
        sa.Column("task_name", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.UUID(), nullable=True),
        sa.Column("workflow_version", sa.Integer(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_form", sa.Text(), nullable=False),
        sa.Column(
            "payload_expressions", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("retry_policy", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("attempt_timeout", sa.Double(), nullable=True),
        sa.Column("expire_after", sa.Double(), nullable=True),
        sa.Column("schedule_type", sa.Text(), nullable=False),
        sa.Column("timing", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("max_runs", sa.Integer(), nullable=True),
        sa.Column("overlap_policy", sa.Text(), nullable=False),
        sa.Column("catch_up_policy", sa.Text(), nullable=False),
        sa.Column("catch_up_window", sa.Double(), nullable=False),
        sa.Column("pause_on_failure", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("next_fire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_fire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_task_id", sa.UUID(), nullable=True),
        sa.Column("last_execution_id", sa.UUID(), nullable=True),
        sa.Column("fired", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("caught_up", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("dropped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("buffered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("triggered", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("backfilled", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(next_fire_at IS NOT NULL) = (status = 'ACTIVE')", name=op.f("schedules_next_fire")
        ),
        sa.CheckConstraint(
            "catch_up_policy IN ('ALL', 'LATEST', 'NONE')", name=op.f("schedules_catch_up_policy")
        ),
        sa.CheckConstraint(
            "overlap_policy IN ('ALLOW_ALL', 'BUFFER_ALL', 'BUFFER_ONE', 'CANCEL_OTHER', 'SKIP')",
            name=op.f("schedules_overlap_policy"),
        ),
        sa.CheckConstraint("payload_form IN ('STRUCT', 'JSON')", name=op.f("schedules_payload_form")),
        sa.CheckConstraint(
            "priority IN ('CRITICAL', 'HIGH', 'LOW', 'NORMAL')", name=op.f("schedules_priority")
        ),
        sa.CheckConstraint(
            "schedule_type IN ('CRON', 'INTERVAL', 'ONE_TIME')", name=op.f("schedules_schedule_type")
        ),
        sa.CheckConstraint("status IN ('ACTIVE', 'COMPLETED', 'PAUSED')", name=op.f("schedules_status")),
        sa.CheckConstraint("(task_type IS NULL) <> (workflow_id IS NULL)", name=op.f("schedules_work")),
        sa.PrimaryKeyConstraint("id", name=op.f("schedules_pkey")),
        postgresql_with={"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.02"},
    )
    op.create_index("schedules_created", "schedules", ["tenant_id", "created_at", "id"], unique=False)
    op.create_index(
        "schedules_due",
        "schedules",
        ["next_fire_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'ACTIVE'"),
    )
    op.create_index("schedules_named", "schedules", ["tenant_id", "name", "id"], unique=False)
    op.create_index("schedules_next", "schedules", ["tenant_id", "next_fire_at", "id"], unique=False)
    op.create_index(
        "schedules_request_id",
        "schedules",
        ["tenant_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_table(
        "schedule_fires",
        sa.Column("schedule_id", sa.UUID(), nullable=False),
        sa.Column("fire_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("trigger", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("overlap_policy", sa.Text(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("actual_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("start_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_number", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("task_id", sa.UUID(), nullable=True),
        sa.Column("execution_id", sa.UUID(), nullable=True),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(outcome = 'FIRED') = (task_id IS NOT NULL OR execution_id IS NOT NULL)",
            name=op.f("schedule_fires_work"),
        ),
        sa.CheckConstraint("open <= (outcome IN ('BUFFERED', 'FIRED'))", name=op.f("schedule_fires_open")),
        sa.CheckConstraint(
            "outcome IN ('BUFFERED', 'DROPPED', 'FIRED', 'MISSED', 'REFUSED', 'SKIPPED')",
            name=op.f("schedule_fires_outcome"),
        ),
        sa.CheckConstraint(
            "overlap_policy IN ('ALLOW_ALL', 'BUFFER_ALL', 'BUFFER_ONE', 'CANCEL_OTHER', 'SKIP')",
            name=op.f("schedule_fires_overlap_policy"),
        ),
        sa.CheckConstraint(
            "trigger IN ('BACKFILL', 'CATCH_UP', 'MANUAL', 'TIME')", name=op.f("schedule_fires_trigger")
        ),
        sa.PrimaryKeyConstraint("schedule_id", "fire_time", name=op.f("schedule_fires_pkey")),
    )
    op.create_index("schedule_fires_decided", "schedule_fires", ["actual_time"], unique=False)
    op.create_index(
        "schedule_fires_open",
        "schedule_fires",
        ["schedule_id", "fire_time"],
        unique=False,
        postgresql_where=sa.text("open"),
    )
    op.create_index(
        "schedule_fires_request_id",
        "schedule_fires",
        ["tenant_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("schedule_fires")
    op.drop_table("schedules")
