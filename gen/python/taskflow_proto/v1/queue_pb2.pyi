import datetime

from taskflow_proto.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Queue(_message.Message):
    __slots__ = ("name", "max_concurrency", "max_rate", "task_type_limits", "status", "note", "update_time", "etag")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Queue.Status]
        ACTIVE: _ClassVar[Queue.Status]
        PAUSED: _ClassVar[Queue.Status]
    STATUS_UNSPECIFIED: Queue.Status
    ACTIVE: Queue.Status
    PAUSED: Queue.Status
    NAME_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MAX_RATE_FIELD_NUMBER: _ClassVar[int]
    TASK_TYPE_LIMITS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    max_concurrency: int
    max_rate: float
    task_type_limits: _containers.RepeatedCompositeFieldContainer[TaskTypeLimit]
    status: Queue.Status
    note: str
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, name: _Optional[str] = ..., max_concurrency: _Optional[int] = ..., max_rate: _Optional[float] = ..., task_type_limits: _Optional[_Iterable[_Union[TaskTypeLimit, _Mapping]]] = ..., status: _Optional[_Union[Queue.Status, str]] = ..., note: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class TaskTypeLimit(_message.Message):
    __slots__ = ("task_type", "max_concurrency", "max_rate")
    TASK_TYPE_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    MAX_RATE_FIELD_NUMBER: _ClassVar[int]
    task_type: str
    max_concurrency: int
    max_rate: float
    def __init__(self, task_type: _Optional[str] = ..., max_concurrency: _Optional[int] = ..., max_rate: _Optional[float] = ...) -> None: ...
