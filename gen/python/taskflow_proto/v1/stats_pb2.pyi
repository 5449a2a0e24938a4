import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskflow_proto.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Overview(_message.Message):
    __slots__ = ("time", "tasks", "submit_rate", "finish_rate", "failed_attempt_ratio", "wait_time", "run_time", "oldest_wait", "dead_letters", "workers", "worker_slots", "paused_queues", "schedules", "next_fire_time", "workflows", "executions", "webhooks", "pending_deliveries")
    TIME_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_RATE_FIELD_NUMBER: _ClassVar[int]
    FINISH_RATE_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPT_RATIO_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    OLDEST_WAIT_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTERS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKER_SLOTS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_QUEUES_FIELD_NUMBER: _ClassVar[int]
    SCHEDULES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    EXECUTIONS_FIELD_NUMBER: _ClassVar[int]
    WEBHOOKS_FIELD_NUMBER: _ClassVar[int]
    PENDING_DELIVERIES_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    tasks: TaskCounts
    submit_rate: float
    finish_rate: float
    failed_attempt_ratio: float
    wait_time: DurationStats
    run_time: DurationStats
    oldest_wait: _duration_pb2.Duration
    dead_letters: int
    workers: int
    worker_slots: int
    paused_queues: int
    schedules: ScheduleCounts
    next_fire_time: _timestamp_pb2.Timestamp
    workflows: int
    executions: ExecutionCounts
    webhooks: WebhookCounts
    pending_deliveries: int
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tasks: _Optional[_Union[TaskCounts, _Mapping]] = ..., submit_rate: _Optional[float] = ..., finish_rate: _Optional[float] = ..., failed_attempt_ratio: _Optional[float] = ..., wait_time: _Optional[_Union[DurationStats, _Mapping]] = ..., run_time: _Optional[_Union[DurationStats, _Mapping]] = ..., oldest_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., dead_letters: _Optional[int] = ..., workers: _Optional[int] = ..., worker_slots: _Optional[int] = ..., paused_queues: _Optional[int] = ..., schedules: _Optional[_Union[ScheduleCounts, _Mapping]] = ..., next_fire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., workflows: _Optional[int] = ..., executions: _Optional[_Union[ExecutionCounts, _Mapping]] = ..., webhooks: _Optional[_Union[WebhookCounts, _Mapping]] = ..., pending_deliveries: _Optional[int] = ...) -> None: ...

class TaskCounts(_message.Message):
    __slots__ = ("total", "scheduled", "queued", "running", "retrying", "succeeded", "failed", "cancelled")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    total: int
    scheduled: int
    queued: int
    running: int
    retrying: int
    succeeded: int
    failed: int
    cancelled: int
    def __init__(self, total: _Optional[int] = ..., scheduled: _Optional[int] = ..., queued: _Optional[int] = ..., running: _Optional[int] = ..., retrying: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ...) -> None: ...

class ScheduleCounts(_message.Message):
    __slots__ = ("total", "active", "paused", "completed")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    total: int
    active: int
    paused: int
    completed: int
    def __init__(self, total: _Optional[int] = ..., active: _Optional[int] = ..., paused: _Optional[int] = ..., completed: _Optional[int] = ...) -> None: ...

class ExecutionCounts(_message.Message):
    __slots__ = ("total", "running", "compensating", "succeeded", "failed", "cancelled")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    COMPENSATING_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    total: int
    running: int
    compensating: int
    succeeded: int
    failed: int
    cancelled: int
    def __init__(self, total: _Optional[int] = ..., running: _Optional[int] = ..., compensating: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ...) -> None: ...

class WebhookCounts(_message.Message):
    __slots__ = ("total", "enabled", "disabled", "gone", "failing")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    FAILING_FIELD_NUMBER: _ClassVar[int]
    total: int
    enabled: int
    disabled: int
    gone: int
    failing: int
    def __init__(self, total: _Optional[int] = ..., enabled: _Optional[int] = ..., disabled: _Optional[int] = ..., gone: _Optional[int] = ..., failing: _Optional[int] = ...) -> None: ...

