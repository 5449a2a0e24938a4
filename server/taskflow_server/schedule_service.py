"""taskflow.v1.ScheduleService: unpack, call core, pack."""

from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from taskflow_core.app import App
from taskflow_core.tasks.read import PageRequest
from taskflow_proto.v1 import schedule_pb2, schedule_service_pb2, schedule_service_pb2_grpc
from taskflow_server import pack, unpack
from taskflow_server.auth import current_principal
from taskflow_server.metadata import Context, idempotency_key

# Times that a preview shows.
DEFAULT_PREVIEW = 10


class ScheduleService(schedule_service_pb2_grpc.ScheduleServiceServicer):
    """Creates, reads, steers and explains the caller's schedules."""

    def __init__(self, app: App) -> None:
        self._schedules = app.schedules
        self._max_payload_bytes = app.settings.max_payload_bytes

    async def CreateSchedule(
        self, request: schedule_service_pb2.CreateScheduleRequest, context: Context
    ) -> schedule_pb2.Schedule:
        row = await self._schedules.creation.create(
            current_principal().tenant_id,
            unpack.new_schedule(request.schedule, self._max_payload_bytes),
            request_id=request.request_id or idempotency_key(context) or None,
            validate_only=request.validate_only,
        )
        return pack.schedule(row)

    async def GetSchedule(
        self, request: schedule_service_pb2.GetScheduleRequest, context: Context
    ) -> schedule_pb2.Schedule:
        row = await self._schedules.reader.get(current_principal().tenant_id, UUID(request.schedule_id))
        return pack.schedule(row)

    async def ListSchedules(
        self, request: schedule_service_pb2.ListSchedulesRequest, context: Context
    ) -> schedule_service_pb2.ListSchedulesResponse:
        page = await self._schedules.reader.list(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
            order_by=request.order_by,
        )
        return schedule_service_pb2.ListSchedulesResponse(
            schedules=map(pack.schedule, page.rows), next_page_token=page.next_page_token
        )

    async def UpdateSchedule(
        self, request: schedule_service_pb2.UpdateScheduleRequest, context: Context
    ) -> schedule_pb2.Schedule:
        row = await self._schedules.steering.update(
            current_principal().tenant_id,
            UUID(request.schedule_id),
            unpack.schedule_changes(request, self._max_payload_bytes),
            etag=request.schedule.etag,
            validate_only=request.validate_only,
        )
        return pack.schedule(row)

    async def DeleteSchedule(
        self, request: schedule_service_pb2.DeleteScheduleRequest, context: Context
    ) -> Empty:
        await self._schedules.steering.delete(
            current_principal().tenant_id,
            UUID(request.schedule_id),
            etag=request.etag,
            allow_missing=request.allow_missing,
        )
        return Empty()

    async def PauseSchedule(
        self, request: schedule_service_pb2.PauseScheduleRequest, context: Context
    ) -> schedule_pb2.Schedule:
        row = await self._schedules.steering.pause(
            current_principal().tenant_id, UUID(request.schedule_id), request.note
        )
        return pack.schedule(row)

    async def ResumeSchedule(
        self, request: schedule_service_pb2.ResumeScheduleRequest, context: Context
    ) -> schedule_pb2.Schedule:
        row = await self._schedules.steering.resume(
            current_principal().tenant_id, UUID(request.schedule_id), request.note
        )
        return pack.schedule(row)

    async def TriggerSchedule(
        self, request: schedule_service_pb2.TriggerScheduleRequest, context: Context
    ) -> schedule_pb2.ScheduleFire:
        row = await self._schedules.requests.trigger(
            current_principal().tenant_id,
            UUID(request.schedule_id),
            overlap_policy=unpack.policy(request.overlap_policy),
            request_id=request.request_id or idempotency_key(context) or None,
        )
        return pack.fire(row)

    async def PreviewSchedule(
        self, request: schedule_service_pb2.PreviewScheduleRequest, context: Context
    ) -> schedule_service_pb2.PreviewScheduleResponse:
        start = unpack.time(request.start_time, "start_time") if request.HasField("start_time") else None
        end = unpack.time(request.end_time, "end_time") if request.HasField("end_time") else None
        count = request.count or DEFAULT_PREVIEW
        if request.WhichOneof("target") == "schedule":
            preview = await self._schedules.preview.of_description(
                unpack.timing(request.schedule), count, start, end
            )
        else:
            preview = await self._schedules.preview.of_schedule(
                current_principal().tenant_id, UUID(request.schedule_id), count, start, end
            )
        return pack.schedule_preview(preview)

    async def BackfillSchedule(
        self, request: schedule_service_pb2.BackfillScheduleRequest, context: Context
    ) -> schedule_service_pb2.BackfillScheduleResponse:
        done = await self._schedules.requests.backfill(
            current_principal().tenant_id,
            UUID(request.schedule_id),
            unpack.time(request.start_time, "start_time"),
            unpack.time(request.end_time, "end_time"),
            overlap_policy=unpack.policy(request.overlap_policy),
            validate_only=request.validate_only,
        )
        return schedule_service_pb2.BackfillScheduleResponse(
            fired_count=done.fired,
            buffered_count=done.buffered,
            skipped_count=done.skipped,
            existing_count=done.existing,
            next_start_time=pack.timestamp(done.next_start),
        )

    async def ListScheduleFires(
        self, request: schedule_service_pb2.ListScheduleFiresRequest, context: Context
    ) -> schedule_service_pb2.ListScheduleFiresResponse:
        page = await self._schedules.reader.list_fires(
            current_principal().tenant_id,
            UUID(request.schedule_id),
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
            order_by=request.order_by,
        )
        return schedule_service_pb2.ListScheduleFiresResponse(
            fires=map(pack.fire, page.rows), next_page_token=page.next_page_token
        )
