import datetime

from taskflow_proto.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskflow_proto.v1 import retry_policy_pb2 as _retry_policy_pb2
from taskflow_proto.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Schedule(_message.Message):
    __slots__ = ("id", "name", "description", "task_type", "task_name", "workflow_id", "workflow_version", "payload", "payload_json", "payload_expressions", "priority", "queue", "tags", "retry_policy", "attempt_timeout", "expire_after", "schedule_type", "cron_expression", "cron_expressions", "interval", "anchor_time", "run_time", "time_zone", "daylight_saving", "jitter", "start_time", "end_time", "max_runs", "exclude_dates", "exclude_cron_expressions", "overlap_policy", "catch_up_policy", "catch_up_window", "pause_on_failure", "status", "note", "next_fire_time", "last_fire_time", "last_task_id", "last_execution_id", "fire_counts", "create_time", "update_time", "etag")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Schedule.Type]
        CRON: _ClassVar[Schedule.Type]
        INTERVAL: _ClassVar[Schedule.Type]
        ONE_TIME: _ClassVar[Schedule.Type]
    TYPE_UNSPECIFIED: Schedule.Type
    CRON: Schedule.Type
    INTERVAL: Schedule.Type
    ONE_TIME: Schedule.Type
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Schedule.Status]
        ACTIVE: _ClassVar[Schedule.Status]
        PAUSED: _ClassVar[Schedule.Status]
        COMPLETED: _ClassVar[Schedule.Status]
    STATUS_UNSPECIFIED: Schedule.Status
    ACTIVE: Schedule.Status
    PAUSED: Schedule.Status
    COMPLETED: Schedule.Status
    class OverlapPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OVERLAP_POLICY_UNSPECIFIED: _ClassVar[Schedule.OverlapPolicy]
        SKIP: _ClassVar[Schedule.OverlapPolicy]
        BUFFER_ONE: _ClassVar[Schedule.OverlapPolicy]
        BUFFER_ALL: _ClassVar[Schedule.OverlapPolicy]
        CANCEL_OTHER: _ClassVar[Schedule.OverlapPolicy]
        ALLOW_ALL: _ClassVar[Schedule.OverlapPolicy]
    OVERLAP_POLICY_UNSPECIFIED: Schedule.OverlapPolicy
    SKIP: Schedule.OverlapPolicy
    BUFFER_ONE: Schedule.OverlapPolicy
    BUFFER_ALL: Schedule.OverlapPolicy
    CANCEL_OTHER: Schedule.OverlapPolicy
    ALLOW_ALL: Schedule.OverlapPolicy
    class CatchUpPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CATCH_UP_POLICY_UNSPECIFIED: _ClassVar[Schedule.CatchUpPolicy]
        ALL: _ClassVar[Schedule.CatchUpPolicy]
        LATEST: _ClassVar[Schedule.CatchUpPolicy]
        NONE: _ClassVar[Schedule.CatchUpPolicy]
    CATCH_UP_POLICY_UNSPECIFIED: Schedule.CatchUpPolicy
    ALL: Schedule.CatchUpPolicy
    LATEST: Schedule.CatchUpPolicy
    NONE: Schedule.CatchUpPolicy
    class PayloadExpressionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_NAME_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_VERSION_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_JSON_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_AFTER_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_TYPE_FIELD_NUMBER: _ClassVar[int]
    CRON_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    CRON_EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_TIME_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    DAYLIGHT_SAVING_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNS_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_DATES_FIELD_NUMBER: _ClassVar[int]
    EXCLUDE_CRON_EXPRESSIONS_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_POLICY_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_POLICY_FIELD_NUMBER: _ClassVar[int]
    CATCH_UP_WINDOW_FIELD_NUMBER: _ClassVar[int]
    PAUSE_ON_FAILURE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_FIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TASK_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    FIRE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    task_type: str
    task_name: str
    workflow_id: str
    workflow_version: int
    payload: _struct_pb2.Struct
    payload_json: str
    payload_expressions: _containers.ScalarMap[str, str]
    priority: _task_pb2.Task.Priority
    queue: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    retry_policy: _retry_policy_pb2.RetryPolicy
    attempt_timeout: _duration_pb2.Duration
    expire_after: _duration_pb2.Duration
    schedule_type: Schedule.Type
    cron_expression: str
    cron_expressions: _containers.RepeatedScalarFieldContainer[str]
    interval: _duration_pb2.Duration
    anchor_time: _timestamp_pb2.Timestamp
    run_time: _timestamp_pb2.Timestamp
    time_zone: str
    daylight_saving: DaylightSaving
    jitter: _duration_pb2.Duration
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    max_runs: int
    exclude_dates: _containers.RepeatedScalarFieldContainer[str]
    exclude_cron_expressions: _containers.RepeatedScalarFieldContainer[str]
    overlap_policy: Schedule.OverlapPolicy
    catch_up_policy: Schedule.CatchUpPolicy
    catch_up_window: _duration_pb2.Duration
    pause_on_failure: bool
    status: Schedule.Status
    note: str
    next_fire_time: _timestamp_pb2.Timestamp
    last_fire_time: _timestamp_pb2.Timestamp
    last_task_id: str
    last_execution_id: str
    fire_counts: FireCounts
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., task_type: _Optional[str] = ..., task_name: _Optional[str] = ..., workflow_id: _Optional[str] = ..., workflow_version: _Optional[int] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., payload_json: _Optional[str] = ..., payload_expressions: _Optional[_Mapping[str, str]] = ..., priority: _Optional[_Union[_task_pb2.Task.Priority, str]] = ..., queue: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., attempt_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., schedule_type: _Optional[_Union[Schedule.Type, str]] = ..., cron_expression: _Optional[str] = ..., cron_expressions: _Optional[_Iterable[str]] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., anchor_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., time_zone: _Optional[str] = ..., daylight_saving: _Optional[_Union[DaylightSaving, _Mapping]] = ..., jitter: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., max_runs: _Optional[int] = ..., exclude_dates: _Optional[_Iterable[str]] = ..., exclude_cron_expressions: _Optional[_Iterable[str]] = ..., overlap_policy: _Optional[_Union[Schedule.OverlapPolicy, str]] = ..., catch_up_policy: _Optional[_Union[Schedule.CatchUpPolicy, str]] = ..., catch_up_window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., pause_on_failure: _Optional[bool] = ..., status: _Optional[_Union[Schedule.Status, str]] = ..., note: _Optional[str] = ..., next_fire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_fire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_task_id: _Optional[str] = ..., last_execution_id: _Optional[str] = ..., fire_counts: _Optional[_Union[FireCounts, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class DaylightSaving(_message.Message):
    __slots__ = ("gap", "fold")
    class Gap(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        GAP_UNSPECIFIED: _ClassVar[DaylightSaving.Gap]
        SHIFT_FIXED_HOURS: _ClassVar[DaylightSaving.Gap]
        SHIFT: _ClassVar[DaylightSaving.Gap]
        SKIP: _ClassVar[DaylightSaving.Gap]
    GAP_UNSPECIFIED: DaylightSaving.Gap
    SHIFT_FIXED_HOURS: DaylightSaving.Gap
    SHIFT: DaylightSaving.Gap
    SKIP: DaylightSaving.Gap
    class Fold(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FOLD_UNSPECIFIED: _ClassVar[DaylightSaving.Fold]
        ONCE_FOR_FIXED_HOURS: _ClassVar[DaylightSaving.Fold]
        FIRST: _ClassVar[DaylightSaving.Fold]
        LAST: _ClassVar[DaylightSaving.Fold]
        BOTH: _ClassVar[DaylightSaving.Fold]
    FOLD_UNSPECIFIED: DaylightSaving.Fold
    ONCE_FOR_FIXED_HOURS: DaylightSaving.Fold
    FIRST: DaylightSaving.Fold
    LAST: DaylightSaving.Fold
    BOTH: DaylightSaving.Fold
    GAP_FIELD_NUMBER: _ClassVar[int]
    FOLD_FIELD_NUMBER: _ClassVar[int]
    gap: DaylightSaving.Gap
    fold: DaylightSaving.Fold
    def __init__(self, gap: _Optional[_Union[DaylightSaving.Gap, str]] = ..., fold: _Optional[_Union[DaylightSaving.Fold, str]] = ...) -> None: ...

class FireCounts(_message.Message):
    __slots__ = ("fired", "caught_up", "skipped", "missed", "dropped", "buffered", "triggered", "backfilled", "failed")
    FIRED_FIELD_NUMBER: _ClassVar[int]
    CAUGHT_UP_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    BUFFERED_FIELD_NUMBER: _ClassVar[int]
    TRIGGERED_FIELD_NUMBER: _ClassVar[int]
    BACKFILLED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    fired: int
    caught_up: int
    skipped: int
    missed: int
    dropped: int
    buffered: int
    triggered: int
    backfilled: int
    failed: int
    def __init__(self, fired: _Optional[int] = ..., caught_up: _Optional[int] = ..., skipped: _Optional[int] = ..., missed: _Optional[int] = ..., dropped: _Optional[int] = ..., buffered: _Optional[int] = ..., triggered: _Optional[int] = ..., backfilled: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...

class ScheduleFire(_message.Message):
    __slots__ = ("schedule_id", "fire_time", "outcome", "trigger", "actual_time", "start_time", "run_number", "task_id", "execution_id", "reason")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[ScheduleFire.Outcome]
        FIRED: _ClassVar[ScheduleFire.Outcome]
        BUFFERED: _ClassVar[ScheduleFire.Outcome]
        SKIPPED: _ClassVar[ScheduleFire.Outcome]
        MISSED: _ClassVar[ScheduleFire.Outcome]
        DROPPED: _ClassVar[ScheduleFire.Outcome]
        REFUSED: _ClassVar[ScheduleFire.Outcome]
    OUTCOME_UNSPECIFIED: ScheduleFire.Outcome
    FIRED: ScheduleFire.Outcome
    BUFFERED: ScheduleFire.Outcome
    SKIPPED: ScheduleFire.Outcome
    MISSED: ScheduleFire.Outcome
    DROPPED: ScheduleFire.Outcome
    REFUSED: ScheduleFire.Outcome
    class Trigger(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TRIGGER_UNSPECIFIED: _ClassVar[ScheduleFire.Trigger]
        TIME: _ClassVar[ScheduleFire.Trigger]
        CATCH_UP: _ClassVar[ScheduleFire.Trigger]
        MANUAL: _ClassVar[ScheduleFire.Trigger]
        BACKFILL: _ClassVar[ScheduleFire.Trigger]
    TRIGGER_UNSPECIFIED: ScheduleFire.Trigger
    TIME: ScheduleFire.Trigger
    CATCH_UP: ScheduleFire.Trigger
    MANUAL: ScheduleFire.Trigger
    BACKFILL: ScheduleFire.Trigger
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    FIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    TRIGGER_FIELD_NUMBER: _ClassVar[int]
    ACTUAL_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    RUN_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    schedule_id: str
    fire_time: _timestamp_pb2.Timestamp
    outcome: ScheduleFire.Outcome
    trigger: ScheduleFire.Trigger
    actual_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    run_number: int
    task_id: str
    execution_id: str
    reason: str
    def __init__(self, schedule_id: _Optional[str] = ..., fire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[_Union[ScheduleFire.Outcome, str]] = ..., trigger: _Optional[_Union[ScheduleFire.Trigger, str]] = ..., actual_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., run_number: _Optional[int] = ..., task_id: _Optional[str] = ..., execution_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
