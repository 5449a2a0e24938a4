"""taskflow.v1.QueueService: unpack, call core, pack."""

from taskflow_core.app import App
from taskflow_core.states import QueueStatus
from taskflow_core.tasks.read import PageRequest
from taskflow_proto.v1 import queue_pb2, queue_service_pb2, queue_service_pb2_grpc
from taskflow_server import pack, unpack
from taskflow_server.auth import current_principal
from taskflow_server.metadata import Context


class QueueService(queue_service_pb2_grpc.QueueServiceServicer):
    """Pauses, resumes and limits the caller's queues."""

    def __init__(self, app: App) -> None:
        self._queues = app.queues

    async def GetQueue(self, request: queue_service_pb2.GetQueueRequest, context: Context) -> queue_pb2.Queue:
        return pack.queue(await self._queues.get(current_principal().tenant_id, request.queue_name))

    async def ListQueues(
        self, request: queue_service_pb2.ListQueuesRequest, context: Context
    ) -> queue_service_pb2.ListQueuesResponse:
        page = await self._queues.list(
            current_principal().tenant_id,
            PageRequest(request.page_size, request.page_token),
            filter=request.filter,
        )
        return queue_service_pb2.ListQueuesResponse(
            queues=map(pack.queue, page.rows), next_page_token=page.next_page_token
        )

    async def UpdateQueue(
        self, request: queue_service_pb2.UpdateQueueRequest, context: Context
    ) -> queue_pb2.Queue:
        row = await self._queues.set_limits(
            current_principal().tenant_id,
            request.queue_name,
            unpack.queue_limits(request),
            request.queue.etag,
        )
        return pack.queue(row)

    async def PauseQueue(
        self, request: queue_service_pb2.PauseQueueRequest, context: Context
    ) -> queue_pb2.Queue:
        return await self._set_status(request, QueueStatus.PAUSED)

    async def ResumeQueue(
        self, request: queue_service_pb2.ResumeQueueRequest, context: Context
    ) -> queue_pb2.Queue:
        return await self._set_status(request, QueueStatus.ACTIVE)

    async def _set_status(
        self,
        request: queue_service_pb2.PauseQueueRequest | queue_service_pb2.ResumeQueueRequest,
        status: QueueStatus,
    ) -> queue_pb2.Queue:
        row = await self._queues.set_status(
            current_principal().tenant_id, request.queue_name, status, request.note
        )
        return pack.queue(row)
