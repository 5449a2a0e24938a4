"""A context as the worker makes one, which keeps what a handler reports."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from taskflow_core.progress import Progress
from taskflow_core.settings import Settings
from taskflow_worker.context import TaskContext
from taskflow_worker.processes import ProcessPool


class Reported:
    """What came from the handler, in order, and an event for each arrival."""

    def __init__(self) -> None:
        self.progress: list[Progress] = []
        self.lines: list[str] = []
        self._arrived = asyncio.Event()

    def add_progress(self, latest: Callable[[], Progress]) -> None:
        # Fails the test if it comes from another thread than the loop's.
        asyncio.get_running_loop()
        self.progress.append(latest())
        self._arrived.set()

    def add_line(self, line: str) -> None:
        asyncio.get_running_loop()
        self.lines.append(line)
        self._arrived.set()

    async def until(self, progress: int = 0, lines: int = 0) -> None:
        """Wait until that much has come."""
        while len(self.progress) < progress or len(self.lines) < lines:
            self._arrived.clear()
            await self._arrived.wait()

    @property
    def percents(self) -> Sequence[float]:
        return [progress.percent for progress in self.progress]


def make_context(
    *, processes: ProcessPool | None = None, settings: Settings | None = None, **fields: Any
) -> tuple[TaskContext, Reported]:
    """The context of attempt 2 of a task, and what it reports."""
    reported = Reported()
    known: dict[str, Any] = {
        "task_id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "attempt": 2,
        "tenant_id": "acme",
        "task_type": "resize",
        "name": "Resize the photos",
        "queue": "default",
        "priority": "NORMAL",
        "tags": ("photos",),
        "deadline": datetime(2030, 1, 1, tzinfo=UTC),
    }
    context = TaskContext(
        **(known | fields),
        report=reported.add_progress,
        write_log=reported.add_line,
        processes=processes or ProcessPool(1),
        settings=settings or Settings(),
    )
    return context, reported
