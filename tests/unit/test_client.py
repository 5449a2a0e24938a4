"""What the Python client does without a server."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo
from google.rpc.status_pb2 import Status

from taskflow_client import ApiError, InvalidArgument, NewTask, NotFound, RetryPolicy, Unavailable, UniqueKey
from taskflow_client.backoff import LONGEST_SECONDS, Backoff
from taskflow_client.channel import RETRIED
from taskflow_client.client import BATCH_BYTES, BATCH_TASKS, _batches
from taskflow_client.errors import from_rpc_error, from_status, may_pass
from taskflow_proto.v1 import schedule_service_pb2, task_service_pb2
from taskflow_proto.v1.task_pb2 import Task


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def status(code: grpc.StatusCode, *details: Any) -> Status:
    message = Status(code=code.value[0], message="what happened")
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        message.details.append(packed)
    return message


def rpc_error(code: grpc.StatusCode, *trailers: tuple[str, Any]) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), "what happened")


def test_a_payload_travels_as_exact_text() -> None:
    request = NewTask("echo", {"n": 2**64, "word": "größer"}).request()
    assert request.task.payload_json == '{"n": 18446744073709551616, "word": "größer"}'


@pytest.mark.parametrize("payload", [{"n": float("nan")}, {"at": datetime.now(UTC)}])
def test_a_payload_that_is_not_json_is_refused_here(payload: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        NewTask("echo", payload).request()


def test_every_task_has_a_request_id_of_its_own_and_keeps_it() -> None:
    one, other = NewTask("echo"), NewTask("echo")
    assert one.request_id != other.request_id
    assert one.request() == one.request()


def test_what_is_left_out_is_left_to_the_service() -> None:
    assert NewTask("echo", request_id="once").request() == task_service_pb2.CreateTaskRequest(
        task=Task(task_type="echo", payload_json="{}"), request_id="once"
    )


def test_options_travel_in_the_words_of_the_contract() -> None:
    task = (
        NewTask(
            "echo",
            priority="CRITICAL",
            retry_policy=RetryPolicy(max_attempts=1, max_backoff=timedelta(milliseconds=1500), jitter=False),
            unique_key=UniqueKey("k", scope="WAITING", on_conflict="RETURN_EXISTING"),
        )
        .request()
        .task
    )
    assert task.priority == Task.CRITICAL
    assert task.retry_policy.max_backoff.ToMilliseconds() == 1500
    assert task.retry_policy.jitter == task.retry_policy.NONE
    assert not task.retry_policy.HasField("initial_backoff")
    assert task.unique_key.on_conflict == task.unique_key.RETURN_EXISTING


def test_a_time_without_a_zone_is_local() -> None:
    naive = datetime(2026, 1, 31, 9, 0)  # noqa: DTZ001 - on purpose
    sent = NewTask("echo", schedule_time=naive).request().task.schedule_time
    assert sent.ToDatetime(UTC) == naive.astimezone(UTC)


def test_batches_stay_under_what_one_call_may_carry() -> None:
    small = [NewTask("echo").request()] * (BATCH_TASKS + 1)
    assert [len(batch) for batch in _batches(small)] == [BATCH_TASKS, 1]
    large = [NewTask("echo", {"text": "x" * (BATCH_BYTES // 2)}).request()] * 3
    assert [len(batch) for batch in _batches(large)] == [1, 1, 1]
    assert list(_batches([])) == []


def test_an_error_is_decoded_with_all_its_details() -> None:
    violation = BadRequest.FieldViolation(field="task.name", description="is too long")
    error = from_status(
        status(
            grpc.StatusCode.INVALID_ARGUMENT,
            ErrorInfo(reason="LIMIT_EXCEEDED", domain="taskflow", metadata={"limit": "200"}),
            BadRequest(field_violations=[violation]),
            RequestInfo(request_id="r-1"),
        )
    )
    assert isinstance(error, InvalidArgument)
    assert (error.reason, error.metadata, error.request_id) == ("LIMIT_EXCEEDED", {"limit": "200"}, "r-1")
    assert [(each.field, each.description) for each in error.field_violations] == [
        ("task.name", "is too long")
    ]


def test_an_error_of_a_call_is_the_one_in_its_trailer() -> None:
    trailer = status(grpc.StatusCode.NOT_FOUND, ErrorInfo(reason="NOT_FOUND")).SerializeToString()
    error = from_rpc_error(rpc_error(grpc.StatusCode.NOT_FOUND, ("grpc-status-details-bin", trailer)))
    assert isinstance(error, NotFound)
    assert error.reason == "NOT_FOUND"


def test_an_error_without_details_keeps_code_and_text() -> None:
    error = from_rpc_error(rpc_error(grpc.StatusCode.UNAVAILABLE, ("grpc-status-details-bin", b"\xff")))
    assert isinstance(error, Unavailable)
    assert str(error) == "what happened"


def test_a_code_without_a_class_of_its_own_is_still_an_api_error() -> None:
    error = from_rpc_error(rpc_error(grpc.StatusCode.DATA_LOSS))
    assert type(error) is ApiError
    assert error.code is grpc.StatusCode.DATA_LOSS


@pytest.mark.parametrize(
    ("code", "reason", "passes"),
    [
        (grpc.StatusCode.UNAVAILABLE, "", True),
        (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", True),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", True),
        (grpc.StatusCode.INTERNAL, "", True),
        (grpc.StatusCode.INTERNAL, "INTERNAL", False),
        (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", False),
        (grpc.StatusCode.UNIMPLEMENTED, "", False),
    ],
)
def test_only_what_may_pass_is_waited_for(code: grpc.StatusCode, reason: str, passes: bool) -> None:
    details = [ErrorInfo(reason=reason)] if reason else []
    assert may_pass(from_status(status(code, *details))) is passes


def test_pauses_grow_up_to_a_bound_and_end_with_patience() -> None:
    clock = Clock()
    backoff = Backoff(60, clock=clock, rng=random.Random(1))
    pauses = [backoff.pause() for _ in range(200)]
    assert all(pause is not None and 0 <= pause <= LONGEST_SECONDS for pause in pauses)
    assert (pauses[0] or 0) <= 0.1
    assert max(pause or 0 for pause in pauses) > 1
    clock.now = 60
    assert backoff.pause() is None
    backoff.reset()
    assert (backoff.pause() or 0) <= 0.1


def test_only_calls_that_are_safe_to_repeat_are_retried() -> None:
    contract = {
        service.full_name: set(service.methods_by_name)
        for file in (task_service_pb2, schedule_service_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
    }
    for service, methods in RETRIED.items():
        assert set(methods) <= contract[service]
    retried = {method for methods in RETRIED.values() for method in methods}
    assert not retried & {"RetryTask", "UpdateSchedule", "DeleteSchedule", "BackfillSchedule"}
