"""Workers, and what they have registered."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base


class WorkerSession(Base):
    """One life of a worker process. It is alive while `lease_until` lies ahead, by the database's clock."""

    __tablename__ = "worker_sessions"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    worker: Mapped[str]  # host:pid
    queues: Mapped[list[str]]
    priorities: Mapped[list[str]]
    task_types: Mapped[list[str]]
    slots: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    lease_until: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # It ends what it runs and starts nothing more.
    draining: Mapped[bool] = mapped_column(server_default=text("false"))

    __table_args__ = (
        Index("worker_sessions_open", "lease_until", postgresql_where=text("ended_at IS NULL")),
        Index("worker_sessions_ended", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )


class TaskType(Base):
    """What a worker has registered under a name; the last worker to start wins."""

    __tablename__ = "task_types"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    attempt_timeout: Mapped[float]  # seconds
    retry_policy: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
