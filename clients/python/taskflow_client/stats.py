"""Statistics from Python: read once, or followed."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime, timedelta

import grpc

from taskflow_client.backoff import Backoff
from taskflow_client.calling import Call
from taskflow_client.errors import ApiError, Unavailable, from_rpc_error, may_pass
from taskflow_client.new_task import Priority
from taskflow_proto.v1 import stats_service_pb2 as calls
from taskflow_proto.v1.stats_pb2 import Overview, QueueStats, TaskStats, WebhookStats
from taskflow_proto.v1.stats_service_pb2_grpc import StatsServiceStub


class Stats:
    """The figures of a tenant: `taskflow.stats`. Every method raises ApiError, or the class of it that fits."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        call: Call,
        metadata: Sequence[tuple[str, str]],
        backoff: Callable[[], Backoff],
    ) -> None:
        self._stub = StatsServiceStub(channel)
        self._call = call
        self._metadata = metadata
        self._backoff = backoff

    async def overview(self) -> Overview:
        """The whole tenant at a glance."""
        overview: Overview = await self._call(self._stub.GetOverview, calls.GetOverviewRequest())
        return overview

    async def tasks(
        self,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        interval: timedelta | None = None,
        task_type: str = "",
        queue: str = "",
        priority: Priority | None = None,
    ) -> TaskStats:
        """Tasks over a period, by default the last hour: by priority, type and queue, and over time.

        `interval` is the length of a slice of `throughput`.
        """
        request = calls.GetTaskStatsRequest(task_type=task_type, queue=queue, priority=priority)
        if start_time is not None:
            request.start_time.FromDatetime(start_time)
        if end_time is not None:
            request.end_time.FromDatetime(end_time)
        if interval is not None:
            request.interval.FromTimedelta(interval)
        stats: TaskStats = await self._call(self._stub.GetTaskStats, request)
        return stats

    async def queues(self, queue: str = "") -> QueueStats:
        """How full the queues are now, or one of them, and which workers serve them."""
        request = calls.GetQueueStatsRequest(queue=queue)
        stats: QueueStats = await self._call(self._stub.GetQueueStats, request)
        return stats

    async def webhooks(
        self,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        webhook_id: str = "",
    ) -> WebhookStats:
        """Webhooks over a period, by default the last day: all together, and one by one."""
        request = calls.GetWebhookStatsRequest(webhook_id=webhook_id)
        if start_time is not None:
            request.start_time.FromDatetime(start_time)
        if end_time is not None:
            request.end_time.FromDatetime(end_time)
        stats: WebhookStats = await self._call(self._stub.GetWebhookStats, request)
        return stats

    async def watch(self, interval: timedelta | None = None) -> AsyncGenerator[Overview, None]:
        """An overview at once, then one each `interval`, for ever. Reconnects by itself."""
        request = calls.WatchStatsRequest()
        if interval is not None:
            request.interval.FromTimedelta(interval)
        backoff = self._backoff()
        while True:
            stream = self._stub.WatchStats(request, metadata=self._metadata)
            failure: ApiError = Unavailable(grpc.StatusCode.UNAVAILABLE, "the stream was cut")
            try:
                async for message in stream:
                    backoff.reset()
                    if message.HasField("overview"):
                        yield message.overview
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error)
                if not may_pass(failure):
                    raise failure from error
            finally:
                stream.cancel()
            seconds = backoff.pause()
            if seconds is None:
                raise failure
            await asyncio.sleep(seconds)
