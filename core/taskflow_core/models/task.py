"""Tasks, their results, their attempts and their logs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base, TransactionId, is_one_of, listed
from taskflow_core.states import (
    TASK_FINAL,
    TASK_WAITING,
    AttemptOutcome,
    DeadLetterCause,
    EventKind,
    Priority,
    TaskStatus,
)

FINAL = f"status IN ({listed(TASK_FINAL)})"
# A dead letter is a task, not a row of its own.
DEAD_LETTER = "status = 'FAILED' AND discarded_at IS NULL"


class Task(Base):
    """One piece of work. Its row is also its outbox: what waits here is sure to run."""

    __tablename__ = "tasks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]
    task_type: Mapped[str]
    queue: Mapped[str]
    priority: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    payload: Mapped[str]  # JSON text, kept as it came
    payload_form: Mapped[str]  # how the caller wrote it, and how the result is answered
    retry_policy: Mapped[dict[str, Any] | None]  # only what the caller set
    attempt_timeout: Mapped[float | None]  # seconds
    expire_at: Mapped[datetime | None]

    status: Mapped[str]
    run_at: Mapped[datetime]  # when the next attempt is due
    held: Mapped[bool] = mapped_column(server_default=text("false"))  # due, but its queue had no room
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # attempts started: the fence
    failed_attempts: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    crashes: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # attempts whose worker was lost
    session_id: Mapped[int | None] = mapped_column(BigInteger)  # the worker session that runs it
    claim_token: Mapped[UUID | None]  # makes a claim repeatable when its answer was lost
    attempt_started_at: Mapped[datetime | None]
    attempt_deadline: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    cancel_reason: Mapped[str | None]
    progress: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    dead_letter_reason: Mapped[str | None]
    error_fingerprint: Mapped[str | None]  # what failed alike has the same
    discarded_at: Mapped[datetime | None]  # it FAILED and is no dead letter any more
    replays: Mapped[int] = mapped_column(
        Integer, server_default=text("0")
    )  # how often it was a dead letter before
    last_sequence: Mapped[int] = mapped_column(Integer, server_default=text("1"))  # number of its last event

    unique_key: Mapped[str | None]
    unique_scope: Mapped[str | None]
    request_id: Mapped[str | None]
    request_digest: Mapped[str | None]  # tells a repeated request from a reused id
    schedule_id: Mapped[UUID | None]
    execution_id: Mapped[UUID | None]
    node_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(is_one_of("status", TaskStatus), name="status"),
        CheckConstraint(is_one_of("priority", Priority), name="priority"),
        CheckConstraint("payload_form IN ('STRUCT', 'JSON')", name="payload_form"),
        CheckConstraint(f"(finished_at IS NOT NULL) = ({is_one_of('status', TASK_FINAL)})", name="finished"),
        CheckConstraint("(session_id IS NOT NULL) = (status = 'RUNNING')", name="running"),
        CheckConstraint("(dead_letter_reason IS NOT NULL) = (status = 'FAILED')", name="dead_letter"),
        CheckConstraint(is_one_of("dead_letter_reason", DeadLetterCause), name="dead_letter_reason"),
        CheckConstraint("(error_fingerprint IS NOT NULL) = (status = 'FAILED')", name="error_fingerprint"),
        CheckConstraint("(discarded_at IS NOT NULL) <= (status = 'FAILED')", name="discarded"),
        CheckConstraint("(unique_key IS NULL) = (unique_scope IS NULL)", name="unique_key"),
        CheckConstraint("unique_scope IN ('UNFINISHED', 'WAITING')", name="unique_scope"),
        # What the sweep walks: due work by lane, timers, sessions, deadlines. All partial, so that a
        # finished task costs nothing in them.
        Index("tasks_queued", "run_at", "id", postgresql_where=text("status = 'QUEUED' AND NOT held")),
        Index("tasks_timed", "run_at", "id", postgresql_where=text("status IN ('RETRYING', 'SCHEDULED')")),
        # What runs is little at any time: whose session it is, is found without an index of its own.
        Index(
            "tasks_running",
            "tenant_id",
            "queue",
            "task_type",
            "session_id",
            postgresql_where=text("status = 'RUNNING'"),
        ),
        # What waits for room under the limits of queues.
        Index(
            "tasks_held",
            "tenant_id",
            "queue",
            "task_type",
            "priority",
            "run_at",
            "id",
            postgresql_where=text(f"held AND status IN ({listed(TASK_WAITING)})"),
        ),
        Index(
            "tasks_expiring",
            "expire_at",
            postgresql_where=text(f"expire_at IS NOT NULL AND NOT ({FINAL})"),
        ),
        # What callers list by, besides `task_events_created`.
        Index(
            "tasks_finished",
            "tenant_id",
            "finished_at",
            "id",
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index(
            "tasks_dead_letters",
            "tenant_id",
            "finished_at",
            "id",
            postgresql_where=text(DEAD_LETTER),
        ),
        # Holds all that the summary counts.
        Index(
            "tasks_failed_alike",
            "tenant_id",
            "error_fingerprint",
            "finished_at",
            "id",
            postgresql_include=["task_type", "queue"],
            postgresql_where=text(DEAD_LETTER),
        ),
        # What retention walks, oldest first, over all tenants. A finished task is in one of the two.
        Index(
            "tasks_done",
            "finished_at",
            "id",
            postgresql_where=text(f"finished_at IS NOT NULL AND NOT ({DEAD_LETTER})"),
        ),
        Index("tasks_dead", "finished_at", "id", postgresql_where=text(DEAD_LETTER)),
        Index("tasks_tags", "tags", postgresql_using="gin", postgresql_where=text("tags <> '{}'")),
        # What may be there only once.
        Index(
            "tasks_request_id",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        Index(
            "tasks_unique_key",
            "tenant_id",
            "unique_key",
            unique=True,
            postgresql_where=text(
                f"unique_key IS NOT NULL AND NOT ({FINAL}) AND (unique_scope = 'UNFINISHED' OR attempt = 0)"
            ),
        ),
        # Rows are updated a few times and then left: room on the page, and early vacuum.
        {
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.02",
                "autovacuum_analyze_scale_factor": "0.02",
            }
        },
    )


class TaskResult(Base):
    """What a task returned: apart from the task, so that lists stay narrow. A large one is but named here."""

    __tablename__ = "task_results"

    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    result: Mapped[str | None]  # JSON text
    result_url: Mapped[str | None]  # where the text lies

    __table_args__ = (CheckConstraint("(result IS NULL) <> (result_url IS NULL)", name="result"),)


class TaskAttempt(Base):
    """One ended run of a task. A running one is in the task's row."""

    __tablename__ = "task_attempts"

    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str]
    session_id: Mapped[int] = mapped_column(BigInteger)
    worker: Mapped[str]
    outcome: Mapped[str]
    error: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint(is_one_of("outcome", AttemptOutcome), name="outcome"),)


class TaskEvent(Base):
    """One line of a task's log, numbered without gaps: audit trail, streams and webhooks read it.

    No foreign key: every transition writes here, and retention deletes a task's lines with the task.
    """

    __tablename__ = "task_events"

    task_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str]
    kind: Mapped[str]
    status: Mapped[str]  # of the task, after the event
    attempt: Mapped[int] = mapped_column(Integer)
    actor: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    data: Mapped[dict[str, Any] | None]  # progress, error, message, next_attempt_time: by kind
    # The transaction that wrote it. Whoever reads the logs of all tasks goes by it, up to
    # pg_snapshot_xmin(pg_current_snapshot()): what is below can no longer change.
    xid: Mapped[int] = mapped_column(TransactionId, server_default=text("pg_current_xact_id()"))

    __table_args__ = (
        CheckConstraint(is_one_of("kind", EventKind), name="kind"),
        CheckConstraint(is_one_of("status", TaskStatus), name="status"),
        Index("task_events_written", "xid"),
        # By this callers list tasks: in an index of `tasks` each of their transitions would write an entry.
        Index(
            "task_events_created",
            "tenant_id",
            "created_at",
            "task_id",
            postgresql_where=text("kind = 'CREATED'"),
        ),
    )
