"""Work for a cluster under test: tasks submitted as a careful client does, and a record of what it was told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from taskflow_proto.v1 import queue_pb2, queue_service_pb2, task_pb2, task_service_pb2
from taskflow_proto.v1.queue_service_pb2_grpc import QueueServiceStub
from taskflow_proto.v1.task_service_pb2_grpc import TaskServiceStub

# What says "it may or may not have been done": ask again, with the same request id.
AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass
class Submission:
    """One task as its client knows it: acked if it has an id, unknown while it has none."""

    request_id: str
    task_id: str | None = None
    tries: int = 0


class Load:
    """A client of one tenant of its own."""

    def __init__(self, channel: grpc.aio.Channel, tenant: str) -> None:
        self.channel = channel
        self.tenant = tenant
        self.submissions: list[Submission] = []
        self._metadata = (("x-tenant-id", tenant),)
        self._stub = TaskServiceStub(channel)
        self._queues = QueueServiceStub(channel)

    async def submit(
        self, task_type: str = "faults.work", *, patience: float = 45.0, task: Any = None, **payload: Any
    ) -> str:
        """Submit one task, again and again until it is acked, and return its id.

        `task` has further fields of the task. Raises grpc.aio.AioRpcError if it is refused, or not acked in
        `patience` seconds.
        """
        submission = Submission(f"{self.tenant}-{len(self.submissions)}")
        self.submissions.append(submission)
        request = task_service_pb2.CreateTaskRequest(
            task=task_pb2.Task(task_type=task_type, payload_json=json.dumps(payload), **(task or {})),
            request_id=submission.request_id,
        )
        clock = asyncio.get_running_loop().time
        end = clock() + patience
        while True:
            submission.tries += 1
            try:
                answer = await self._stub.CreateTask(request, metadata=self._metadata, timeout=10)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN or clock() > end:
                    raise
                await asyncio.sleep(0.05)
            else:
                submission.task_id = answer.id
                return str(answer.id)

    async def submit_many(self, count: int, *, callers: int = 16, **fields: Any) -> list[str]:
        """Submit so many tasks from so many callers at once."""
        turns = asyncio.Semaphore(callers)

        async def one() -> str:
            async with turns:
                return await self.submit(**fields)

        return list(await asyncio.gather(*(one() for _ in range(count))))

    @asynccontextmanager
    async def under_way(self, *, pause: float = 0.01, **fields: Any) -> AsyncIterator[None]:
        """Meanwhile, submit one task after another from four callers; at the end all are acked."""
        stop = asyncio.Event()

        async def caller() -> None:
            while not stop.is_set():
                await self.submit(**fields)
                await asyncio.sleep(pause)

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*callers)

    async def cancel(self, task_id: str) -> None:
        """Cancel a task, whatever its status."""
        request = task_service_pb2.CancelTaskRequest(task_id=task_id, reason="a test")
        try:
            await self._stub.CancelTask(request, metadata=self._metadata, timeout=10)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.FAILED_PRECONDITION:
                raise

    async def limit(self, **limits: Any) -> None:
        """Set limits of the default queue."""
        request = queue_service_pb2.UpdateQueueRequest(
            queue_name="default", queue=queue_pb2.Queue(name="default", **limits)
        )
        await self._queues.UpdateQueue(request, metadata=self._metadata, timeout=10)

    async def pause(self) -> None:
        """Pause the default queue."""
        request = queue_service_pb2.PauseQueueRequest(queue_name="default")
        await self._queues.PauseQueue(request, metadata=self._metadata, timeout=10)

    async def resume(self) -> None:
        """Let the default queue go on."""
        request = queue_service_pb2.ResumeQueueRequest(queue_name="default")
        await self._queues.ResumeQueue(request, metadata=self._metadata, timeout=10)