class DurationStats(_message.Message):
    __slots__ = ("count", "average", "p50", "p95", "p99", "max")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    AVERAGE_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P95_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    count: int
    average: _duration_pb2.Duration
    p50: _duration_pb2.Duration
    p95: _duration_pb2.Duration
    p99: _duration_pb2.Duration
    max: _duration_pb2.Duration
    def __init__(self, count: _Optional[int] = ..., average: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p50: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p95: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class TaskStats(_message.Message):
    __slots__ = ("start_time", "end_time", "total", "current", "by_priority", "by_task_type", "by_queue", "throughput")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    BY_PRIORITY_FIELD_NUMBER: _ClassVar[int]
    BY_TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    BY_QUEUE_FIELD_NUMBER: _ClassVar[int]
    THROUGHPUT_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    total: TaskGroupStats
    current: TaskCounts
    by_priority: _containers.RepeatedCompositeFieldContainer[TaskGroupStats]
    by_task_type: _containers.RepeatedCompositeFieldContainer[TaskGroupStats]
    by_queue: _containers.RepeatedCompositeFieldContainer[TaskGroupStats]
    throughput: _containers.RepeatedCompositeFieldContainer[TaskThroughput]
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., total: _Optional[_Union[TaskGroupStats, _Mapping]] = ..., current: _Optional[_Union[TaskCounts, _Mapping]] = ..., by_priority: _Optional[_Iterable[_Union[TaskGroupStats, _Mapping]]] = ..., by_task_type: _Optional[_Iterable[_Union[TaskGroupStats, _Mapping]]] = ..., by_queue: _Optional[_Iterable[_Union[TaskGroupStats, _Mapping]]] = ..., throughput: _Optional[_Iterable[_Union[TaskThroughput, _Mapping]]] = ...) -> None: ...

class TaskGroupStats(_message.Message):
    __slots__ = ("priority", "task_type", "queue", "submitted", "attempts", "retried", "succeeded", "failed", "cancelled", "wait_time", "run_time", "total_time")
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RETRIED_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    WAIT_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TIME_FIELD_NUMBER: _ClassVar[int]
    priority: _task_pb2.Task.Priority
    task_type: str
    queue: str
    submitted: int
    attempts: int
    retried: int
    succeeded: int
    failed: int
    cancelled: int
    wait_time: DurationStats
    run_time: DurationStats
    total_time: DurationStats
    def __init__(self, priority: _Optional[_Union[_task_pb2.Task.Priority, str]] = ..., task_type: _Optional[str] = ..., queue: _Optional[str] = ..., submitted: _Optional[int] = ..., attempts: _Optional[int] = ..., retried: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ..., wait_time: _Optional[_Union[DurationStats, _Mapping]] = ..., run_time: _Optional[_Union[DurationStats, _Mapping]] = ..., total_time: _Optional[_Union[DurationStats, _Mapping]] = ...) -> None: ...

class TaskThroughput(_message.Message):
    __slots__ = ("start_time", "submitted", "attempts", "succeeded", "failed", "cancelled")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    submitted: int
    attempts: int
    succeeded: int
    failed: int
    cancelled: int
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., submitted: _Optional[int] = ..., attempts: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ...) -> None: ...

class QueueStats(_message.Message):
    __slots__ = ("time", "lanes", "workers")
    TIME_FIELD_NUMBER: _ClassVar[int]
    LANES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    lanes: _containers.RepeatedCompositeFieldContainer[LaneStats]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerStats]
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., lanes: _Optional[_Iterable[_Union[LaneStats, _Mapping]]] = ..., workers: _Optional[_Iterable[_Union[WorkerStats, _Mapping]]] = ...) -> None: ...

class LaneStats(_message.Message):
    __slots__ = ("queue", "priority", "queued", "scheduled", "retrying", "running", "oldest_wait", "start_rate", "workers", "paused")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    OLDEST_WAIT_FIELD_NUMBER: _ClassVar[int]
    START_RATE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    queue: str
    priority: _task_pb2.Task.Priority
    queued: int
    scheduled: int
    retrying: int
    running: int
    oldest_wait: _duration_pb2.Duration
    start_rate: float
    workers: int
    paused: bool
    def __init__(self, queue: _Optional[str] = ..., priority: _Optional[_Union[_task_pb2.Task.Priority, str]] = ..., queued: _Optional[int] = ..., scheduled: _Optional[int] = ..., retrying: _Optional[int] = ..., running: _Optional[int] = ..., oldest_wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_rate: _Optional[float] = ..., workers: _Optional[int] = ..., paused: _Optional[bool] = ...) -> None: ...

