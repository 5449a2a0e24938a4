"""Queues: paused, resumed and limited from Python."""

from collections.abc import AsyncGenerator, Iterable

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from taskflow_client.calling import PAGE_SIZE, Call, pages
from taskflow_proto.v1 import queue_service_pb2 as calls
from taskflow_proto.v1.queue_pb2 import Queue
from taskflow_proto.v1.queue_service_pb2_grpc import QueueServiceStub


class Queues:
    """The queues of a tenant: `taskflow.queues`. Every method raises ApiError, or the class of it that fits."""

    def __init__(self, channel: grpc.aio.Channel, call: Call) -> None:
        self._stub = QueueServiceStub(channel)
        self._call = call

    async def get(self, name: str) -> Queue:
        """One queue, also one that nobody has named yet."""
        queue: Queue = await self._call(self._stub.GetQueue, calls.GetQueueRequest(queue_name=name))
        return queue

    async def list(self, filter: str = "") -> AsyncGenerator[Queue, None]:
        """The queues that have settings, unfinished tasks or live workers, by name.

        `filter`: such as `status = PAUSED`.
        """
        request = calls.ListQueuesRequest(filter=filter, page_size=PAGE_SIZE)
        async for page in pages(self._call, self._stub.ListQueues, request):
            for queue in page.queues:
                yield queue

    async def update(self, queue: Queue, fields: Iterable[str]) -> Queue:
        """Give these fields of a queue the values that they have here; zero lifts a limit.

        Raises Aborted if the queue has changed since it was read.
        """
        request = calls.UpdateQueueRequest(
            queue_name=queue.name, queue=queue, update_mask=FieldMask(paths=list(fields))
        )
        updated: Queue = await self._call(self._stub.UpdateQueue, request)
        return updated

    async def pause(self, name: str, note: str = "") -> Queue:
        """Let a queue start nothing more; what runs goes on."""
        request = calls.PauseQueueRequest(queue_name=name, note=note)
        queue: Queue = await self._call(self._stub.PauseQueue, request)
        return queue

    async def resume(self, name: str, note: str = "") -> Queue:
        """Let a paused queue go on."""
        request = calls.ResumeQueueRequest(queue_name=name, note=note)
        queue: Queue = await self._call(self._stub.ResumeQueue, request)
        return queue
