"""The connection: what is retried, how a dead one is noticed, and how large a message may be."""

import json
from collections.abc import Sequence

import grpc

MESSAGE_BYTES = 16 * 1024 * 1024
# Repeating these changes nothing: they read, or carry a request id, or say what is to be, not what to do.
RETRIED = {
    "taskflow.v1.TaskService": (
        "CreateTask",
        "BatchCreateTasks",
        "GetTask",
        "ListTasks",
        "CancelTask",
        "WaitTask",
        "GetTaskResult",
        "ListTaskEvents",
        "ListTaskAttempts",
        "ListTaskTypes",
    ),
    "taskflow.v1.ScheduleService": (
        "CreateSchedule",
        "GetSchedule",
        "ListSchedules",
        "PauseSchedule",
        "ResumeSchedule",
        "TriggerSchedule",
        "PreviewSchedule",
        "ListScheduleFires",
    ),
}
SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in RETRIED.items()
                for method in methods
            ],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def open_channel(
    address: str, credentials: grpc.ChannelCredentials | None, *, retries: bool
) -> grpc.aio.Channel:
    """A channel to `host:port`; it connects at the first call. Without credentials it is plain text."""
    options = _options(retries=retries)
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials, options=options)


def _options(*, retries: bool) -> Sequence[tuple[str, str | int]]:
    return [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.enable_retries", int(retries)),
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        # A watch may be silent for long: pings tell a quiet server from a dead one. Servers take them
        # every 20 s at most.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        # The default waits up to two minutes before it looks for a server that came back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
    ]
