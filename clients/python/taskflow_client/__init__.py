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
from taskflow_client.executions import (
    ExecutionFinished,
    ExecutionHappened,
    Executions,
    ExecutionSnapshot,
    ExecutionUpdate,
)
from taskflow_client.flow import INDEX, INPUT, ITEM, Expression, Flow, Job, cel
from taskflow_client.new_task import NewTask, RetryPolicy, UniqueKey
from taskflow_client.queues import Queues
from taskflow_client.schedules import Schedules
from taskflow_client.stats import Stats
from taskflow_client.verification import WebhookInvalid, verify_webhook
from taskflow_client.watching import Event, Finished, Snapshot, SnapshotEnd, TenantUpdate, Update
from taskflow_client.webhooks import Webhooks
from taskflow_client.workflows import Workflows
from taskflow_proto.v1.queue_pb2 import Queue, TaskTypeLimit
from taskflow_proto.v1.schedule_pb2 import Schedule, ScheduleFire
from taskflow_proto.v1.schedule_service_pb2 import PreviewedFire
from taskflow_proto.v1.stats_pb2 import (
    DurationStats,
    LaneStats,
    Overview,
    QueueStats,
    TaskGroupStats,
    TaskStats,
)
from taskflow_proto.v1.task_pb2 import Task, TaskAttempt, TaskError, TaskEvent, TaskProgress, TaskType
from taskflow_proto.v1.webhook_pb2 import Delivery, DeliveryAttempt, Webhook, WebhookEvent
from taskflow_proto.v1.workflow_pb2 import Execution, ExecutionEvent, NodeRun, Workflow, WorkflowProblem

__all__ = [
    "INDEX",
    "INPUT",
    "ITEM",
    "Aborted",
    "AlreadyExists",
    "ApiError",
    "DeadlineExceeded",
    "Delivery",
    "DeliveryAttempt",
    "DurationStats",
    "Event",
    "Execution",
    "ExecutionEvent",
    "ExecutionFinished",
    "ExecutionHappened",
    "ExecutionSnapshot",
    "ExecutionUpdate",
    "Executions",
    "Expression",
    "FailedPrecondition",
    "FieldViolation",
    "Finished",
    "Flow",
    "InternalError",
    "InvalidArgument",
    "Job",
    "LaneStats",
    "NewTask",
    "NodeRun",
    "NotFound",
    "OutOfRange",
    "Overview",
    "PermissionDenied",
    "PreviewedFire",
    "Queue",
    "QueueStats",
    "Queues",
    "ResourceExhausted",
    "RetryPolicy",
    "Schedule",
    "ScheduleFire",
    "Schedules",
    "Snapshot",
    "SnapshotEnd",
    "Stats",
    "Task",
    "TaskAttempt",
    "TaskCancelled",
    "TaskEndedBadly",
    "TaskError",
    "TaskEvent",
    "TaskFailed",
    "TaskFlow",
    "TaskGroupStats",
    "TaskProgress",
    "TaskStats",
    "TaskType",
    "TaskTypeLimit",
    "TenantUpdate",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "UniqueKey",
    "Update",
    "Webhook",
    "WebhookEvent",
    "WebhookInvalid",
    "Webhooks",
    "Workflow",
    "WorkflowProblem",
    "Workflows",
    "cel",
    "verify_webhook",
]
