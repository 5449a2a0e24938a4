"""What can go wrong, as types: calls that the service refuses, and tasks that end badly."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
from google.rpc.status_pb2 import Status

from taskflow_proto.v1.task_pb2 import Task

STATUS_TRAILER = "grpc-status-details-bin"
CODE_OF_NUMBER = {code.value[0]: code for code in grpc.StatusCode}

Detail = TypeVar("Detail", bound=Message)


@dataclass(frozen=True)
class FieldViolation:
    """One wrong field: its path in the request, such as `task.task_type`, and what is wrong with it."""

    field: str
    description: str


class ApiError(Exception):
    """A call failed.

    `reason` is a word of `ErrorReason` in the contract without its prefix, such as `UNIQUE_KEY_HELD`, and
    `metadata` has the values that the message mentions; both are empty if the answer is not the service's
    own but that of something on the way. `request_id` is for the log of the service.
    """

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        field_violations: Iterable[FieldViolation] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(message or code.name)
        self.code = code
        self.message = message or code.name
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.field_violations = tuple(field_violations)
        self.request_id = request_id


class InvalidArgument(ApiError):
    """The request is wrong; `field_violations` says where."""


class NotFound(ApiError):
    """Nothing of this kind has this id in the tenant."""


class AlreadyExists(ApiError):
    """A request id or a unique key is taken."""


class FailedPrecondition(ApiError):
    """The status of the task does not allow this."""


class Aborted(ApiError):
    """Somebody else changed it meanwhile: read again and repeat."""


class OutOfRange(ApiError):
    """What was asked for is older than what is kept."""


class Unauthenticated(ApiError):
    """No credentials, or not valid ones."""


class PermissionDenied(ApiError):
    """The credentials do not allow this."""


class ResourceExhausted(ApiError):
    """Over a quota, or too many calls at once: repeat it later."""


class Unimplemented(ApiError):
    """The server does not offer this call."""


class Unavailable(ApiError):
    """The server cannot be reached, or a part of it is down: repeat it later."""


class DeadlineExceeded(ApiError):
    """No answer in time; the work may or may not have been done. The same `request_id` makes repeating safe."""


class InternalError(ApiError):
    """A defect of the service; its operators find it by `request_id`."""


CLASS_OF_CODE: dict[grpc.StatusCode, type[ApiError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INTERNAL: InternalError,
}


class TaskEndedBadly(Exception):
    """The task is final and has no result."""

    def __init__(self, task: Task, message: str) -> None:
        super().__init__(message)
        self.task = task


class TaskFailed(TaskEndedBadly):
    """The task failed and no attempt is left: it is a dead letter. `error` is that of the last attempt."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, f"{task.error.type}: {task.error.message}")
        self.error = task.error


class TaskCancelled(TaskEndedBadly):
    """The task was cancelled, or expired."""

    def __init__(self, task: Task) -> None:
        super().__init__(task, f"task {task.id} was cancelled")


def from_rpc_error(error: grpc.aio.AioRpcError) -> ApiError:
    """The error of a call, with all that the service said about it."""
    for name, value in error.trailing_metadata():
        if name == STATUS_TRAILER and isinstance(value, bytes):
            try:
                return from_status(Status.FromString(value))
            except DecodeError:
                break  # not the service's: code and text are all there is
    return _class_of(error.code())(error.code(), error.details() or "")


def from_status(status: Status) -> ApiError:
    """The error that a `google.rpc.Status` describes."""
    code = CODE_OF_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN)
    info = _detail(status, ErrorInfo)
    return _class_of(code)(
        code,
        status.message,
        reason=info.reason,
        metadata=dict(info.metadata),
        field_violations=[
            FieldViolation(violation.field, violation.description)
            for violation in _detail(status, BadRequest).field_violations
        ],
        request_id=_detail(status, RequestInfo).request_id,
    )


def may_pass(error: ApiError) -> bool:
    """Whether the same call may work a little later, because nobody answered or somebody was busy.

    A cut connection has several faces, UNAVAILABLE and a reset of the stream among them; what they share
    is that the service has given no reason.
    """
    cut = {grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
    return isinstance(error, Unavailable | ResourceExhausted) or (error.code in cut and not error.reason)


def _class_of(code: grpc.StatusCode) -> type[ApiError]:
    return CLASS_OF_CODE.get(code, ApiError)


def _detail(status: Status, kind: type[Detail]) -> Detail:
    """The detail of this kind, or an empty one."""
    found = kind()
    for detail in status.details:
        if detail.Unpack(found):
            break
    return found
