"""What figures are asked for."""

from datetime import datetime, timedelta
from typing import TypedDict

from taskflow_core.stats.tasks import TaskFilter
from taskflow_proto.v1 import stats_service_pb2, task_pb2
from taskflow_server.unpack.values import seconds, time


class PeriodWanted(TypedDict):
    """A period as `Statistics.tasks` takes it; `None` for the default."""

    start: datetime | None
    end: datetime | None
    interval: timedelta | None


def task_filter(request: stats_service_pb2.GetTaskStatsRequest) -> TaskFilter:
    """Which tasks; a field that is not set is no condition."""
    return TaskFilter(
        queue=request.queue or None,
        priority=task_pb2.Task.Priority.Name(request.priority) if request.priority else None,
        task_type=request.task_type or None,
    )


def period(request: stats_service_pb2.GetTaskStatsRequest) -> PeriodWanted:
    """Over which period, in which slices. Raises InvalidArgument at `start_time` or `end_time`."""
    return PeriodWanted(
        start=time(request.start_time, "start_time") if request.HasField("start_time") else None,
        end=time(request.end_time, "end_time") if request.HasField("end_time") else None,
        interval=timedelta(seconds=seconds(request.interval)) if request.HasField("interval") else None,
    )


def bounds(request: stats_service_pb2.GetWebhookStatsRequest) -> tuple[datetime | None, datetime | None]:
    """Where a period without slices starts and ends. Raises InvalidArgument at `start_time` or `end_time`."""
    return (
        time(request.start_time, "start_time") if request.HasField("start_time") else None,
        time(request.end_time, "end_time") if request.HasField("end_time") else None,
    )
