"""The contract, the state machines and the database use the same words."""

import pytest

from taskflow_core import states
from taskflow_core.errors import TaskFlowError
from taskflow_core.states import TASK_FINAL, TASK_MOVES, TaskStatus
from taskflow_proto.v1 import errors_pb2, schedule_pb2, task_pb2


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (states.TaskStatus, task_pb2.Task.Status),
        (states.Priority, task_pb2.Task.Priority),
        (states.EventKind, task_pb2.TaskEvent.Kind),
        (states.AttemptOutcome, task_pb2.TaskAttempt.Outcome),
        (states.ScheduleType, schedule_pb2.Schedule.Type),
        (states.ScheduleStatus, schedule_pb2.Schedule.Status),
        (states.OverlapPolicy, schedule_pb2.Schedule.OverlapPolicy),
        (states.CatchUpPolicy, schedule_pb2.Schedule.CatchUpPolicy),
        (states.FireOutcome, schedule_pb2.ScheduleFire.Outcome),
        (states.FireTrigger, schedule_pb2.ScheduleFire.Trigger),
    ],
)
def test_every_enum_has_the_same_values_here_and_in_the_contract(ours, theirs):
    assert [*ours] == [name for name in theirs.keys() if not name.endswith("_UNSPECIFIED")]  # noqa: SIM118


def test_every_status_has_its_moves_and_final_ones_only_leave_by_a_replay():
    assert set(TASK_MOVES) == set(TaskStatus)
    for status in TASK_FINAL:
        assert TASK_MOVES[status] <= {TaskStatus.QUEUED}


def test_every_error_has_a_reason_of_the_contract():
    reasons = {name.removeprefix("ERROR_REASON_") for name in errors_pb2.ErrorReason.keys()}  # noqa: SIM118
    for error in TaskFlowError.__subclasses__():
        assert error.reason in reasons, error
