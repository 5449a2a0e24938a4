"""Schedules, and what became of each of their times."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base, is_one_of
from taskflow_core.states import (
    CatchUpPolicy,
    FireOutcome,
    FireTrigger,
    OverlapPolicy,
    Priority,
    ScheduleStatus,
    ScheduleType,
)

ZERO = text("0")


class Schedule(Base):
    """When work is to be started, what work, and how far that has come."""

    __tablename__ = "schedules"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]
    description: Mapped[str]

    task_type: Mapped[str | None]
    task_name: Mapped[str]
    workflow_id: Mapped[UUID | None]
    workflow_version: Mapped[int | None] = mapped_column(Integer)  # None: the latest at each fire
    payload: Mapped[str]  # JSON text, kept as it came
    payload_form: Mapped[str]
    payload_expressions: Mapped[dict[str, Any]]  # CEL by name of the field
    priority: Mapped[str]
    queue: Mapped[str]
    tags: Mapped[list[str]]
    retry_policy: Mapped[dict[str, Any] | None]  # only what the caller set
    attempt_timeout: Mapped[float | None]  # seconds
    expire_after: Mapped[float | None]  # seconds

    schedule_type: Mapped[str]
    timing: Mapped[dict[str, Any]]  # what describes the times, as the caller set it
    max_runs: Mapped[int | None] = mapped_column(Integer)
    overlap_policy: Mapped[str]
    catch_up_policy: Mapped[str]
    catch_up_window: Mapped[float]  # seconds
    pause_on_failure: Mapped[bool]

    status: Mapped[str]
    note: Mapped[str] = mapped_column(server_default=text("''"))
    next_fire_at: Mapped[datetime | None]
    last_fire_at: Mapped[datetime | None]
    last_task_id: Mapped[UUID | None]
    last_execution_id: Mapped[UUID | None]
    fired: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    caught_up: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    skipped: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    missed: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    dropped: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    buffered: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    triggered: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    backfilled: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    failed: Mapped[int] = mapped_column(Integer, server_default=ZERO)

    request_id: Mapped[str | None]
    request_digest: Mapped[str | None]  # tells a repeated request from a reused id
    revision: Mapped[int] = mapped_column(Integer, server_default=text("1"))  # counts changes by callers
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint("(task_type IS NULL) <> (workflow_id IS NULL)", name="work"),
        CheckConstraint("payload_form IN ('STRUCT', 'JSON')", name="payload_form"),
        CheckConstraint(is_one_of("priority", Priority), name="priority"),
        CheckConstraint(is_one_of("schedule_type", ScheduleType), name="schedule_type"),
        CheckConstraint(is_one_of("overlap_policy", OverlapPolicy), name="overlap_policy"),
        CheckConstraint(is_one_of("catch_up_policy", CatchUpPolicy), name="catch_up_policy"),
        CheckConstraint(is_one_of("status", ScheduleStatus), name="status"),
        CheckConstraint("(next_fire_at IS NOT NULL) = (status = 'ACTIVE')", name="next_fire"),
        Index("schedules_due", "next_fire_at", "id", postgresql_where=text("status = 'ACTIVE'")),
        Index("schedules_created", "tenant_id", "created_at", "id"),
        Index("schedules_named", "tenant_id", "name", "id"),
        Index("schedules_next", "tenant_id", "next_fire_at", "id"),
        Index(
            "schedules_request_id",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        # Every fire updates its schedule: room on the page, and early vacuum.
        {"postgresql_with": {"fillfactor": "70", "autovacuum_vacuum_scale_factor": "0.02"}},
    )


class ScheduleFire(Base):
    """One time of a schedule that came due, and what became of it. Its key keeps a second fire out.

    Only who has locked the row of the schedule writes here. No foreign key: a schedule is deleted with its
    fires.
    """

    __tablename__ = "schedule_fires"

    schedule_id: Mapped[UUID] = mapped_column(primary_key=True)
    fire_time: Mapped[datetime] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    trigger: Mapped[str]
    outcome: Mapped[str]
    overlap_policy: Mapped[str]  # under which it was decided
    # It waits, or its work was not final when a scheduler looked last.
    open: Mapped[bool]
    actual_time: Mapped[datetime]  # of the decision
    start_time: Mapped[datetime]  # work does not start before
    run_number: Mapped[int] = mapped_column(Integer, server_default=ZERO)
    task_id: Mapped[UUID | None]
    execution_id: Mapped[UUID | None]
    reason: Mapped[str] = mapped_column(server_default=text("''"))
    request_id: Mapped[str | None]  # of a trigger by hand
    request_digest: Mapped[str | None]

    __table_args__ = (
        CheckConstraint(is_one_of("trigger", FireTrigger), name="trigger"),
        CheckConstraint(is_one_of("outcome", FireOutcome), name="outcome"),
        CheckConstraint(is_one_of("overlap_policy", OverlapPolicy), name="overlap_policy"),
        CheckConstraint("open <= (outcome IN ('BUFFERED', 'FIRED'))", name="open"),
        CheckConstraint(
            "(outcome = 'FIRED') = (task_id IS NOT NULL OR execution_id IS NOT NULL)", name="work"
        ),
        Index("schedule_fires_open", "schedule_id", "fire_time", postgresql_where=text("open")),
        Index("schedule_fires_decided", "actual_time"),
        Index(
            "schedule_fires_request_id",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
    )
