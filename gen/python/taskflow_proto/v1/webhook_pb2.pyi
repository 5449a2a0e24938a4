import datetime

from taskflow_proto.buf.validate import validate_pb2 as _validate_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from taskflow_proto.v1 import retry_policy_pb2 as _retry_policy_pb2
from taskflow_proto.v1 import schedule_pb2 as _schedule_pb2
from taskflow_proto.v1 import task_pb2 as _task_pb2
from taskflow_proto.v1 import workflow_pb2 as _workflow_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Webhook(_message.Message):
    __slots__ = ("id", "name", "description", "url", "event_types", "condition", "headers", "secret", "signature_scheme", "retry_policy", "request_timeout", "max_concurrency", "ordered", "disable_after", "status", "note", "public_key", "previous_secret_expire_time", "last_success_time", "failing_since_time", "consecutive_failures", "circuit_open_until_time", "create_time", "update_time", "etag")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Webhook.Status]
        ENABLED: _ClassVar[Webhook.Status]
        DISABLED: _ClassVar[Webhook.Status]
        GONE: _ClassVar[Webhook.Status]
        FAILING: _ClassVar[Webhook.Status]
    STATUS_UNSPECIFIED: Webhook.Status
    ENABLED: Webhook.Status
    DISABLED: Webhook.Status
    GONE: Webhook.Status
    FAILING: Webhook.Status
    class SignatureScheme(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SIGNATURE_SCHEME_UNSPECIFIED: _ClassVar[Webhook.SignatureScheme]
        HMAC_SHA256: _ClassVar[Webhook.SignatureScheme]
        ED25519: _ClassVar[Webhook.SignatureScheme]
    SIGNATURE_SCHEME_UNSPECIFIED: Webhook.SignatureScheme
    HMAC_SHA256: Webhook.SignatureScheme
    ED25519: Webhook.SignatureScheme
    class HeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPES_FIELD_NUMBER: _ClassVar[int]
    CONDITION_FIELD_NUMBER: _ClassVar[int]
    HEADERS_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_SCHEME_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    ORDERED_FIELD_NUMBER: _ClassVar[int]
    DISABLE_AFTER_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_KEY_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SECRET_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_SUCCESS_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILING_SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    CONSECUTIVE_FAILURES_FIELD_NUMBER: _ClassVar[int]
    CIRCUIT_OPEN_UNTIL_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    description: str
    url: str
    event_types: _containers.RepeatedScalarFieldContainer[str]
    condition: str
    headers: _containers.ScalarMap[str, str]
    secret: str
    signature_scheme: Webhook.SignatureScheme
    retry_policy: _retry_policy_pb2.RetryPolicy
    request_timeout: _duration_pb2.Duration
    max_concurrency: int
    ordered: bool
    disable_after: _duration_pb2.Duration
    status: Webhook.Status
    note: str
    public_key: str
    previous_secret_expire_time: _timestamp_pb2.Timestamp
    last_success_time: _timestamp_pb2.Timestamp
    failing_since_time: _timestamp_pb2.Timestamp
    consecutive_failures: int
    circuit_open_until_time: _timestamp_pb2.Timestamp
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., description: _Optional[str] = ..., url: _Optional[str] = ..., event_types: _Optional[_Iterable[str]] = ..., condition: _Optional[str] = ..., headers: _Optional[_Mapping[str, str]] = ..., secret: _Optional[str] = ..., signature_scheme: _Optional[_Union[Webhook.SignatureScheme, str]] = ..., retry_policy: _Optional[_Union[_retry_policy_pb2.RetryPolicy, _Mapping]] = ..., request_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_concurrency: _Optional[int] = ..., ordered: _Optional[bool] = ..., disable_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., status: _Optional[_Union[Webhook.Status, str]] = ..., note: _Optional[str] = ..., public_key: _Optional[str] = ..., previous_secret_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_success_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failing_since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., consecutive_failures: _Optional[int] = ..., circuit_open_until_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ...) -> None: ...

class WebhookEvent(_message.Message):
    __slots__ = ("type", "timestamp", "version", "tenant", "sequence", "resume_token", "data")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    type: str
    timestamp: _timestamp_pb2.Timestamp
    version: int
    tenant: str
    sequence: int
    resume_token: str
    data: WebhookEventData
    def __init__(self, type: _Optional[str] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ..., tenant: _Optional[str] = ..., sequence: _Optional[int] = ..., resume_token: _Optional[str] = ..., data: _Optional[_Union[WebhookEventData, _Mapping]] = ...) -> None: ...

class WebhookEventData(_message.Message):
    __slots__ = ("task", "fire", "execution", "node_run", "webhook", "test")
    TASK_FIELD_NUMBER: _ClassVar[int]
    FIRE_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_FIELD_NUMBER: _ClassVar[int]
    NODE_RUN_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    task: _task_pb2.Task
    fire: _schedule_pb2.ScheduleFire
    execution: _workflow_pb2.Execution
    node_run: _workflow_pb2.NodeRun
    webhook: Webhook
    test: bool
    def __init__(self, task: _Optional[_Union[_task_pb2.Task, _Mapping]] = ..., fire: _Optional[_Union[_schedule_pb2.ScheduleFire, _Mapping]] = ..., execution: _Optional[_Union[_workflow_pb2.Execution, _Mapping]] = ..., node_run: _Optional[_Union[_workflow_pb2.NodeRun, _Mapping]] = ..., webhook: _Optional[_Union[Webhook, _Mapping]] = ..., test: _Optional[bool] = ...) -> None: ...

