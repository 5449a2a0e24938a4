"""Executions of workflows: node runs, the graphs inside PARALLEL nodes, signals and logs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from taskflow_core.models.base import TransactionId

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workflow_executions",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("workflow_id", sa.UUID(), nullable=False),
        sa.Column("workflow_name", sa.Text(), nullable=False),
        sa.Column("workflow_version", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("input", sa.Text(), nullable=False),
        sa.Column("input_form", sa.Text(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("expire_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("ending", sa.Text(), nullable=True),
        sa.Column("output", sa.Text(), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("failed_node_id", sa.Text(), nullable=True),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancel_reason", sa.Text(), nullable=True),
        sa.Column("skip_compensation", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("open_runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("reached_runs", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_sequence", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("schedule_id", sa.UUID(), nullable=True),
        sa.Column("parent_execution_id", sa.UUID(), nullable=True),
        sa.Column("parent_node_run_id", sa.UUID(), nullable=True),
        sa.Column("source_execution_id", sa.UUID(), nullable=True),
        sa.Column("rerun_node_id", sa.Text(), nullable=True),
        sa.Column("rerun_input", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NOT NULL) = (status IN ('CANCELLED', 'FAILED', 'SUCCEEDED'))",
            name=op.f("workflow_executions_finished"),
        ),
        sa.CheckConstraint("ending IN ('CANCELLED', 'FAILED')", name=op.f("workflow_executions_ending")),
        sa.CheckConstraint("input_form IN ('STRUCT', 'JSON')", name=op.f("workflow_executions_input_form")),
        sa.CheckConstraint(
            "priority IN ('CRITICAL', 'HIGH', 'LOW', 'NORMAL')", name=op.f("workflow_executions_priority")
        ),
        sa.CheckConstraint(
            "status IN ('CANCELLED', 'COMPENSATING', 'FAILED', 'RUNNING', 'SUCCEEDED')",
            name=op.f("workflow_executions_status"),
        ),
        sa.CheckConstraint("open_runs >= 0", name=op.f("workflow_executions_open_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("workflow_executions_pkey")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "workflow_executions_children",
        "workflow_executions",
        ["parent_execution_id"],
        unique=False,
        postgresql_where=sa.text("parent_execution_id IS NOT NULL"),
    )
    op.create_index(
        "workflow_executions_created", "workflow_executions", ["tenant_id", "created_at", "id"], unique=False
    )
    op.create_index(
        "workflow_executions_done",
        "workflow_executions",
        ["finished_at", "id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "workflow_executions_expiring",
        "workflow_executions",
        ["expire_at"],
        unique=False,
        postgresql_where=sa.text("expire_at IS NOT NULL AND ending IS NULL AND finished_at IS NULL"),
    )
    op.create_index(
        "workflow_executions_finished",
        "workflow_executions",
        ["tenant_id", "finished_at", "id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_index(
        "workflow_executions_of_workflow",
        "workflow_executions",
        ["tenant_id", "workflow_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "workflow_executions_request_id",
        "workflow_executions",
        ["tenant_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_index(
        "workflow_executions_timed",
        "workflow_executions",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("deadline_at IS NOT NULL AND ending IS NULL AND finished_at IS NULL"),
    )
    op.create_table(
        "node_runs",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("execution_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("parent_node_run_id", sa.UUID(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("stop", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("task_id", sa.UUID(), nullable=True),
        sa.Column("child_execution_id", sa.UUID(), nullable=True),
        sa.Column("compensation_task_id", sa.UUID(), nullable=True),
        sa.Column("branch", sa.Text(), nullable=True),
        sa.Column("signal", sa.Text(), nullable=True),
        sa.Column("edges_taken", sa.ARRAY(sa.Integer()), nullable=True),
        sa.Column("taken_over", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("scopes", sa.Integer(), nullable=True),
        sa.Column("scopes_opened", sa.Integer(), nullable=True),
        sa.Column("scopes_settled", sa.Integer(), nullable=True),
        sa.Column("scopes_succeeded", sa.Integer(), nullable=True),
        sa.Column("ended_sequence", sa.Integer(), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(finished_at IS NULL) = (status IN ('PENDING', 'RETRYING', 'RUNNING', 'WAITING'))",
            name=op.f("node_runs_finished"),
        ),
        sa.CheckConstraint(
            "status IN ('CANCELLED', 'COMPENSATED', 'FAILED', 'PENDING', 'RETRYING', 'RUNNING', 'SKIPPED', 'SUCCEEDED', 'WAITING')",
            name=op.f("node_runs_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("node_runs_pkey")),
        postgresql_with={"fillfactor": "80"},
    )
    op.create_index(
        "node_runs_compensation",
        "node_runs",
        ["compensation_task_id"],
        unique=True,
        postgresql_where=sa.text("compensation_task_id IS NOT NULL"),
    )
    op.create_index(
        "node_runs_open",
        "node_runs",
        ["execution_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('PENDING', 'RETRYING', 'RUNNING', 'WAITING')"),
    )
    op.create_index("node_runs_path", "node_runs", ["execution_id", "path"], unique=True)
    op.create_index("node_runs_place", "node_runs", ["execution_id", "place"], unique=True)
    op.create_index("node_runs_scope", "node_runs", ["execution_id", "scope"], unique=False)
    op.create_index(
        "node_runs_task",
        "node_runs",
        ["task_id"],
        unique=False,
        postgresql_where=sa.text("task_id IS NOT NULL"),
    )
    op.create_index(
        "node_runs_timed",
        "node_runs",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text(
            "deadline_at IS NOT NULL AND stop IS NULL AND status IN ('PENDING', 'RETRYING', 'RUNNING', 'WAITING')"
        ),
    )
    op.create_table(
        "execution_scopes",
        sa.Column("execution_id", sa.UUID(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("node_run_id", sa.UUID(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("item", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('FAILED', 'PENDING', 'RUNNING', 'SUCCEEDED')", name=op.f("execution_scopes_status")
        ),
        sa.PrimaryKeyConstraint("execution_id", "path", name=op.f("execution_scopes_pkey")),
    )
    op.create_index(
        "execution_scopes_pending",
        "execution_scopes",
        ["node_run_id", "place"],
        unique=False,
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    op.create_index("execution_scopes_place", "execution_scopes", ["node_run_id", "place"], unique=True)
    op.create_table(
        "execution_signals",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("execution_id", sa.UUID(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("node_run_id", sa.UUID(), nullable=True),
        sa.Column("taken_by", sa.UUID(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("request_digest", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("execution_signals_pkey")),
    )
    op.create_index(
        "execution_signals_of_execution",
        "execution_signals",
        ["execution_id", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "execution_signals_request_id",
        "execution_signals",
        ["tenant_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.create_table(
        "execution_events",
        sa.Column("execution_id", sa.UUID(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("xid", TransactionId(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.CheckConstraint(
            "kind IN ('CANCELLED', 'CANCEL_REQUESTED', 'COMPENSATING', 'CREATED', 'FAILED', 'NODE_CANCELLED', 'NODE_COMPENSATED', 'NODE_FAILED', 'NODE_PROGRESS', 'NODE_RETRYING', 'NODE_SKIPPED', 'NODE_STARTED', 'NODE_SUCCEEDED', 'NODE_WAITING', 'RETRIED', 'SIGNALLED', 'SUCCEEDED')",
            name=op.f("execution_events_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('CANCELLED', 'COMPENSATING', 'FAILED', 'RUNNING', 'SUCCEEDED')",
            name=op.f("execution_events_status"),
        ),
        sa.PrimaryKeyConstraint("execution_id", "sequence", name=op.f("execution_events_pkey")),
    )
    op.create_index("execution_events_written", "execution_events", ["xid"], unique=False)


def downgrade() -> None:
    op.drop_table("execution_events")
    op.drop_table("execution_signals")
    op.drop_table("execution_scopes")
    op.drop_table("node_runs")
    op.drop_table("workflow_executions")
