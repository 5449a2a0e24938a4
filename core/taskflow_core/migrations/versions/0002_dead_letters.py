"""What a dead letter has beside its task: a fingerprint, and whether it was discarded or replayed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("error_fingerprint", sa.Text(), nullable=True))
    op.add_column("tasks", sa.Column("discarded_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tasks", sa.Column("replays", sa.Integer(), server_default=sa.text("0"), nullable=False))
    # Those from before are grouped by the type of their error alone.
    op.execute(
        """
        UPDATE tasks SET
          error_fingerprint = left(md5(coalesce(error ->> 'type', '')), 16),
          dead_letter_reason = CASE dead_letter_reason
            WHEN 'NON_RETRYABLE' THEN 'NOT_RETRYABLE'
            WHEN 'CRASH_LOOP' THEN 'CRASH_LOOP'
            ELSE 'EXHAUSTED' END
        WHERE status = 'FAILED'
        """
    )
    op.drop_constraint(op.f("tasks_dead_letter"), "tasks", type_="check")
    op.create_check_constraint(
        op.f("tasks_dead_letter"), "tasks", "(dead_letter_reason IS NOT NULL) = (status = 'FAILED')"
    )
    op.create_check_constraint(
        op.f("tasks_dead_letter_reason"),
        "tasks",
        "dead_letter_reason IN ('CRASH_LOOP', 'EXHAUSTED', 'NOT_RETRYABLE')",
    )
    op.create_check_constraint(
        op.f("tasks_error_fingerprint"), "tasks", "(error_fingerprint IS NOT NULL) = (status = 'FAILED')"
    )
    op.create_check_constraint(
        op.f("tasks_discarded"), "tasks", "(discarded_at IS NOT NULL) <= (status = 'FAILED')"
    )
    op.create_index(
        "tasks_dead_letters",
        "tasks",
        ["tenant_id", "finished_at", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'FAILED' AND discarded_at IS NULL"),
    )
    op.create_index(
        "tasks_failed_alike",
        "tasks",
        ["tenant_id", "error_fingerprint", "finished_at", "id"],
        unique=False,
        postgresql_include=["task_type", "queue"],
        postgresql_where=sa.text("status = 'FAILED' AND discarded_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "tasks_failed_alike",
        table_name="tasks",
        postgresql_where=sa.text("status = 'FAILED' AND discarded_at IS NULL"),
    )
    op.drop_index(
        "tasks_dead_letters",
        table_name="tasks",
        postgresql_where=sa.text("status = 'FAILED' AND discarded_at IS NULL"),
    )
    op.drop_constraint(op.f("tasks_discarded"), "tasks", type_="check")
    op.drop_constraint(op.f("tasks_error_fingerprint"), "tasks", type_="check")
    op.drop_constraint(op.f("tasks_dead_letter_reason"), "tasks", type_="check")
    op.drop_constraint(op.f("tasks_dead_letter"), "tasks", type_="check")
    op.execute(
        """
        UPDATE tasks SET dead_letter_reason = CASE dead_letter_reason
          WHEN 'NOT_RETRYABLE' THEN 'NON_RETRYABLE'
          WHEN 'EXHAUSTED' THEN 'ATTEMPTS_EXHAUSTED'
          ELSE dead_letter_reason END
        WHERE status = 'FAILED'
        """
    )
    op.create_check_constraint(
        op.f("tasks_dead_letter"), "tasks", "(dead_letter_reason IS NOT NULL) <= (status = 'FAILED')"
    )
    op.drop_column("tasks", "replays")
    op.drop_column("tasks", "discarded_at")
    op.drop_column("tasks", "error_fingerprint")
