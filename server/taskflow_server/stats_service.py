"""taskflow.v1.StatsService: unpack, call core, pack."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID

from taskflow_core.app import App
from taskflow_proto.v1 import stats_pb2, stats_service_pb2, stats_service_pb2_grpc
from taskflow_server import pack, unpack
from taskflow_server.auth import current_principal
from taskflow_server.drain import Drain
from taskflow_server.metadata import Context

DEFAULT_INTERVAL = 2.0  # seconds


class StatsService(stats_service_pb2_grpc.StatsServiceServicer):
    """Tells the caller's figures."""

    def __init__(self, app: App, drain: Drain) -> None:
        self._stats = app.stats
        self._webhooks = app.webhooks.statistics
        self._drain = drain

    async def GetOverview(
        self, request: stats_service_pb2.GetOverviewRequest, context: Context
    ) -> stats_pb2.Overview:
        return pack.overview(await self._stats.overview(current_principal().tenant_id))

    async def GetTaskStats(
        self, request: stats_service_pb2.GetTaskStatsRequest, context: Context
    ) -> stats_pb2.TaskStats:
        found = await self._stats.tasks(
            current_principal().tenant_id, unpack.task_filter(request), **unpack.period(request)
        )
        return pack.task_stats(found)

    async def GetQueueStats(
        self, request: stats_service_pb2.GetQueueStatsRequest, context: Context
    ) -> stats_pb2.QueueStats:
        return pack.queue_stats(await self._stats.queues(current_principal().tenant_id, request.queue))

    async def GetScheduleStats(
        self, request: stats_service_pb2.GetScheduleStatsRequest, context: Context
    ) -> stats_pb2.ScheduleStats:
        found = await self._stats.schedules(
            current_principal().tenant_id,
            UUID(request.schedule_id) if request.schedule_id else None,
            start=unpack.time(request.start_time, "start_time") if request.HasField("start_time") else None,
            end=unpack.time(request.end_time, "end_time") if request.HasField("end_time") else None,
        )
        return pack.schedule_stats(found)

    async def GetWebhookStats(
        self, request: stats_service_pb2.GetWebhookStatsRequest, context: Context
    ) -> stats_pb2.WebhookStats:
        start, end = unpack.bounds(request)
        webhook_id = UUID(request.webhook_id) if request.webhook_id else None
        found = await self._webhooks.read(current_principal().tenant_id, start, end, webhook_id)
        return pack.webhook_stats(found)

    async def WatchStats(
        self, request: stats_service_pb2.WatchStatsRequest, context: Context
    ) -> AsyncIterator[stats_service_pb2.WatchStatsResponse]:
        interval = unpack.seconds(request.interval) if request.HasField("interval") else DEFAULT_INTERVAL
        messages = self._stats.watch(current_principal().tenant_id, interval, self._drain.started)
        async with aclosing(messages):
            async for message in messages:
                yield pack.stats_message(message)
