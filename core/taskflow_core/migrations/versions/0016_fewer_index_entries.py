"""A transition of a task writes fewer index entries: lists by creation go by the log, which nothing moves."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

RUNNING = sa.text("status = 'RUNNING'")


def upgrade() -> None:
    op.create_index(
        "task_events_created",
        "task_events",
        ["tenant_id", "created_at", "task_id"],
        postgresql_where=sa.text("kind = 'CREATED'"),
    )
    for name in ("created", "running", "running_by_queue"):
        op.drop_index(f"tasks_{name}", "tasks")
    op.create_index(
        "tasks_running",
        "tasks",
        ["tenant_id", "queue", "task_type", "session_id"],
        postgresql_where=RUNNING,
    )


def downgrade() -> None:
    op.drop_index("tasks_running", "tasks")
    op.create_index(
        "tasks_running_by_queue", "tasks", ["tenant_id", "queue", "task_type"], postgresql_where=RUNNING
    )
    op.create_index("tasks_running", "tasks", ["session_id"], postgresql_where=RUNNING)
    op.create_index("tasks_created", "tasks", ["tenant_id", "created_at", "id"])
    op.drop_index("task_events_created", "task_events")
