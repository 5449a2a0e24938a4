import datetime

from taskflow_proto.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskflow_proto.v1 import retry_policy_pb2 as _retry_policy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Task(_message.Message):
    __slots__ = ("id", "name", "task_type", "priority", "queue", "payload", "payload_json", "tags", "retry_policy", "attempt_timeout", "schedule_time", "expire_time", "unique_key", "status", "progress", "result", "result_json", "error", "attempt", "failed_attempts", "cancel_requested", "last_sequence", "result_url", "create_time", "start_time", "end_time", "next_attempt_time", "schedule_id", "execution_id", "node_id")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Task.Status]
        SCHEDULED: _ClassVar[Task.Status]
        QUEUED: _ClassVar[Task.Status]
        RUNNING: _ClassVar[Task.Status]
        RETRYING: _ClassVar[Task.Status]
        SUCCEEDED: _ClassVar[Task.Status]
        FAILED: _ClassVar[Task.Status]
        CANCELLED: _ClassVar[Task.Status]
    STATUS_UNSPECIFIED: Task.Status
    SCHEDULED: Task.Status
    QUEUED: Task.Status
    RUNNING: Task.Status
    RETRYING: Task.Status
    SUCCEEDED: Task.Status
    FAILED: Task.Status
    CANCELLED: Task.Status
    class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PRIORITY_UNSPECIFIED: _ClassVar[Task.Priority]
        CRITICAL: _ClassVar[Task.Priority]
        HIGH: _ClassVar[Task.Priority]
        NORMAL: _ClassVar[Task.Priority]
        LOW: _ClassVar[Task.Priority]
    PRIORITY_UNSPECIFIED: Task.Priority
    CRITICAL: Task.Priority
    HIGH: Task.Priority
    NORMAL: Task.Priority
    LOW: Task.Priority
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    UNIQUE_KEY_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_URL_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    task_type: str
    priority: Task.Priority
    queue: str
    payload: _struct_pb2.Struct
    payload_json: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    retry_policy: _retry_policy_pb2.RetryPolicy
    attempt_timeout: _duration_pb2.Duration
    schedule_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    unique_key: UniqueKey
    status: Task.Status
    progress: TaskProgress
    result: _struct_pb2.Value
    result_json: str
    error: TaskError
    attempt: int
    failed_attempts: int
    cancel_requested: bool
    last_sequence: int
    result_url: str
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    next_attempt_time: _timestamp_pb2.Timestamp
    schedule_id: str
    execution_id: str
    node_id: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., task_type: _Optional[str] = ..., priority: _Optional[_Union[Task.Priority, str]] = ..., queue: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., payload_json: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., attempt_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., schedule_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., unique_key: _Optional[_Union[UniqueKey, _Mapping]] = ..., status: _Optional[_Union[Task.Status, str]] = ..., progress: _Optional[_Union[TaskProgress, _Mapping]] = ..., result: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., result_json: _Optional[str] = ..., error: _Optional[_Union[TaskError, _Mapping]] = ..., attempt: _Optional[int] = ..., failed_attempts: _Optional[int] = ..., cancel_requested: _Optional[bool] = ..., last_sequence: _Optional[int] = ..., result_url: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., schedule_id: _Optional[str] = ..., execution_id: _Optional[str] = ..., node_id: _Optional[str] = ...) -> None: ...