class WorkerStats(_message.Message):
    __slots__ = ("worker", "queues", "priorities", "slots", "running", "start_time", "heartbeat_time", "draining")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    PRIORITIES_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_TIME_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    worker: str
    queues: _containers.RepeatedScalarFieldContainer[str]
    priorities: _containers.RepeatedScalarFieldContainer[_task_pb2.Task.Priority]
    slots: int
    running: int
    start_time: _timestamp_pb2.Timestamp
    heartbeat_time: _timestamp_pb2.Timestamp
    draining: bool
    def __init__(self, worker: _Optional[str] = ..., queues: _Optional[_Iterable[str]] = ..., priorities: _Optional[_Iterable[_Union[_task_pb2.Task.Priority, str]]] = ..., slots: _Optional[int] = ..., running: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., heartbeat_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., draining: _Optional[bool] = ...) -> None: ...

class ScheduleStats(_message.Message):
    __slots__ = ("start_time", "end_time", "current", "total", "by_schedule")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    BY_SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    current: ScheduleCounts
    total: ScheduleGroupStats
    by_schedule: _containers.RepeatedCompositeFieldContainer[ScheduleGroupStats]
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., current: _Optional[_Union[ScheduleCounts, _Mapping]] = ..., total: _Optional[_Union[ScheduleGroupStats, _Mapping]] = ..., by_schedule: _Optional[_Iterable[_Union[ScheduleGroupStats, _Mapping]]] = ...) -> None: ...

class ScheduleGroupStats(_message.Message):
    __slots__ = ("schedule_id", "name", "fired", "skipped", "missed", "dropped", "refused", "succeeded", "failed", "lateness")
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    FIRED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    LATENESS_FIELD_NUMBER: _ClassVar[int]
    schedule_id: str
    name: str
    fired: int
    skipped: int
    missed: int
    dropped: int
    refused: int
    succeeded: int
    failed: int
    lateness: DurationStats
    def __init__(self, schedule_id: _Optional[str] = ..., name: _Optional[str] = ..., fired: _Optional[int] = ..., skipped: _Optional[int] = ..., missed: _Optional[int] = ..., dropped: _Optional[int] = ..., refused: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., lateness: _Optional[_Union[DurationStats, _Mapping]] = ...) -> None: ...

class WebhookStats(_message.Message):
    __slots__ = ("start_time", "end_time", "current", "total", "by_webhook")
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    BY_WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    current: WebhookCounts
    total: WebhookGroupStats
    by_webhook: _containers.RepeatedCompositeFieldContainer[WebhookGroupStats]
    def __init__(self, start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., current: _Optional[_Union[WebhookCounts, _Mapping]] = ..., total: _Optional[_Union[WebhookGroupStats, _Mapping]] = ..., by_webhook: _Optional[_Iterable[_Union[WebhookGroupStats, _Mapping]]] = ...) -> None: ...

class WebhookGroupStats(_message.Message):
    __slots__ = ("webhook_id", "name", "planned", "succeeded", "failed", "cancelled", "pending", "attempts", "failed_attempts", "latency", "lateness")
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PLANNED_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    LATENESS_FIELD_NUMBER: _ClassVar[int]
    webhook_id: str
    name: str
    planned: int
    succeeded: int
    failed: int
    cancelled: int
    pending: int
    attempts: int
    failed_attempts: int
    latency: DurationStats
    lateness: DurationStats
    def __init__(self, webhook_id: _Optional[str] = ..., name: _Optional[str] = ..., planned: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ..., pending: _Optional[int] = ..., attempts: _Optional[int] = ..., failed_attempts: _Optional[int] = ..., latency: _Optional[_Union[DurationStats, _Mapping]] = ..., lateness: _Optional[_Union[DurationStats, _Mapping]] = ...) -> None: ...
