"""Schedules: made, steered and explained from Python."""

import uuid
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from taskflow_client.calling import PAGE_SIZE, Call, pages
from taskflow_proto.v1 import schedule_service_pb2 as calls
from taskflow_proto.v1.schedule_pb2 import Schedule, ScheduleFire
from taskflow_proto.v1.schedule_service_pb2_grpc import ScheduleServiceStub


class Schedules:
    """The schedules of a tenant: `taskflow.schedules`. Every method raises ApiError, or the class of it that fits."""

    def __init__(self, channel: grpc.aio.Channel, call: Call) -> None:
        self._stub = ScheduleServiceStub(channel)
        self._call = call

    async def create(self, schedule: Schedule, *, request_id: str | None = None) -> Schedule:
        """Create a schedule, ACTIVE at once. Calling it again with the same `request_id` answers with the same one."""
        request = calls.CreateScheduleRequest(
            schedule=schedule, request_id=uuid.uuid4().hex if request_id is None else request_id
        )
        created: Schedule = await self._call(self._stub.CreateSchedule, request)
        return created

    async def get(self, schedule_id: str) -> Schedule:
        """One schedule."""
        request = calls.GetScheduleRequest(schedule_id=schedule_id)
        schedule: Schedule = await self._call(self._stub.GetSchedule, request)
        return schedule

    async def list(self, filter: str = "") -> AsyncGenerator[Schedule, None]:
        """Schedules, newest first. `filter`: such as `status = PAUSED`."""
        request = calls.ListSchedulesRequest(filter=filter, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListSchedules, request):
            for schedule in page.schedules:
                yield schedule

    async def update(self, schedule: Schedule, fields: Iterable[str]) -> Schedule:
        """Give these fields of a schedule the values that they have here; unset ones get their defaults.

        Raises Aborted if the schedule has changed since it was read.
        """
        request = calls.UpdateScheduleRequest(
            schedule_id=schedule.id, schedule=schedule, update_mask=FieldMask(paths=list(fields))
        )
        updated: Schedule = await self._call(self._stub.UpdateSchedule, request)
        return updated

    async def pause(self, schedule_id: str, note: str = "") -> Schedule:
        """Let a schedule fire no more until it is resumed."""
        request = calls.PauseScheduleRequest(schedule_id=schedule_id, note=note)
        schedule: Schedule = await self._call(self._stub.PauseSchedule, request)
        return schedule

    async def resume(self, schedule_id: str, note: str = "") -> Schedule:
        """Let a paused schedule go on, from now."""
        request = calls.ResumeScheduleRequest(schedule_id=schedule_id, note=note)
        schedule: Schedule = await self._call(self._stub.ResumeSchedule, request)
        return schedule

    async def delete(self, schedule_id: str) -> None:
        """Delete a schedule and the record of its fires; the work that it started runs on."""
        await self._call(self._stub.DeleteSchedule, calls.DeleteScheduleRequest(schedule_id=schedule_id))

    async def trigger(
        self,
        schedule_id: str,
        *,
        overlap_policy: Schedule.OverlapPolicy = Schedule.OVERLAP_POLICY_UNSPECIFIED,
        request_id: str | None = None,
    ) -> ScheduleFire:
        """Fire a schedule now, in any status. Calling it again with the same `request_id` answers with the same fire."""
        request = calls.TriggerScheduleRequest(
            schedule_id=schedule_id,
            overlap_policy=overlap_policy,
            request_id=uuid.uuid4().hex if request_id is None else request_id,
        )
        fire: ScheduleFire = await self._call(self._stub.TriggerSchedule, request)
        return fire

    async def preview(self, schedule: Schedule | str, count: int = 10) -> Sequence[calls.PreviewedFire]:
        """The next times of a schedule, given by its id, or of one that is not created yet."""
        if isinstance(schedule, str):
            request = calls.PreviewScheduleRequest(schedule_id=schedule, count=count)
        else:
            request = calls.PreviewScheduleRequest(schedule=schedule, count=count)
        answer: calls.PreviewScheduleResponse = await self._call(self._stub.PreviewSchedule, request)
        return answer.fires

    async def backfill(
        self,
        schedule_id: str,
        start: datetime,
        end: datetime,
        overlap_policy: Schedule.OverlapPolicy = Schedule.OVERLAP_POLICY_UNSPECIFIED,
    ) -> calls.BackfillScheduleResponse:
        """Fire the times from `start` to before `end` that did not fire; the counts of all calls together."""
        total = calls.BackfillScheduleResponse()
        request = calls.BackfillScheduleRequest(
            schedule_id=schedule_id,
            start_time=_timestamp(start),
            end_time=_timestamp(end),
            overlap_policy=overlap_policy,
        )
        while True:
            done: calls.BackfillScheduleResponse = await self._call(self._stub.BackfillSchedule, request)
            total.fired_count += done.fired_count
            total.buffered_count += done.buffered_count
            total.skipped_count += done.skipped_count
            total.existing_count += done.existing_count
            if not done.HasField("next_start_time"):
                return total
            request.start_time.CopyFrom(done.next_start_time)

    async def fires(self, schedule_id: str, filter: str = "") -> AsyncGenerator[ScheduleFire, None]:
        """What became of each time, newest first. `filter`: such as `outcome = MISSED`."""
        request = calls.ListScheduleFiresRequest(schedule_id=schedule_id, filter=filter, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListScheduleFires, request):
            for fire in page.fires:
                yield fire


def _timestamp(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time.astimezone())
    return timestamp