class Delivery(_message.Message):
    __slots__ = ("id", "webhook_id", "event_type", "event_time", "sequence", "task_id", "execution_id", "schedule_id", "test", "status", "attempt", "response_status", "error", "body_json", "attempts", "create_time", "end_time", "next_attempt_time")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Delivery.Status]
        PENDING: _ClassVar[Delivery.Status]
        SENDING: _ClassVar[Delivery.Status]
        RETRYING: _ClassVar[Delivery.Status]
        SUCCEEDED: _ClassVar[Delivery.Status]
        FAILED: _ClassVar[Delivery.Status]
        CANCELLED: _ClassVar[Delivery.Status]
    STATUS_UNSPECIFIED: Delivery.Status
    PENDING: Delivery.Status
    SENDING: Delivery.Status
    RETRYING: Delivery.Status
    SUCCEEDED: Delivery.Status
    FAILED: Delivery.Status
    CANCELLED: Delivery.Status
    class View(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VIEW_UNSPECIFIED: _ClassVar[Delivery.View]
        BASIC: _ClassVar[Delivery.View]
        FULL: _ClassVar[Delivery.View]
    VIEW_UNSPECIFIED: Delivery.View
    BASIC: Delivery.View
    FULL: Delivery.View
    ID_FIELD_NUMBER: _ClassVar[int]
    WEBHOOK_ID_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_ID_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_ID_FIELD_NUMBER: _ClassVar[int]
    TEST_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_STATUS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    BODY_JSON_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    webhook_id: str
    event_type: str
    event_time: _timestamp_pb2.Timestamp
    sequence: int
    task_id: str
    execution_id: str
    schedule_id: str
    test: bool
    status: Delivery.Status
    attempt: int
    response_status: int
    error: str
    body_json: str
    attempts: _containers.RepeatedCompositeFieldContainer[DeliveryAttempt]
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    next_attempt_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., webhook_id: _Optional[str] = ..., event_type: _Optional[str] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ..., task_id: _Optional[str] = ..., execution_id: _Optional[str] = ..., schedule_id: _Optional[str] = ..., test: _Optional[bool] = ..., status: _Optional[_Union[Delivery.Status, str]] = ..., attempt: _Optional[int] = ..., response_status: _Optional[int] = ..., error: _Optional[str] = ..., body_json: _Optional[str] = ..., attempts: _Optional[_Iterable[_Union[DeliveryAttempt, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeliveryAttempt(_message.Message):
    __slots__ = ("attempt", "outcome", "error", "url", "remote_address", "request_headers", "response_status", "response_headers", "response_body", "response_truncated", "start_time", "latency")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[DeliveryAttempt.Outcome]
        SUCCEEDED: _ClassVar[DeliveryAttempt.Outcome]
        BAD_STATUS: _ClassVar[DeliveryAttempt.Outcome]
        TIMED_OUT: _ClassVar[DeliveryAttempt.Outcome]
        CONNECTION_FAILED: _ClassVar[DeliveryAttempt.Outcome]
        TLS_FAILED: _ClassVar[DeliveryAttempt.Outcome]
        ADDRESS_REFUSED: _ClassVar[DeliveryAttempt.Outcome]
        LOST: _ClassVar[DeliveryAttempt.Outcome]
    OUTCOME_UNSPECIFIED: DeliveryAttempt.Outcome
    SUCCEEDED: DeliveryAttempt.Outcome
    BAD_STATUS: DeliveryAttempt.Outcome
    TIMED_OUT: DeliveryAttempt.Outcome
    CONNECTION_FAILED: DeliveryAttempt.Outcome
    TLS_FAILED: DeliveryAttempt.Outcome
    ADDRESS_REFUSED: DeliveryAttempt.Outcome
    LOST: DeliveryAttempt.Outcome
    class RequestHeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ResponseHeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_HEADERS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_STATUS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_HEADERS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_BODY_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    LATENCY_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    outcome: DeliveryAttempt.Outcome
    error: str
    url: str
    remote_address: str
    request_headers: _containers.ScalarMap[str, str]
    response_status: int
    response_headers: _containers.ScalarMap[str, str]
    response_body: str
    response_truncated: bool
    start_time: _timestamp_pb2.Timestamp
    latency: _duration_pb2.Duration
    def __init__(self, attempt: _Optional[int] = ..., outcome: _Optional[_Union[DeliveryAttempt.Outcome, str]] = ..., error: _Optional[str] = ..., url: _Optional[str] = ..., remote_address: _Optional[str] = ..., request_headers: _Optional[_Mapping[str, str]] = ..., response_status: _Optional[int] = ..., response_headers: _Optional[_Mapping[str, str]] = ..., response_body: _Optional[str] = ..., response_truncated: _Optional[bool] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
