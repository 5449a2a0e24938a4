"""Workflows and their versions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base


class Workflow(Base):
    """What stays the same over all versions, and which one is the latest."""

    __tablename__ = "workflows"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]  # that of the latest version
    version: Mapped[int] = mapped_column(Integer)  # the latest
    request_id: Mapped[str | None]
    request_digest: Mapped[str | None]  # tells a repeated request from a reused id
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    deleted_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "workflows_name", "tenant_id", "name", unique=True, postgresql_where=text("deleted_at IS NULL")
        ),
        Index(
            "workflows_request_id",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        # What callers list by.
        Index(
            "workflows_created", "tenant_id", "created_at", "id", postgresql_where=text("deleted_at IS NULL")
        ),
    )


class WorkflowVersion(Base):
    """A definition. Rows are never changed: an execution keeps the version that it started with."""

    __tablename__ = "workflow_versions"

    workflow_id: Mapped[UUID] = mapped_column(
        ForeignKey("workflows.id", ondelete="CASCADE"), primary_key=True
    )
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    # nodes, edges, input_schema, output_schema, output_expression, priority, queue and execution_timeout: what
    # is set, named and written as over REST
    graph: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (CheckConstraint("version >= 1", name="version"),)
