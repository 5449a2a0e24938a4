"""The settings of named queues."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base, is_one_of
from taskflow_core.states import QueueStatus


class Queue(Base):
    """The settings of a named queue. One that nobody has set anything for has no row."""

    __tablename__ = "queues"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str] = mapped_column(server_default=text(f"'{QueueStatus.ACTIVE}'"))
    note: Mapped[str] = mapped_column(server_default=text("''"))
    max_concurrency: Mapped[int | None] = mapped_column(Integer)
    max_rate: Mapped[float | None]  # attempts that start in a second
    task_type_limits: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  # both, by type
    # Attempts that count against the rates: times and numbers, by type, "" for all. Written by claims.
    recent_starts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    revision: Mapped[int] = mapped_column(Integer, server_default=text("1"))  # counts changes by callers
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint(is_one_of("status", QueueStatus), name="status"),)
