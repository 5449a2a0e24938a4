"""Webhooks, what is on its way to them, and each attempt to send it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from taskflow_core.models.base import Base, TransactionId, is_one_of, listed
from taskflow_core.states import (
    DELIVERY_FINAL,
    DELIVERY_WAITING,
    DeliveryOutcome,
    DeliveryStatus,
    SignatureScheme,
    WebhookStatus,
)

DELIVERY_IS_WAITING = f"status IN ({listed(DELIVERY_WAITING)})"
DELIVERY_IS_FINAL = f"status IN ({listed(DELIVERY_FINAL)})"


class Webhook(Base):
    """An address that is told of events. Secrets and header values are encrypted: see webhooks/secrets.py."""

    __tablename__ = "webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default=text("''"))
    url: Mapped[str]
    event_types: Mapped[list[str]]
    condition: Mapped[str] = mapped_column(server_default=text("''"))  # CEL
    header_names: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    headers: Mapped[bytes | None] = mapped_column(LargeBinary)  # of a JSON object
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    previous_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    previous_secret_expires_at: Mapped[datetime | None]
    signature_scheme: Mapped[str]
    public_key: Mapped[str] = mapped_column(server_default=text("''"))
    retry_policy: Mapped[dict[str, Any] | None]  # only what the caller set
    request_timeout: Mapped[float]  # seconds
    max_concurrency: Mapped[int] = mapped_column(Integer)
    ordered: Mapped[bool]
    disable_after: Mapped[float]  # seconds

    status: Mapped[str] = mapped_column(server_default=text(f"'{WebhookStatus.ENABLED}'"))
    note: Mapped[str] = mapped_column(server_default=text("''"))
    last_success_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    consecutive_failures: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    circuit_open_until: Mapped[datetime | None]

    request_id: Mapped[str | None]
    request_digest: Mapped[str | None]
    revision: Mapped[int] = mapped_column(Integer, server_default=text("1"))  # counts changes by callers
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))

    __table_args__ = (
        CheckConstraint(is_one_of("status", WebhookStatus), name="status"),
        CheckConstraint(is_one_of("signature_scheme", SignatureScheme), name="signature_scheme"),
        # What every event looks at.
        Index("webhooks_enabled", "tenant_id", postgresql_where=text("status = 'ENABLED'")),
        Index("webhooks_created", "tenant_id", "created_at", "id"),
        Index(
            "webhooks_request_id",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        # How it fares is written again and again.
        {"postgresql_with": {"fillfactor": "70"}},
    )


class WebhookDelivery(Base):
    """One event on its way to one webhook. No foreign keys: the trigger on events writes here."""

    __tablename__ = "webhook_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    tenant_id: Mapped[str]
    webhook_id: Mapped[UUID]
    event_type: Mapped[str]
    event_time: Mapped[datetime]
    sequence: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    subject_id: Mapped[UUID]  # the task, schedule, execution or webhook; with the number it names the event
    task_id: Mapped[UUID | None]
    execution_id: Mapped[UUID | None]
    schedule_id: Mapped[UUID | None]
    test: Mapped[bool] = mapped_column(server_default=text("false"))
    data: Mapped[dict[str, Any]]  # rows as they were then, by kind: see webhooks/envelope.py
    event_xid: Mapped[int] = mapped_column(TransactionId, server_default=text("pg_current_xact_id()"))

    status: Mapped[str] = mapped_column(server_default=text(f"'{DeliveryStatus.PENDING}'"))
    attempt: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # attempts started: the fence
    attempts_before: Mapped[int] = mapped_column(Integer, server_default=text("0"))  # the last redelivery
    due_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started_at: Mapped[datetime | None]  # of the attempt that is under way
    lease_until: Mapped[datetime | None]
    response_status: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    error: Mapped[str] = mapped_column(server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(is_one_of("status", DeliveryStatus), name="status"),
        CheckConstraint("(lease_until IS NOT NULL) = (status = 'SENDING')", name="sending"),
        CheckConstraint(f"(ended_at IS NOT NULL) = ({DELIVERY_IS_FINAL})", name="ended"),
        # An event is planned once for each webhook.
        Index(
            "webhook_deliveries_event",
            "webhook_id",
            "subject_id",
            "event_type",
            "sequence",
            "event_time",
            unique=True,
            postgresql_where=text("NOT test"),
        ),
        # What deliverers walk.
        Index(
            "webhook_deliveries_due",
            "webhook_id",
            "due_at",
            "id",
            postgresql_where=text(f"{DELIVERY_IS_WAITING} AND NOT test"),
        ),
        Index(
            "webhook_deliveries_sending",
            "webhook_id",
            "lease_until",
            postgresql_where=text("status = 'SENDING'"),
        ),
        Index(
            "webhook_deliveries_unfinished",
            "webhook_id",
            "id",
            postgresql_where=text(f"NOT ({DELIVERY_IS_FINAL}) AND NOT test"),
        ),
        Index("webhook_deliveries_tests", "due_at", postgresql_where=text("test AND status = 'PENDING'")),
        # What callers list by, and what retention walks.
        Index("webhook_deliveries_created", "webhook_id", "created_at", "id"),
        Index("webhook_deliveries_ended", "ended_at", "id", postgresql_where=text("ended_at IS NOT NULL")),
        {
            "postgresql_with": {
                "fillfactor": "80",
                "autovacuum_vacuum_scale_factor": "0.02",
                "autovacuum_analyze_scale_factor": "0.02",
            }
        },
    )


class WebhookAttempt(Base):
    """One ended request to a webhook. One that is under way is in the row of its delivery."""

    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    attempt: Mapped[int] = mapped_column(Integer, primary_key=True)
    webhook_id: Mapped[UUID]
    outcome: Mapped[str]
    error: Mapped[str]
    url: Mapped[str]
    remote_address: Mapped[str]
    request_headers: Mapped[dict[str, Any]]
    response_status: Mapped[int] = mapped_column(Integer)
    response_headers: Mapped[dict[str, Any]]
    response_body: Mapped[str]
    response_truncated: Mapped[bool]
    started_at: Mapped[datetime]
    latency: Mapped[float]  # seconds

    __table_args__ = (CheckConstraint(is_one_of("outcome", DeliveryOutcome), name="outcome"),)
