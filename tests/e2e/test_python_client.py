"""The Python client against the whole stack."""

import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from support.proxies import cutting_proxy
from taskflow_client import (
    AlreadyExists,
    ApiError,
    Event,
    FailedPrecondition,
    Finished,
    InvalidArgument,
    NewTask,
    NotFound,
    RetryPolicy,
    Snapshot,
    SnapshotEnd,
    Task,
    TaskCancelled,
    TaskEvent,
    TaskFailed,
    TaskFlow,
    Unavailable,
    Update,
)
from taskflow_dev.ports import free_port


@pytest.fixture
async def taskflow(stack: Any) -> AsyncIterator[TaskFlow]:
    async with TaskFlow(stack.grpc) as client:
        yield client


async def started(client: TaskFlow) -> Task:
    """A task that runs until it is cancelled, and has written its line."""
    task = await client.submit("test.forever")
    async for update in client.watch(task):
        # The snapshot stands for what happened before it: a line is the third event.
        if isinstance(update, Snapshot) and update.task.last_sequence == 3:
            return task
        if isinstance(update, Event) and update.event.kind == TaskEvent.LOG:
            return task
    raise AssertionError("it ended")


def sequences(updates: list[Update]) -> list[int]:
    return [update.event.sequence for update in updates if isinstance(update, Event)]


async def test_a_result_keeps_integers_exact(taskflow: TaskFlow) -> None:
    payload = {"n": 2**80, "text": "größer", "list": [1, 2.5, None]}
    assert await taskflow.result(await taskflow.submit("echo", payload)) == payload


async def test_a_task_has_what_it_was_submitted_with(taskflow: TaskFlow) -> None:
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    task = await taskflow.submit(
        "echo",
        {"a": 1},
        name="An echo",
        priority="LOW",
        queue="slow",
        tags=["x", "y"],
        retry_policy=RetryPolicy(max_attempts=7, initial_backoff=timedelta(seconds=2.5), jitter=False),
        attempt_timeout=timedelta(minutes=2),
        schedule_time=later,
        expire_time=later + timedelta(hours=1),
    )
    kept = await taskflow.get(task)
    assert (kept.name, kept.priority, kept.queue, list(kept.tags)) == (
        "An echo",
        Task.LOW,
        "slow",
        ["x", "y"],
    )
    assert kept.retry_policy.max_attempts == 7
    assert kept.retry_policy.initial_backoff.ToTimedelta() == timedelta(seconds=2.5)
    assert kept.attempt_timeout.ToTimedelta() == timedelta(minutes=2)
    assert kept.status == Task.SCHEDULED
    assert kept.schedule_time.ToDatetime(UTC) == later
    assert kept.expire_time.ToDatetime(UTC) == later + timedelta(hours=1)
    await taskflow.cancel(task)


async def test_submitting_again_with_the_same_request_id_answers_with_the_same_task(
    taskflow: TaskFlow,
) -> None:
    new = NewTask("echo", {"once": True})
    (first,), (again,) = await taskflow.submit_many([new]), await taskflow.submit_many([new])
    assert first.id == again.id


async def test_a_task_expires_even_if_its_handler_never_ends(taskflow: TaskFlow) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    with pytest.raises(TaskCancelled):
        await taskflow.result(await taskflow.submit("test.forever", expire_time=soon), timeout=30)


async def test_many_tasks_come_back_in_order(taskflow: TaskFlow) -> None:
    tasks = await taskflow.submit_many(NewTask("echo", {"number": number}) for number in range(1001))
    assert [task.payload_json for task in tasks] == [f'{{"number": {number}}}' for number in range(1001)]
    assert await taskflow.result(tasks[-1]) == {"number": 1000}


async def test_a_stream_of_tasks_has_an_outcome_for_each(taskflow: TaskFlow) -> None:
    async def tasks() -> AsyncIterator[NewTask]:
        yield NewTask("echo", {"place": 0})
        yield NewTask("not a task type")
        yield NewTask("echo", {"place": 2})

    first, second, third = [outcome async for outcome in taskflow.submit_stream(tasks())]
    assert isinstance(first, Task)
    assert isinstance(second, InvalidArgument)
    assert second.field_violations[0].field.endswith("task_type")
    assert isinstance(third, Task)
    assert await taskflow.result(third) == {"place": 2}


