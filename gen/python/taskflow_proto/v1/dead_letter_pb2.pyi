import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskflow_proto.v1 import task_pb2 as _task_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DeadLetter(_message.Message):
    __slots__ = ("task", "cause", "fingerprint", "dead_time", "replay_count")
    class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CAUSE_UNSPECIFIED: _ClassVar[DeadLetter.Cause]
        EXHAUSTED: _ClassVar[DeadLetter.Cause]
        NOT_RETRYABLE: _ClassVar[DeadLetter.Cause]
        CRASH_LOOP: _ClassVar[DeadLetter.Cause]
    CAUSE_UNSPECIFIED: DeadLetter.Cause
    EXHAUSTED: DeadLetter.Cause
    NOT_RETRYABLE: DeadLetter.Cause
    CRASH_LOOP: DeadLetter.Cause
    TASK_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    DEAD_TIME_FIELD_NUMBER: _ClassVar[int]
    REPLAY_COUNT_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    cause: DeadLetter.Cause
    fingerprint: str
    dead_time: _timestamp_pb2.Timestamp
    replay_count: int
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ..., cause: _Optional[_Union[DeadLetter.Cause, str]] = ..., fingerprint: _Optional[str] = ..., dead_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., replay_count: _Optional[int] = ...) -> None: ...

class DeadLetterGroup(_message.Message):
    __slots__ = ("fingerprint", "count", "error_type", "task_types", "queues", "first_time", "last_time", "sample")
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPES_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    count: int
    error_type: str
    task_types: _containers.RepeatedScalarFieldContainer[str]
    queues: _containers.RepeatedScalarFieldContainer[str]
    first_time: _timestamp_pb2.Timestamp
    last_time: _timestamp_pb2.Timestamp
    sample: DeadLetter
    def __init__(self, fingerprint: _Optional[str] = ..., count: _Optional[int] = ..., error_type: _Optional[str] = ..., task_types: _Optional[_Iterable[str]] = ..., queues: _Optional[_Iterable[str]] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sample: _Optional[_Union[DeadLetter, _Mapping]] = ...) -> None: ...
