import re
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import grpc
import pytest
import redis
import sqlalchemy.exc
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
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi

from taskflow_core.errors import (
    FieldError,
    InvalidArgument,
    NoResult,
    NotFound,
    TaskFlowError,
    Unavailable,
    WrongStatus,
)
from taskflow_proto.v1.errors_pb2 import ErrorReason
from taskflow_server.errors import CODES, InternalError, as_expected, to_status

CATALOGUE = Path(__file__).parents[2] / "proto/taskflow/v1/errors.proto"
KINDS: list[type[Message]] = [
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    RequestInfo,
    ResourceInfo,
    RetryInfo,
]


def details_of(status: Status) -> dict[type[Message], Message]:
    found: dict[type[Message], Message] = {}
    for packed in status.details:
        kind = next(kind for kind in KINDS if packed.Is(kind.DESCRIPTOR))  # type: ignore[arg-type] # one type, two names
        detail = kind()
        packed.Unpack(detail)
        found[kind] = detail
    return found


def family(kind: type[TaskFlowError]) -> Iterator[type[TaskFlowError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


def test_every_reason_of_the_contract_has_the_code_that_its_comment_says() -> None:
    documented = re.findall(r"// ([A-Z_]+): [^=]*?ERROR_REASON_([A-Z_]+) = ", CATALOGUE.read_text())

    assert {reason: code.name for reason, code in CODES.items()} == {
        reason: code for code, reason in documented
    }
    assert {f"ERROR_REASON_{reason}" for reason in CODES} == set(ErrorReason.keys()) - {
        "ERROR_REASON_UNSPECIFIED"
    }


@pytest.mark.parametrize("kind", sorted(set(family(TaskFlowError)), key=repr))
def test_every_error_of_ours_has_a_reason_of_the_contract(kind: type[TaskFlowError]) -> None:
    assert kind.reason in CODES


def test_every_status_has_an_error_info_and_the_request_id() -> None:
    status = to_status(NoResult("no result yet", id="1"), "abc")
    details = details_of(status)

    assert status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert status.message == "no result yet"
    assert details[ErrorInfo] == ErrorInfo(reason="NO_RESULT", domain="taskflow", metadata={"id": "1"})
    assert details[RequestInfo] == RequestInfo(request_id="abc")


def test_the_status_of_one_item_has_no_request_id() -> None:
    assert RequestInfo not in details_of(to_status(NotFound("task", "1"), ""))


def test_wrong_fields_are_listed_with_path_description_and_rule() -> None:
    error = InvalidArgument("wrong", [FieldError("task.name", "is too long", "string.max_len")])

    assert details_of(to_status(error, "abc"))[BadRequest] == BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field="task.name", description="is too long", reason="string.max_len")
        ]
    )


def test_what_is_not_found_is_named() -> None:
    resource = details_of(to_status(NotFound("task", "7"), "abc"))[ResourceInfo]

    assert isinstance(resource, ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("task", "7")


def test_a_wrong_status_is_a_failed_precondition_of_the_thing() -> None:
    error = WrongStatus("task", "7", "RUNNING", ["FAILED", "CANCELLED"])
    failure = details_of(to_status(error, "abc"))[PreconditionFailure]

    assert isinstance(failure, PreconditionFailure)
    [violation] = failure.violations
    assert (violation.type, violation.subject) == ("WRONG_STATUS", "task/7")


def test_an_outage_says_when_to_retry() -> None:
    retry = details_of(to_status(Unavailable("down"), "abc"))[RetryInfo]

    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.seconds > 0


def test_long_lists_and_texts_are_cut_to_what_fits_into_a_trailer() -> None:
    fields = [FieldError(f"requests[{i}].task.name", "ü" * 500, "string.max_len") for i in range(1000)]
    status = to_status(InvalidArgument("ü" * 5000, fields, value="ü" * 5000), "abc")

    violations = details_of(status)[BadRequest]
    assert isinstance(violations, BadRequest)
    assert violations.field_violations[0].field == "requests[0].task.name"
    assert status.ByteSize() < 6000


def test_a_long_text_keeps_its_start_and_its_end() -> None:
    message = to_status(InvalidArgument.at("task.payload" + ".in" * 1000, "too deep"), "abc").message

    assert message.startswith("task.payload.in.in")
    assert message.endswith(".in.in: too deep")
    assert len(message) == 300


def postgres_error(sqlstate: str) -> asyncpg.PostgresError:
    error = asyncpg.PostgresError.new({"C": sqlstate, "M": "secret"})
    assert isinstance(error, asyncpg.PostgresError)
    return error


def through_sqlalchemy(cause: Exception) -> sqlalchemy.exc.DBAPIError:
    adapted = AsyncAdapt_asyncpg_dbapi.Error("secret", cause)
    return sqlalchemy.exc.DBAPIError("SELECT secret", None, adapted)


@pytest.mark.parametrize(
    "outage",
    [
        ConnectionRefusedError("secret"),
        FileNotFoundError("/run/postgresql/.s.PGSQL.5432"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.CannotConnectNowError("secret"),
        asyncpg.ConnectionDoesNotExistError("secret"),
        asyncpg.TooManyConnectionsError("secret"),
        asyncpg.QueryCanceledError("secret"),
        asyncpg.AdminShutdownError("secret"),
        asyncpg.DeadlockDetectedError("secret"),
        postgres_error("57P02"),
        through_sqlalchemy(postgres_error("57P01")),
        through_sqlalchemy(asyncpg.InterfaceError("connection is closed")),
        sqlalchemy.exc.TimeoutError("secret"),
        redis.ConnectionError("secret"),
        redis.TimeoutError("secret"),
    ],
    ids=repr,
)
def test_an_outage_of_what_we_need_is_unavailable_and_leaks_nothing(outage: Exception) -> None:
    seen = as_expected(outage, "abc")

    assert seen.reason == "UNAVAILABLE"
    assert "secret" not in seen.message


@pytest.mark.parametrize(
    "defect",
    [
        RuntimeError("secret"),
        KeyError("secret"),
        postgres_error("42P01"),
        asyncpg.UniqueViolationError("secret"),
        asyncpg.DataError("secret"),
        through_sqlalchemy(postgres_error("42601")),
        redis.ResponseError("secret"),
    ],
    ids=repr,
)
def test_anything_unexpected_is_internal_and_shows_only_the_request_id(defect: Exception) -> None:
    seen = as_expected(defect, "abc")

    assert isinstance(seen, InternalError)
    assert seen.message == "internal error; quote request id abc"
    assert not seen.metadata


def test_a_timeout_is_a_passed_deadline() -> None:
    assert as_expected(TimeoutError(), "abc").reason == "DEADLINE_EXCEEDED"


def test_an_expected_error_stays_as_it_is() -> None:
    error = NotFound("task", "7")

    assert as_expected(error, "abc") is error