async def test_an_error_says_what_and_where(taskflow: TaskFlow) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await taskflow.submit("no spaces please")
    error = caught.value
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert error.reason == "INVALID_FIELDS"
    assert [violation.field for violation in error.field_violations] == ["task.task_type"]
    assert error.request_id


async def test_an_unknown_task_is_not_found(taskflow: TaskFlow) -> None:
    unknown = str(uuid.uuid4())
    with pytest.raises(NotFound) as caught:
        await taskflow.get(unknown)
    assert caught.value.metadata == {"kind": "task", "id": unknown}
    with pytest.raises(NotFound):
        await anext(taskflow.watch(unknown))


async def test_tenants_do_not_see_each_other(stack: Any, taskflow: TaskFlow) -> None:
    task = await taskflow.submit("echo")
    async with TaskFlow(stack.grpc, tenant="stranger") as stranger:
        with pytest.raises(NotFound):
            await stranger.get(task)


async def test_a_held_unique_key_is_an_error_of_its_own(taskflow: TaskFlow) -> None:
    key = str(uuid.uuid4())
    holder = await taskflow.submit("test.forever", unique_key=key)
    with pytest.raises(AlreadyExists) as caught:
        await taskflow.submit("test.forever", unique_key=key)
    assert caught.value.reason == "UNIQUE_KEY_HELD"
    assert holder.id in caught.value.metadata.values()
    await taskflow.cancel(holder)


async def test_the_result_of_a_failed_task_raises_its_error(taskflow: TaskFlow) -> None:
    task = await taskflow.submit("test.refuse", {"reason": "out of stock"})
    with pytest.raises(TaskFailed, match="Fail: out of stock") as caught:
        await taskflow.result(task)
    assert caught.value.error.type == "Fail"
    assert caught.value.task.id == task.id


async def test_a_running_task_can_be_cancelled(taskflow: TaskFlow) -> None:
    task = await started(taskflow)
    assert (await taskflow.cancel(task, "not needed")).cancel_requested
    with pytest.raises(TaskCancelled):
        await taskflow.result(task)
    assert "not needed" in [event.message async for event in taskflow.events(task)]


async def test_a_failed_task_can_be_retried_and_one_that_succeeded_cannot(taskflow: TaskFlow) -> None:
    once = RetryPolicy(max_attempts=1)
    failed = await taskflow.submit("test.flaky", {"failures": 1}, retry_policy=once)
    assert (await taskflow.wait(failed)).status == Task.FAILED
    await taskflow.retry(failed)
    assert await taskflow.result(failed) == {"attempt": 2}
    outcomes = [attempt.error.type async for attempt in taskflow.attempts(failed)]
    assert outcomes == ["ConnectionError", ""]
    with pytest.raises(FailedPrecondition) as caught:
        await taskflow.retry(failed)
    assert caught.value.reason == "WRONG_STATUS"


async def test_waiting_ends_at_its_timeout(taskflow: TaskFlow) -> None:
    task = await started(taskflow)
    with pytest.raises(TimeoutError, match=task.id):
        await taskflow.wait(task, timeout=0.1)
    await taskflow.cancel(task)


async def test_a_list_goes_over_all_its_pages(taskflow: TaskFlow) -> None:
    tag = f"pages-{uuid.uuid4()}"
    tasks = await taskflow.submit_many(NewTask("echo", tags=[tag]) for _ in range(5))
    found = [task.id async for task in taskflow.list(f'tags : "{tag}"', page_size=2)]
    assert found == sorted((task.id for task in tasks), reverse=True)


async def test_the_registered_task_types_are_listed(taskflow: TaskFlow) -> None:
    names = [task_type.name async for task_type in taskflow.task_types()]
    assert {"compute", "echo", "email", "http_request", "test.flaky"} <= set(names)


async def test_a_watch_is_a_snapshot_then_every_event_then_the_end(taskflow: TaskFlow) -> None:
    task = await taskflow.submit("test.steps", {"steps": 5})
    updates = [update async for update in taskflow.watch(task)]
    first, *events, last = updates
    assert isinstance(first, Snapshot)
    assert isinstance(last, Finished)
    assert last.task.status == Task.SUCCEEDED
    assert len(events) == len(sequences(updates))
    assert sequences(updates) == list(range(first.task.last_sequence + 1, last.task.last_sequence + 1))


