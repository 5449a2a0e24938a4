"""Settings of queues, and tasks that wait for room under them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "queues",
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("max_concurrency", sa.Integer(), nullable=True),
        sa.Column("max_rate", sa.Double(), nullable=True),
        sa.Column(
            "task_type_limits",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column(
            "recent_starts",
            postgresql.JSONB(none_as_null=True, astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('ACTIVE', 'PAUSED')", name=op.f("queues_status")),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("queues_pkey")),
    )
    op.add_column("tasks", sa.Column("held", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.drop_index("tasks_queued", table_name="tasks")
    op.create_index(
        "tasks_queued",
        "tasks",
        ["run_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'QUEUED' AND NOT held"),
    )
    op.create_index(
        "tasks_running_by_queue",
        "tasks",
        ["tenant_id", "queue", "task_type"],
        unique=False,
        postgresql_where=sa.text("status = 'RUNNING'"),
    )
    op.create_index(
        "tasks_held",
        "tasks",
        ["tenant_id", "queue", "task_type", "priority", "run_at", "id"],
        unique=False,
        postgresql_where=sa.text("held AND status IN ('QUEUED', 'RETRYING', 'SCHEDULED')"),
    )


def downgrade() -> None:
    op.drop_index("tasks_held", table_name="tasks")
    op.drop_index("tasks_running_by_queue", table_name="tasks")
    op.drop_index("tasks_queued", table_name="tasks")
    op.create_index(
        "tasks_queued", "tasks", ["run_at", "id"], unique=False, postgresql_where=sa.text("status = 'QUEUED'")
    )
    op.drop_column("tasks", "held")
    op.drop_table("queues")
