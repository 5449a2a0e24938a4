"""The one place where an error becomes a status on the wire. Whatever is not expected leaks nothing."""

from collections.abc import Iterator

import asyncpg
import grpc
import redis
import sqlalchemy.exc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    RequestInfo,
    ResourceInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status

from taskflow_core.db import is_gone
from taskflow_core.errors import InvalidArgument, TaskFlowError, Unavailable

DOMAIN = "taskflow"
RETRY_SECONDS = 1

# Reasons are those of `ErrorReason` in the contract; its comments name the same codes.
CODES = {
    "INVALID_FIELDS": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_FILTER": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_ORDER_BY": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_PAGE_TOKEN": grpc.StatusCode.INVALID_ARGUMENT,
    "INVALID_RESUME_TOKEN": grpc.StatusCode.INVALID_ARGUMENT,
    "NUMBER_NOT_EXACT": grpc.StatusCode.INVALID_ARGUMENT,
    "LIMIT_EXCEEDED": grpc.StatusCode.INVALID_ARGUMENT,
    "NOT_FOUND": grpc.StatusCode.NOT_FOUND,
    "REQUEST_ID_REUSED": grpc.StatusCode.ALREADY_EXISTS,
    "UNIQUE_KEY_HELD": grpc.StatusCode.ALREADY_EXISTS,
    "ALREADY_EXISTS": grpc.StatusCode.ALREADY_EXISTS,
    "WRONG_STATUS": grpc.StatusCode.FAILED_PRECONDITION,
    "NO_RESULT": grpc.StatusCode.FAILED_PRECONDITION,
    "ETAG_MISMATCH": grpc.StatusCode.ABORTED,
    "NOT_IMPLEMENTED": grpc.StatusCode.UNIMPLEMENTED,
    "UNAUTHENTICATED": grpc.StatusCode.UNAUTHENTICATED,
    "PERMISSION_DENIED": grpc.StatusCode.PERMISSION_DENIED,
    "QUOTA_EXCEEDED": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "DEADLINE_EXCEEDED": grpc.StatusCode.DEADLINE_EXCEEDED,
    "EVENTS_EXPIRED": grpc.StatusCode.OUT_OF_RANGE,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}
# A status travels in a trailer, and peers refuse trailers of more than 8 KiB. So long texts are cut, and
# the list of wrong fields ends where this many bytes are full.
MAX_TEXT = 300
MAX_FIELDS_BYTES = 3000

# What PostgreSQL says when nothing is wrong with the statement, by class of its SQLSTATE: connection lost
# (08), transaction rolled back for another's sake (40), resources used up (53), an operator's or the
# server's own stop (57).
PASSING_SQLSTATES = ("08", "40", "53", "57")


class QuotaExceeded(TaskFlowError):
    """Too many calls at once."""

    reason = "QUOTA_EXCEEDED"


class DeadlineExceeded(TaskFlowError):
    """The call took longer than it may."""

    reason = "DEADLINE_EXCEEDED"


class NotBuilt(TaskFlowError):
    """The contract has this RPC, this server does not yet."""

    reason = "NOT_IMPLEMENTED"


class InternalError(TaskFlowError):
    """A defect of ours. What it was stands in the log only, under the request id."""

    reason = "INTERNAL"

    def __init__(self, request_id: str) -> None:
        super().__init__(f"internal error; quote request id {request_id}")


def as_expected(error: Exception, request_id: str) -> TaskFlowError:
    """The error as callers may see it."""
    if isinstance(error, TaskFlowError):
        return error
    cause = error.driver_exception if isinstance(error, sqlalchemy.exc.DBAPIError) else error
    if _is_outage(cause):
        return Unavailable("a part of the service does not answer; try again")
    if isinstance(cause, TimeoutError):
        return DeadlineExceeded("the call took longer than it may; the work may or may not have been done")
    return InternalError(request_id)


def _is_outage(error: object) -> bool:
    """Whether something we need is down, full or restarting, so that the same call may work a little later."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(PASSING_SQLSTATES)
    if isinstance(error, asyncpg.InterfaceError):
        return is_gone(error)
    if isinstance(error, OSError):
        # A TimeoutError is one too, but says nothing about who was slow.
        return not isinstance(error, TimeoutError)
    # SQLAlchemy's timeout is that of its pool: all connections are in use.
    return isinstance(error, redis.ConnectionError | redis.TimeoutError | sqlalchemy.exc.TimeoutError)


def to_status(error: TaskFlowError, request_id: str) -> Status:
    """The error on the wire: code, message, and every detail that a program could act on.

    `request_id` is empty where the error is that of one item, not of the whole call.
    """
    code = CODES[error.reason]
    status = Status(code=code.value[0], message=_cut(error.message))
    for detail in _details(error, code, request_id):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return status


def _details(error: TaskFlowError, code: grpc.StatusCode, request_id: str) -> Iterator[Message]:
    metadata = {name: _cut(value) for name, value in error.metadata.items()}
    kind, thing = metadata.get("kind", ""), metadata.get("id", "")
    yield ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    if request_id:
        yield RequestInfo(request_id=request_id)
    if isinstance(error, InvalidArgument) and error.fields:
        yield _bad_request(error)
    if code is grpc.StatusCode.NOT_FOUND:
        yield ResourceInfo(resource_type=kind, resource_name=thing, description=_cut(error.message))
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        violation = PreconditionFailure.Violation(
            type=error.reason, subject=f"{kind}/{thing}", description=_cut(error.message)
        )
        yield PreconditionFailure(violations=[violation])
    if may_be_retried(code):
        yield RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS))


def _bad_request(error: InvalidArgument) -> BadRequest:
    details = BadRequest()
    for field in error.fields:
        violation = BadRequest.FieldViolation(
            field=_cut(field.field), description=_cut(field.description), reason=field.rule
        )
        if details.ByteSize() + violation.ByteSize() > MAX_FIELDS_BYTES:
            break
        details.field_violations.append(violation)
    return details


def may_be_retried(code: grpc.StatusCode) -> bool:
    """Whether the same call may work a little later."""
    return code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}


def _cut(text: str) -> str:
    """A long text without its middle: the start says where, the end what."""
    if len(text) <= MAX_TEXT:
        return text
    start = MAX_TEXT // 2
    return f"{text[:start]}…{text[start + 1 - MAX_TEXT :]}"