async def test_a_watch_that_is_cut_again_and_again_has_no_gap_and_no_duplicate(
    stack: Any, taskflow: TaskFlow, tmp_path: Path
) -> None:
    gate = tmp_path / "go on"
    task = await taskflow.submit("test.steps", {"steps": 30, "after": str(gate)})
    updates: list[Update] = []
    async for update in taskflow.watch(task):
        updates.append(update)
        # Once it is watched, so that there are events to cut between.
        gate.touch()
    first, *uncut = updates
    assert isinstance(first, Snapshot)
    assert len(uncut) > 30
    async with (
        cutting_proxy(stack.grpc, answer_bytes=1500) as proxy,
        TaskFlow(proxy.address) as interrupted,
    ):
        resumed = [update async for update in interrupted.watch(task, resume_token=first.resume_token)]
    assert proxy.cuts > 3
    assert resumed == uncut


async def test_a_live_watch_that_is_cut_after_every_update_misses_nothing(
    stack: Any, taskflow: TaskFlow
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.5)
    backoff = RetryPolicy(max_attempts=4, initial_backoff=timedelta(seconds=0.1), jitter=False)
    task = await taskflow.submit("test.flaky", {"failures": 3}, schedule_time=soon, retry_policy=backoff)
    updates: list[Update] = []
    async with cutting_proxy(stack.grpc) as proxy, TaskFlow(proxy.address) as interrupted:
        async for update in interrupted.watch(task):
            updates.append(update)
            proxy.cut()
    log = [event.sequence async for event in taskflow.events(task)]
    first, *_, last = updates
    assert isinstance(first, Snapshot)
    assert sequences(updates) == log[first.task.last_sequence :]
    assert isinstance(last, Finished)


async def test_a_watch_catches_up_on_what_happened_while_it_was_away(stack: Any, taskflow: TaskFlow) -> None:
    task = await started(taskflow)
    kinds: list[int] = []
    async with cutting_proxy(stack.grpc) as proxy, TaskFlow(proxy.address) as interrupted:
        async for update in interrupted.watch(task):
            if isinstance(update, Snapshot):
                proxy.away = True
                proxy.cut()
                await taskflow.cancel(task)
                await taskflow.wait(task)
                proxy.away = False
            if isinstance(update, Event):
                kinds.append(update.event.kind)
    assert kinds == [TaskEvent.CANCEL_REQUESTED, TaskEvent.CANCELLED]


async def test_waiting_outlives_a_cut_connection(stack: Any, taskflow: TaskFlow) -> None:
    task = await started(taskflow)
    async with cutting_proxy(stack.grpc, answer_bytes=100) as proxy:
        async with TaskFlow(proxy.address, retries=False, patience=0) as impatient:
            with pytest.raises(ApiError):
                await impatient.wait(task, timeout=5)
        proxy.answer_bytes = None
        async with TaskFlow(proxy.address) as patient:
            await taskflow.cancel(task)
            assert (await patient.wait(task)).status == Task.CANCELLED


async def test_a_watch_gives_up_when_its_patience_ends() -> None:
    async with TaskFlow(f"127.0.0.1:{free_port()}", patience=0) as nowhere:
        with pytest.raises(Unavailable):
            await anext(nowhere.watch(str(uuid.uuid4())))


async def test_all_tasks_are_watched_over_cut_connections_without_a_gap_or_a_duplicate(stack: Any) -> None:
    tenant = f"test-{uuid.uuid4()}"
    async with (
        cutting_proxy(stack.grpc) as proxy,
        TaskFlow(stack.grpc, tenant=tenant) as taskflow,
        TaskFlow(proxy.address, tenant=tenant) as interrupted,
        aclosing(interrupted.watch_all("task_type = test.steps")) as updates,
    ):
        end = await anext(updates)
        assert isinstance(end, SnapshotEnd)
        assert (end.count, end.reset) == (0, False)
        tasks = [await taskflow.submit("test.steps", {"steps": 5}) for _ in range(3)]
        found: dict[str, list[int]] = {task.id: [] for task in tasks}
        async for update in updates:
            assert isinstance(update, Event)
            found[update.event.task_id].append(update.event.sequence)
            proxy.cut()
            if all(numbers and numbers[-1] == 8 for numbers in found.values()):
                break
    assert list(found.values()) == [list(range(1, 9))] * 3
