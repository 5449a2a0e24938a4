"""The transaction that wrote an event, so that the logs of all tasks can be read on in commit order."""

import sqlalchemy as sa
from alembic import op

from taskflow_core.models.base import TransactionId

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "task_events",
        sa.Column("xid", TransactionId(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
    )
    op.create_index("task_events_written", "task_events", ["xid"])


def downgrade() -> None:
    op.drop_index("task_events_written", table_name="task_events")
    op.drop_column("task_events", "xid")
