"""Submits a task to TaskFlow, follows it to its end, and prints its result."""

import asyncio
import os

from taskflow_client import Event, Snapshot, Task, TaskEvent, TaskFlow


async def main() -> None:
    async with TaskFlow(os.environ.get("TASKFLOW_GRPC", "127.0.0.1:50051")) as taskflow:
        task = await taskflow.submit(
            "compute", {"operation": "fibonacci", "n": 30}, name="Fibonacci from Python"
        )
        print("submitted", task.id)
        async for update in taskflow.watch(task):
            if isinstance(update, Snapshot):
                print(f"#{update.task.last_sequence} {Task.Status.Name(update.task.status)}")
            if isinstance(update, Event):
                report(update.event)
        print("result", await taskflow.result(task))


def report(event: TaskEvent) -> None:
    detail = event.error.message or event.message
    if event.HasField("progress"):
        detail = f"{event.progress.percent:.0f}% {event.progress.message}"
    print(f"#{event.sequence} {TaskEvent.Kind.Name(event.kind)} {detail}".rstrip())


if __name__ == "__main__":
    asyncio.run(main())
