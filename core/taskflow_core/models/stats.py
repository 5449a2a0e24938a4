"""Figures that were counted from the log, so that nobody has to count tasks."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base, TransactionId


class StatsCursor(Base):
    """How far the log is counted: all that transactions below `xid` wrote. One row, moved with the figures."""

    __tablename__ = "stats_cursor"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    xid: Mapped[int] = mapped_column(TransactionId)
    counted_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("id = 1", name="single"),)


class TaskCount(Base):
    """How many tasks there are in a state, as far as the log is counted. No row where there are none.

    `since` is the minute in which they came to be QUEUED, so that the oldest are found; the beginning of 1970 in other states.
    """

    __tablename__ = "task_counts"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    queue: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[str] = mapped_column(primary_key=True)
    task_type: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)  # a status, or DISCARDED for a FAILED one
    since: Mapped[datetime] = mapped_column(primary_key=True)
    # Below zero for a moment if the log tells of a task's second event first.
    count: Mapped[int] = mapped_column(BigInteger)


class TaskStats(Base):
    """What happened in a minute, or an hour of the past, to the tasks of a type, priority and queue.

    Times are in microseconds; a bucket is the number that `stats/durations.py` gives it.
    """

    __tablename__ = "task_stats"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    seconds: Mapped[int] = mapped_column(Integer, primary_key=True)  # 60 or 3600
    queue: Mapped[str] = mapped_column(primary_key=True)
    priority: Mapped[str] = mapped_column(primary_key=True)
    task_type: Mapped[str] = mapped_column(primary_key=True)
    submitted: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(BigInteger)
    retried: Mapped[int] = mapped_column(BigInteger)
    succeeded: Mapped[int] = mapped_column(BigInteger)
    failed: Mapped[int] = mapped_column(BigInteger)
    cancelled: Mapped[int] = mapped_column(BigInteger)
    wait_sum: Mapped[int] = mapped_column(BigInteger)
    wait_max: Mapped[int] = mapped_column(BigInteger)
    wait_buckets: Mapped[dict[str, Any]]
    run_sum: Mapped[int] = mapped_column(BigInteger)
    run_max: Mapped[int] = mapped_column(BigInteger)
    run_buckets: Mapped[dict[str, Any]]
    total_sum: Mapped[int] = mapped_column(BigInteger)
    total_max: Mapped[int] = mapped_column(BigInteger)
    total_buckets: Mapped[dict[str, Any]]

    __table_args__ = (
        CheckConstraint("seconds IN (60, 3600)", name="seconds"),
        Index("task_stats_age", "seconds", "starts_at"),
    )
