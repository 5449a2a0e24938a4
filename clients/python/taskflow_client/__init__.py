"""TaskFlow from Python: submit work, wait for it, watch it live."""

from taskflow_client.client import TaskFlow
from taskflow_client.errors import (
    Aborted,
    AlreadyExists,
    ApiError,
    DeadlineExceeded,
    FailedPrecondition,
    FieldViolation,
    InternalError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    TaskCancelled,
    TaskEndedBadly,
    TaskFailed,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from taskflow_client.new_task import NewTask, RetryPolicy, UniqueKey
from taskflow_client.queues import Queues
from taskflow_client.schedules import Schedules
from taskflow_client.watching import Event, Finished, Snapshot, Update
from taskflow_proto.v1.queue_pb2 import Queue, TaskTypeLimit
from taskflow_proto.v1.schedule_pb2 import Schedule, ScheduleFire
from taskflow_proto.v1.schedule_service_pb2 import PreviewedFire
from taskflow_proto.v1.task_pb2 import Task, TaskAttempt, TaskError, TaskEvent, TaskProgress, TaskType

__all__ = [
    "Aborted",
    "AlreadyExists",
    "ApiError",
    "DeadlineExceeded",
    "Event",
    "FailedPrecondition",
    "FieldViolation",
    "Finished",
    "InternalError",
    "InvalidArgument",
    "NewTask",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "PreviewedFire",
    "Queue",
    "Queues",
    "ResourceExhausted",
    "RetryPolicy",
    "Schedule",
    "ScheduleFire",
    "Schedules",
    "Snapshot",
    "Task",
    "TaskAttempt",
    "TaskCancelled",
    "TaskEndedBadly",
    "TaskError",
    "TaskEvent",
    "TaskFailed",
    "TaskFlow",
    "TaskProgress",
    "TaskType",
    "TaskTypeLimit",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UniqueKey",
    "Update",
]
