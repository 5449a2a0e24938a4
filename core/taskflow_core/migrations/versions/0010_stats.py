"""Figures that are counted from the log, and whether a worker drains."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from taskflow_core.models.base import TransactionId

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    cursor = op.create_table(
        "stats_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("xid", TransactionId(), nullable=False),
        sa.Column("counted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("stats_cursor_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("stats_cursor_pkey")),
    )
    # The whole log is counted, from its first line on.
    op.execute(cursor.insert().values(id=1, xid=sa.text("'0'::xid8")))
    op.create_table(
        "task_counts",
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("tenant_id", "queue", "priority", "task_type", "state")
        ),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            *("tenant_id", "queue", "priority", "task_type", "state", "since"), name=op.f("task_counts_pkey")
        ),
    )
    op.create_table(
        "task_stats",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("queue", "priority", "task_type")),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("submitted", "attempts", "retried", "succeeded", "failed", "cancelled")
        ),
        *(column for name in ("wait", "run", "total") for column in _durations(name)),
        sa.CheckConstraint("seconds IN (60, 3600)", name=op.f("task_stats_seconds")),
        sa.PrimaryKeyConstraint(
            *("tenant_id", "starts_at", "seconds", "queue", "priority", "task_type"),
            name=op.f("task_stats_pkey"),
        ),
    )
    op.create_index("task_stats_age", "task_stats", ["seconds", "starts_at"])
    op.add_column(
        "worker_sessions",
        sa.Column("draining", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("worker_sessions", "draining")
    op.drop_table("task_stats")
    op.drop_table("task_counts")
    op.drop_table("stats_cursor")


def _durations(name: str) -> list[sa.Column[object]]:
    return [
        sa.Column(f"{name}_sum", sa.BigInteger(), nullable=False),
        sa.Column(f"{name}_max", sa.BigInteger(), nullable=False),
        sa.Column(
            f"{name}_buckets", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False
        ),
    ]
