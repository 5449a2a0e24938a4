"""What a running handler reports, on its way to the log: coalesced, bounded, in order."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace

from taskflow_core.payloads import storable
from taskflow_core.progress import Progress
from taskflow_core.tasks.report import Report, Reports, TaskReporting
from taskflow_core.tasks.rows import Row

# At most this often (seconds) is the progress of one task written; what comes between is replaced.
INTERVAL = 0.1
# Log lines of one attempt that wait to be written; more are dropped, and the log says so.
MAX_WAITING_LINES = 100


class Reporter:
    """Collects the progress and log lines of one attempt. All calls are on the event loop."""

    def __init__(self, reporting: TaskReporting, task: Row, session_id: int, worker: str) -> None:
        self._reporting = reporting
        self._task = task
        self._session_id = session_id
        self._worker = worker
        self._latest: Callable[[], Progress] | None = None
        self._lines: list[Report] = []
        self._dropped = 0
        self._flusher: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def progress(self, latest: Callable[[], Progress]) -> None:
        """Note that the attempt has come further, and where to take how far, when it can be written."""
        self._latest = latest
        self._start()

    def log(self, message: str) -> None:
        """Note a log line."""
        if len(self._lines) < MAX_WAITING_LINES:
            self._lines.append(Report("LOG", {"message": storable(message)}))
        else:
            self._dropped += 1
        self._start()

    async def close(self) -> None:
        """Write what is left."""
        self._closing.set()
        if self._flusher is not None:
            await self._flusher

    def _start(self) -> None:
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while lines := self._take():
            await self._reporting.report(
                Reports(
                    self._task["id"],
                    self._task["attempt"],
                    self._session_id,
                    self._worker,
                    lines,
                    self._task["execution_id"],
                )
            )
            if not self._closing.is_set():
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(INTERVAL):
                await self._closing.wait()
        except TimeoutError:
            pass  # the interval is over

    def _take(self) -> tuple[Report, ...]:
        lines = self._lines
        if self._dropped:
            lines.append(Report("LOG", {"message": f"{self._dropped} log lines were dropped here"}))
        if self._latest is not None:
            progress = self._latest()
            progress = replace(progress, message=storable(progress.message), unit=storable(progress.unit))
            lines.append(Report("PROGRESS", {"progress": asdict(progress)}))
        self._lines, self._dropped, self._latest = [], 0, None
        return tuple(lines)
