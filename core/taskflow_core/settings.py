"""The settings of every process, read once from `TASKFLOW_*` and handed down."""

from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB = 1024
MIB = 1024 * KIB
DAY = 24 * 60 * 60.0  # seconds


class Settings(BaseSettings):
    """One frozen object. `TASKFLOW_DATABASE_URL` sets `database_url`, and so on."""

    model_config = SettingsConfigDict(env_prefix="TASKFLOW_", frozen=True)

    # Where things are
    database_url: str = "postgresql://taskflow:taskflow@127.0.0.1:5432/taskflow"
    redis_url: str = "redis://127.0.0.1:6379/0"
    database_pool_size: int = Field(default=8, ge=2, description="connections per process")
    database_timeout: float = Field(
        default=28, gt=0, description="seconds for one statement; then its connection is given up"
    )
    result_store: str = Field(
        default="",
        description="URL of where large results lie: file:///folder, s3://bucket/folder, gs://bucket/folder,"
        " az://container/folder; the same for all processes. Empty: large results are refused."
        " Credentials come from the usual variables, such as AWS_ACCESS_KEY_ID or AZURE_STORAGE_ACCOUNT_NAME",
    )

    # The log
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    # The server
    grpc_host: str = "127.0.0.1"
    grpc_port: int = Field(default=50051, ge=0, le=65535)
    default_tenant: str = "default"
    max_concurrent_calls: int = Field(default=1000, ge=1, description="unary calls at once, per process")
    max_watches: int = Field(default=10_000, ge=1, description="open streams, per process")
    call_timeout: float = Field(default=30, gt=0, description="seconds a unary call may take at most")
    max_connection_age: float = Field(
        default=300, gt=0, description="seconds, then new calls take a new connection; balancers need it"
    )
    health_interval: float = Field(default=2, gt=0, description="seconds between two probes of what we need")
    reflection: bool = Field(default=True, description="tell grpcurl and the like what can be called")
    drain_delay: float = Field(default=3, ge=0, description="seconds as NOT_SERVING before calls are refused")
    drain_grace: float = Field(default=20, ge=0, description="seconds for calls to end after that")
    keep_alive_interval: float = Field(default=15, gt=0, description="seconds of silence on a stream")
    max_watch_duration: float = Field(default=1800, gt=0, description="seconds, then the client reconnects")
    slow_reader_patience: float = Field(
        default=30, gt=0, description="seconds a message may lie untaken; then the stream ends"
    )
    secret_key: str = Field(
        default="",
        repr=False,
        description="signs page tokens and encrypts secrets of webhooks, the same in every process; default: made"
        " from database_url, whose change then makes the secrets unreadable",
    )

    # Limits
    max_message_bytes: int = Field(default=16 * MIB, ge=MIB, description="one gRPC message")
    max_payload_bytes: int = Field(default=MIB, ge=1, description="payload of a task, as JSON text")
    max_result_bytes: int = Field(default=64 * MIB, ge=1, description="result of a task, as JSON text")
    result_inline_bytes: int = Field(
        default=64 * KIB, ge=1, description="of a result in the database; larger ones go to result_store"
    )

    # The worker
    worker_slots: int = Field(default=100, ge=1, description="attempts at once, per worker process")
    lease_seconds: float = Field(default=10, gt=0, description="a silent worker is dead after this")
    heartbeat_seconds: float = Field(default=2, gt=0)
    worker_drain_grace: float = Field(default=20, ge=0, description="seconds for handlers to end on SIGTERM")
    cancel_grace: float = Field(default=5, ge=0, description="seconds for a cancelled handler to stop")
    attempt_timeout: float = Field(default=300, gt=0, description="seconds, where neither task nor type says")
    max_crashes: int = Field(default=3, ge=1, description="lost workers before a task is a dead letter")
    process_pool_size: int = Field(
        default=2, ge=1, description="processes for CPU-bound handlers, per worker"
    )
    sweep_seconds: float = Field(default=1, gt=0, description="between two sweeps of the scheduler")
    stats_seconds: float = Field(default=2, gt=0, description="between two counts of what the log has new")

    # Retention
    retention_seconds: float = Field(default=30 * DAY, gt=0, description="that a finished task is kept")
    dead_letter_retention_seconds: float = Field(
        default=90 * DAY, gt=0, description="that a dead letter is kept, unless replayed or discarded"
    )
    retention_interval: float = Field(default=60, gt=0, description="seconds between two clean-ups")

    # Webhooks; where they may go is said below, by http_allow_private and http_allow_networks
    webhook_allow_http: bool = Field(
        default=False, description="allow http, not only https, URLs of webhooks"
    )
    webhook_slots: int = Field(
        default=200, ge=1, description="requests to webhooks at once, per worker process"
    )
    delivery_lease_grace: float = Field(
        default=15,
        gt=0,
        description="seconds over its timeout after which an unsettled request counts as lost",
    )
    delivery_retention_seconds: float = Field(default=30 * DAY, gt=0, description="that a delivery is kept")

    # Built-in handlers
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=25, ge=1, le=65535)
    smtp_username: str = ""
    smtp_password: str = Field(default="", repr=False)
    smtp_start_tls: bool | None = Field(default=None, description="None: if the server offers it")
    email_from: str = "taskflow@localhost"
    http_allow_private: bool = Field(
        default=False,
        description="let http_request and webhooks reach loopback, private and link-local addresses",
    )
    http_allow_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        default=(), description='what they may reach all the same, as JSON: ["10.2.0.0/16"]'
    )
    http_max_response_bytes: int = Field(default=MIB, ge=1, description="body of an http_request answer")