class UniqueKey(_message.Message):
    __slots__ = ("key", "scope", "on_conflict")
    class Scope(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SCOPE_UNSPECIFIED: _ClassVar[UniqueKey.Scope]
        UNFINISHED: _ClassVar[UniqueKey.Scope]
        WAITING: _ClassVar[UniqueKey.Scope]
    SCOPE_UNSPECIFIED: UniqueKey.Scope
    UNFINISHED: UniqueKey.Scope
    WAITING: UniqueKey.Scope
    class OnConflict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ON_CONFLICT_UNSPECIFIED: _ClassVar[UniqueKey.OnConflict]
        REJECT: _ClassVar[UniqueKey.OnConflict]
        RETURN_EXISTING: _ClassVar[UniqueKey.OnConflict]
        REPLACE_QUEUED: _ClassVar[UniqueKey.OnConflict]
    ON_CONFLICT_UNSPECIFIED: UniqueKey.OnConflict
    REJECT: UniqueKey.OnConflict
    RETURN_EXISTING: UniqueKey.OnConflict
    REPLACE_QUEUED: UniqueKey.OnConflict
    KEY_FIELD_NUMBER: _ClassVar[int]
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    ON_CONFLICT_FIELD_NUMBER: _ClassVar[int]
    key: str
    scope: UniqueKey.Scope
    on_conflict: UniqueKey.OnConflict
    def __init__(self, key: _Optional[str] = ..., scope: _Optional[_Union[UniqueKey.Scope, str]] = ..., on_conflict: _Optional[_Union[UniqueKey.OnConflict, str]] = ...) -> None: ...

class TaskProgress(_message.Message):
    __slots__ = ("percent", "message", "current", "total", "unit")
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    percent: float
    message: str
    current: float
    total: float
    unit: str
    def __init__(self, percent: _Optional[float] = ..., message: _Optional[str] = ..., current: _Optional[float] = ..., total: _Optional[float] = ..., unit: _Optional[str] = ...) -> None: ...

class TaskError(_message.Message):
    __slots__ = ("type", "message", "stack_trace", "attempt")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STACK_TRACE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    type: str
    message: str
    stack_trace: str
    attempt: int
    def __init__(self, type: _Optional[str] = ..., message: _Optional[str] = ..., stack_trace: _Optional[str] = ..., attempt: _Optional[int] = ...) -> None: ...

class TaskAttempt(_message.Message):
    __slots__ = ("task_id", "attempt", "outcome", "error", "worker", "start_time", "end_time")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[TaskAttempt.Outcome]
        SUCCEEDED: _ClassVar[TaskAttempt.Outcome]
        FAILED: _ClassVar[TaskAttempt.Outcome]
        CANCELLED: _ClassVar[TaskAttempt.Outcome]
        RELEASED: _ClassVar[TaskAttempt.Outcome]
        LOST: _ClassVar[TaskAttempt.Outcome]
    OUTCOME_UNSPECIFIED: TaskAttempt.Outcome
    SUCCEEDED: TaskAttempt.Outcome
    FAILED: TaskAttempt.Outcome
    CANCELLED: TaskAttempt.Outcome
    RELEASED: TaskAttempt.Outcome
    LOST: TaskAttempt.Outcome
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    attempt: int
    outcome: TaskAttempt.Outcome
    error: TaskError
    worker: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, task_id: _Optional[str] = ..., attempt: _Optional[int] = ..., outcome: _Optional[_Union[TaskAttempt.Outcome, str]] = ..., error: _Optional[_Union[TaskError, _Mapping]] = ..., worker: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TaskEvent(_message.Message):
    __slots__ = ("task_id", "sequence", "kind", "event_time", "status", "attempt", "actor", "progress", "error", "message", "next_attempt_time")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[TaskEvent.Kind]
        CREATED: _ClassVar[TaskEvent.Kind]
        QUEUED: _ClassVar[TaskEvent.Kind]
        STARTED: _ClassVar[TaskEvent.Kind]
        PROGRESS: _ClassVar[TaskEvent.Kind]
        LOG: _ClassVar[TaskEvent.Kind]
        RETRYING: _ClassVar[TaskEvent.Kind]
        RELEASED: _ClassVar[TaskEvent.Kind]
        CANCEL_REQUESTED: _ClassVar[TaskEvent.Kind]
        SUCCEEDED: _ClassVar[TaskEvent.Kind]
        FAILED: _ClassVar[TaskEvent.Kind]
        CANCELLED: _ClassVar[TaskEvent.Kind]
        REPLAYED: _ClassVar[TaskEvent.Kind]
        DISCARDED: _ClassVar[TaskEvent.Kind]
    KIND_UNSPECIFIED: TaskEvent.Kind
    CREATED: TaskEvent.Kind
    QUEUED: TaskEvent.Kind
    STARTED: TaskEvent.Kind
    PROGRESS: TaskEvent.Kind
    LOG: TaskEvent.Kind
    RETRYING: TaskEvent.Kind
    RELEASED: TaskEvent.Kind
    CANCEL_REQUESTED: TaskEvent.Kind
    SUCCEEDED: TaskEvent.Kind
    FAILED: TaskEvent.Kind
    CANCELLED: TaskEvent.Kind
    REPLAYED: TaskEvent.Kind
    DISCARDED: TaskEvent.Kind
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    task_id: str
    sequence: int
    kind: TaskEvent.Kind
    event_time: _timestamp_pb2.Timestamp
    status: Task.Status
    attempt: int
    actor: str
    progress: TaskProgress
    error: TaskError
    message: str
    next_attempt_time: _timestamp_pb2.Timestamp
    def __init__(self, task_id: _Optional[str] = ..., sequence: _Optional[int] = ..., kind: _Optional[_Union[TaskEvent.Kind, str]] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., status: _Optional[_Union[Task.Status, str]] = ..., attempt: _Optional[int] = ..., actor: _Optional[str] = ..., progress: _Optional[_Union[TaskProgress, _Mapping]] = ..., error: _Optional[_Union[TaskError, _Mapping]] = ..., message: _Optional[str] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class TaskType(_message.Message):
    __slots__ = ("name", "description", "workers", "attempt_timeout", "retry_policy", "queues")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    workers: int
    attempt_timeout: _duration_pb2.Duration
    retry_policy: _retry_policy_pb2.RetryPolicy
    queues: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., workers: _Optional[int] = ..., attempt_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., queues: _Optional[_Iterable[str]] = ...) -> None: ...
