"""Webhooks and their deliveries. No secret passes here but the one that its caller adds."""

from collections.abc import Sequence

from taskflow_core.etags import etag_of
from taskflow_core.tasks.rows import Row
from taskflow_core.webhooks.checks import MASK
from taskflow_core.webhooks.definition import WithSecret
from taskflow_proto.v1 import webhook_pb2
from taskflow_server.pack.values import duration, id_text, retry_policy, timestamp

Delivery = webhook_pb2.Delivery
DeliveryAttempt = webhook_pb2.DeliveryAttempt


def webhook(row: Row) -> webhook_pb2.Webhook:
    """A webhook; the values of its headers are masked."""
    return webhook_pb2.Webhook(
        id=id_text(row["id"]),
        name=row["name"],
        description=row["description"],
        url=row["url"],
        event_types=row["event_types"],
        condition=row["condition"],
        headers=dict.fromkeys(row["header_names"], MASK),
        signature_scheme=row["signature_scheme"],
        retry_policy=retry_policy(row["retry_policy"]) if row["retry_policy"] else None,
        request_timeout=duration(row["request_timeout"]),
        max_concurrency=row["max_concurrency"],
        ordered=row["ordered"],
        disable_after=duration(row["disable_after"]),
        status=row["status"],
        note=row["note"],
        public_key=row["public_key"],
        previous_secret_expire_time=timestamp(row["previous_secret_expires_at"]),
        last_success_time=timestamp(row["last_success_at"]),
        failing_since_time=timestamp(row["failing_since"]),
        consecutive_failures=row["consecutive_failures"],
        circuit_open_until_time=timestamp(row["circuit_open_until"]),
        create_time=timestamp(row["created_at"]),
        update_time=timestamp(row["updated_at"]),
        etag=etag_of(row),
    )


def webhook_with_secret(made: WithSecret) -> webhook_pb2.Webhook:
    """A webhook that was just made or rotated, with its secret, this once."""
    message = webhook(made.row)
    message.secret = made.secret
    return message


def delivery(row: Row) -> webhook_pb2.Delivery:
    """A delivery, without body and attempts."""
    return Delivery(
        id=str(row["id"]),
        webhook_id=str(row["webhook_id"]),
        event_type=row["event_type"],
        event_time=timestamp(row["event_time"]),
        sequence=row["sequence"],
        task_id=id_text(row["task_id"]),
        execution_id=id_text(row["execution_id"]),
        schedule_id=id_text(row["schedule_id"]),
        test=row["test"],
        status=row["status"],
        attempt=row["attempt"],
        response_status=row["response_status"],
        error=row["error"],
        create_time=timestamp(row["created_at"]),
        end_time=timestamp(row["ended_at"]),
        next_attempt_time=timestamp(row["due_at"]) if row["status"] == "RETRYING" else None,
    )


def whole_delivery(row: Row, body: bytes, attempts: Sequence[Row]) -> webhook_pb2.Delivery:
    """A delivery with everything."""
    message = delivery(row)
    message.body_json = body.decode()
    message.attempts.extend(_attempt(attempt) for attempt in attempts)
    if row["status"] == "SENDING":
        message.attempts.add(attempt=row["attempt"], start_time=timestamp(row["started_at"]))
    return message


def _attempt(row: Row) -> webhook_pb2.DeliveryAttempt:
    return DeliveryAttempt(
        attempt=row["attempt"],
        outcome=row["outcome"],
        error=row["error"],
        url=row["url"],
        remote_address=row["remote_address"],
        request_headers=row["request_headers"],
        response_status=row["response_status"],
        response_headers=row["response_headers"],
        response_body=row["response_body"],
        response_truncated=row["response_truncated"],
        start_time=timestamp(row["started_at"]),
        latency=duration(row["latency"]),
    )
