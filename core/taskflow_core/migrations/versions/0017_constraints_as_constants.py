"""Lists in constraints are one constant: PostgreSQL reads constraints anew for each statement, and reads these faster."""

from collections.abc import Callable

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# By table and constraint: the values of the column of that name.
VALUES = {
    "execution_events": {
        "kind": "CANCELLED CANCEL_REQUESTED COMPENSATING CREATED FAILED NODE_CANCELLED NODE_COMPENSATED NODE_FAILED NODE_PROGRESS NODE_RETRYING NODE_SKIPPED NODE_STARTED NODE_SUCCEEDED NODE_WAITING RETRIED SIGNALLED SUCCEEDED",
        "status": "CANCELLED COMPENSATING FAILED RUNNING SUCCEEDED",
    },
    "execution_scopes": {
        "status": "FAILED PENDING RUNNING SUCCEEDED",
    },
    "node_runs": {
        "status": "CANCELLED COMPENSATED FAILED PENDING RETRYING RUNNING SKIPPED SUCCEEDED WAITING",
    },
    "queues": {
        "status": "ACTIVE PAUSED",
    },
    "schedule_fires": {
        "outcome": "BUFFERED DROPPED FIRED MISSED REFUSED SKIPPED",
        "overlap_policy": "ALLOW_ALL BUFFER_ALL BUFFER_ONE CANCEL_OTHER SKIP",
        "trigger": "BACKFILL CATCH_UP MANUAL TIME",
    },
    "schedules": {
        "catch_up_policy": "ALL LATEST NONE",
        "overlap_policy": "ALLOW_ALL BUFFER_ALL BUFFER_ONE CANCEL_OTHER SKIP",
        "priority": "CRITICAL HIGH LOW NORMAL",
        "schedule_type": "CRON INTERVAL ONE_TIME",
        "status": "ACTIVE COMPLETED PAUSED",
    },
    "task_attempts": {
        "outcome": "CANCELLED FAILED LOST RELEASED SUCCEEDED",
    },
    "task_events": {
        "kind": "CANCELLED CANCEL_REQUESTED CREATED DISCARDED FAILED LOG PROGRESS QUEUED RELEASED REPLAYED RETRYING STARTED SUCCEEDED",
        "status": "CANCELLED FAILED QUEUED RETRYING RUNNING SCHEDULED SUCCEEDED",
    },
    "tasks": {
        "dead_letter_reason": "CRASH_LOOP EXHAUSTED NOT_RETRYABLE",
        "priority": "CRITICAL HIGH LOW NORMAL",
        "status": "CANCELLED FAILED QUEUED RETRYING RUNNING SCHEDULED SUCCEEDED",
    },
    "webhook_attempts": {
        "outcome": "ADDRESS_REFUSED BAD_STATUS CONNECTION_FAILED LOST SUCCEEDED TIMED_OUT TLS_FAILED",
    },
    "webhook_deliveries": {
        "status": "CANCELLED FAILED PENDING RETRYING SENDING SUCCEEDED",
    },
    "webhooks": {
        "signature_scheme": "ED25519 HMAC_SHA256",
        "status": "DISABLED ENABLED FAILING GONE",
    },
    "workflow_executions": {
        "priority": "CRITICAL HIGH LOW NORMAL",
        "status": "CANCELLED COMPENSATING FAILED RUNNING SUCCEEDED",
    },
}
# Which statuses are final, or not: by table, with what that says of the time of the end.
ENDS = {
    "node_runs": ("NULL", "PENDING RETRYING RUNNING WAITING"),
    "tasks": ("NOT NULL", "CANCELLED FAILED SUCCEEDED"),
    "workflow_executions": ("NOT NULL", "CANCELLED FAILED SUCCEEDED"),
}


def upgrade() -> None:
    _replace(lambda column, values: f"{column} = ANY ('{{{','.join(values)}}}'::text[])")


def downgrade() -> None:
    _replace(lambda column, values: f"{column} IN {tuple(values)}")


def _replace(is_one_of: Callable[[str, list[str]], str]) -> None:
    for table, columns in VALUES.items():
        checks = {column: is_one_of(column, values.split()) for column, values in columns.items()}
        if table in ENDS:
            when, values = ENDS[table]
            checks["finished"] = f"(finished_at IS {when}) = ({is_one_of('status', values.split())})"
        # One statement, hence one look at the rows.
        op.execute(
            f"ALTER TABLE {table} "
            + ", ".join(
                f"DROP CONSTRAINT {table}_{name}, ADD CONSTRAINT {table}_{name} CHECK ({check})"
                for name, check in checks.items()
            )
        )
