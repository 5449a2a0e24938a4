"""Large results lie elsewhere, and what is old is found."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DEAD_LETTER = "status = 'FAILED' AND discarded_at IS NULL"


def upgrade() -> None:
    op.add_column("task_results", sa.Column("result_url", sa.Text(), nullable=True))
    op.alter_column("task_results", "result", nullable=True)
    op.create_check_constraint(
        op.f("task_results_result"), "task_results", "(result IS NULL) <> (result_url IS NULL)"
    )
    op.create_index(
        "tasks_done",
        "tasks",
        ["finished_at", "id"],
        unique=False,
        postgresql_where=sa.text(f"finished_at IS NOT NULL AND NOT ({DEAD_LETTER})"),
    )
    op.create_index(
        "tasks_dead", "tasks", ["finished_at", "id"], unique=False, postgresql_where=sa.text(DEAD_LETTER)
    )
    op.create_index(
        "worker_sessions_ended",
        "worker_sessions",
        ["ended_at"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "worker_sessions_ended",
        table_name="worker_sessions",
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.drop_index("tasks_dead", table_name="tasks", postgresql_where=sa.text(DEAD_LETTER))
    op.drop_index(
        "tasks_done",
        table_name="tasks",
        postgresql_where=sa.text(f"finished_at IS NOT NULL AND NOT ({DEAD_LETTER})"),
    )
    op.drop_constraint(op.f("task_results_result"), "task_results", type_="check")
    # Fails while there are results that lie elsewhere: the older schema has no place for them.
    op.alter_column("task_results", "result", nullable=False)
    op.drop_column("task_results", "result_url")
